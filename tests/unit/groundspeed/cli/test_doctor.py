import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from groundspeed.cli.main import _run
from groundspeed.measure.conditions import Conclusion
from groundspeed.measure.machine import CpuPlan, describe_machine
from groundspeed.report.conditions import DoctorRecord, conditions_report

Texts = pytest.CaptureFixture[str]
DOCTOR = ["doctor", "--seconds", "0.1"]


def read(path: Path) -> DoctorRecord:
    """The record in a file."""
    return msgspec.json.decode(path.read_bytes(), type=DoctorRecord)


def test_this_machine_is_examined(tmp_path: Path, capsys: Texts) -> None:
    """A report on standard output, the same in the files, and 0 because a check can run here."""
    json, text = tmp_path / "doctor.json", tmp_path / "doctor.txt"
    assert _run([*DOCTOR, "-o", f"json:{json}", "--output", f"text:{text}"]) == 0
    told = capsys.readouterr()
    record = read(json)
    assert told.err == ""
    assert told.out == text.read_text("utf-8") == conditions_report(record)
    assert record.conclusion is not Conclusion.UNFIT
    assert record.machine.fingerprint == describe_machine(CpuPlan()).fingerprint
    assert record.conditions.activity is not None
    assert record.conditions.activity.window_s >= 0.1


def test_verbose_says_more(capsys: Texts) -> None:
    """Every finding has its effect beside it."""
    assert _run([*DOCTOR, "-v"]) == 0
    assert "without fork no check runs" in capsys.readouterr().out


def test_where_no_check_can_run_it_ends_with_5(tmp_path: Path) -> None:
    """A machine without git: the report says so, the JSON too, and so does the exit code."""
    output = tmp_path / "doctor.json"
    done = subprocess.run(
        [sys.executable, "-m", "groundspeed.cli", *DOCTOR, "-o", f"json:{output}"],
        env={**os.environ, "PATH": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.startswith("This machine is not fit to measure: no git on PATH.\n")
    assert read(output).exit_code == 5


def test_a_report_that_is_lost_is_no_success(tmp_path: Path, capsys: Texts) -> None:
    """Exit 5 when it cannot be written where it was asked for."""
    folder = tmp_path / "full"
    folder.mkdir()
    name = "x" * 250 + ".json"  # a name that leaves no room for the one it is written under
    assert _run([*DOCTOR, "-o", f"json:{folder / name}"]) == 5
    assert "and run the doctor again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds", "0"], "0.0 is not in the range 0.1<=x<=3600"),
        (["--seconds", "nan"], "got nan, needed a number of seconds"),
        (["--seconds", "soon"], "'soon' is not a valid float"),
        (["-o", "yaml:x"], "got 'yaml:x', needed text:PATH or json:PATH"),
        (["here"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str], complaint: str, capsys: Texts
) -> None:
    """Exit 2, what is wrong on standard error, and nothing was examined."""
    assert _run(["doctor", *arguments]) == 2
    told = capsys.readouterr()
    assert complaint in " ".join(told.err.split())
    assert told.out == ""


def test_a_system_that_has_little_to_tell_is_examined() -> None:
    """Without fork, affinity, load and /proc, as on Windows, it says what it cannot know."""
    script = (
        "import sys, os, subprocess, click, psutil, msgspec, groundspeed.measure.scratch\n"
        "import sysconfig; sysconfig.get_config_vars()  # cannot be asked after the next lines\n"
        "for name in ('fork', 'sched_getaffinity', 'getloadavg', 'sysconf'): delattr(os, name)\n"
        "sys.platform = 'win32'\n"
        "from groundspeed.cli.main import _run\n"
        "sys.exit(_run(['doctor', '--seconds', '0.1']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.startswith("This machine is not fit to measure: win32 has no fork.\n")
    assert "groundspeed does not read it on win32" in done.stdout
