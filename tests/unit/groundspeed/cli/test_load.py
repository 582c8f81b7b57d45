import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from groundspeed.cli import load
from groundspeed.cli.load import _teller
from groundspeed.cli.main import _run
from groundspeed.cli.progress import TerminalProgress
from groundspeed.load import Progress
from groundspeed.load.selfchecking import Check, Selfcheck

Texts = pytest.CaptureFixture[str]

SCENARIO = """\
name = "nothing"
warm_up = 0.0
model = {{ type = "open", rate = {rate}, arrivals = "constant" }}
stages = [{{ type = "steady", duration = {duration} }}]
operations = [{{ name = "time", target = {{ type = "call", function = "time:time" }} }}]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Half a second of doing nothing, 200 times."""
    path = tmp_path / "nothing.toml"
    path.write_text(SCENARIO.format(rate=400.0, duration=0.5), encoding="utf-8")
    return path


def test_a_scenario_is_run_and_written(scenario: Path, tmp_path: Path, capsys: Texts) -> None:
    """The block first, the record as JSON, the distribution for the plotter."""
    out, text, hdr = tmp_path / "r.json", tmp_path / "r.txt", tmp_path / "r.hgrm"
    level = "latency_s_p50 < 1e-12 / 1e-11"
    outputs = ["-o", f"json:{out}", "-o", f"text:{text}", "--hdr", os.fspath(hdr)]
    code = _run(
        ["load", "run", os.fspath(scenario), "--level", level, "--default-levels", *outputs]
    )
    told = capsys.readouterr()
    record = json.loads(out.read_bytes())
    assert told.out == text.read_text("utf-8")
    assert told.out.startswith("=" * 80 + "\nLoad Test Results: nothing\n")
    assert code == record["exit_code"] == (1 if record["valid"] else 3)
    assert record["recorded"] == record["offered"] == 200
    assert len(record["levels"]) == 5
    assert hdr.read_text("utf-8").lstrip().startswith("Value ")


def test_an_undecided_run_is_made_longer(scenario: Path, capsys: Texts) -> None:
    """p99 takes 368 samples: 200 are too few, in the budget of one more run 400 are enough."""
    level = ["--level", "latency_s_p99 < 100 / 200"]
    _run(["load", "run", os.fspath(scenario), *level, "--budget", "1.7"])
    told = capsys.readouterr().out
    if "INVALID" not in told:
        assert "Successes: 400\n" in told


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "name a TOML file of a scenario"),
        ("name = 3", [], "nothing.toml: "),
        (SCENARIO.format(rate=0.0, duration=1.0), [], "rate"),
        (SCENARIO.format(rate=1e9, duration=1.0), [], "rate"),
        (SCENARIO.format(rate=1.0, duration=1.0), ["--level", "p95"], "needed METRIC < TARGET"),
        (SCENARIO.format(rate=1.0, duration=9.0), ["--level", "hits > 1"], "does not hold it"),
        (
            SCENARIO.format(rate=1.0, duration=9.0),
            ["--budget", "1"],
            "a first run above 0 that fit",
        ),
    ],
)
def test_bad_input_ends_with_2(
    tmp_path: Path, capsys: Texts, content: str | None, arguments: list[str], message: str
) -> None:
    """Before anything is measured, and the message names what is wrong."""
    path = tmp_path / "nothing.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert _run(["load", "run", os.fspath(path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_several_stages_cannot_be_made_longer(tmp_path: Path, capsys: Texts) -> None:
    """Which of them should be?"""
    text = SCENARIO.format(rate=1.0, duration=1.0)
    twice = text.replace("stages = [", 'stages = [{ type = "steady", duration = 1.0 }, ')
    (tmp_path / "two.toml").write_text(twice, encoding="utf-8")
    assert _run(["load", "run", os.fspath(tmp_path / "two.toml"), "--budget", "9"]) == 2
    assert "needed a single steady one" in capsys.readouterr().err


def test_a_plot_that_cannot_be_written_ends_with_5(scenario: Path, capsys: Texts) -> None:
    """The report stands, and the message says what to do."""
    code = _run(["load", "run", os.fspath(scenario), "--hdr", "/nowhere/at/all.hgrm"])
    told = capsys.readouterr()
    assert "was not written: No such file or directory; choose another place" in told.err
    assert code == (3 if "INVALID" in told.out else 5)


@pytest.mark.skipif(sys.platform == "win32", reason="signals there are others")
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    """The partial result is printed and written, marked so, and the exit code is 130."""
    scenario, out = tmp_path / "long.toml", tmp_path / "r.json"
    scenario.write_text(SCENARIO.format(rate=200.0, duration=600.0), encoding="utf-8")
    command = [sys.executable, "-m", "groundspeed.cli", "load", "run", os.fspath(scenario)]
    controller, terminal = os.openpty()
    with subprocess.Popen(
        [*command, "-o", f"json:{out}"], stdout=subprocess.PIPE, stderr=terminal, text=True
    ) as process:
        os.close(terminal)
        shown = b""
        while b" left" not in shown:  # it tells how far it is: it runs
            shown += os.read(controller, 1000)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    os.close(controller)
    assert process.returncode == 130
    assert "\nPARTIAL: the run was interrupted" in told
    record = json.loads(out.read_bytes())
    assert record["partial"]
    assert record["recorded"] > 0


class _Terminal:
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError

    def write(self, text: str) -> None:
        self.shown.append(text)

    def flush(self) -> None:
        pass


def test_progress_has_rate_p95_errors_and_time_left() -> None:
    """On one line."""
    terminal = _Terminal()
    tell = _teller(TerminalProgress(terminal))  # type: ignore[arg-type]
    tell(
        Progress(
            at_s=1.0,
            left_s=65.0,
            count=5,
            rate_per_s=1234.0,
            response_s_p95=0.0163,
            failed_share=0.02,
        )
    )
    assert terminal.shown[-1].endswith("1,234/s, p95 16.3 ms, errors 2 %, 1 min 05 s left")


@pytest.mark.parametrize(("value", "code"), [(1e-5, 0), (1.0, 3)])
def test_a_kept_selfcheck_is_told_and_decides_the_exit_code(
    tmp_path: Path, capsys: Texts, monkeypatch: pytest.MonkeyPatch, value: float, code: int
) -> None:
    """That it can be made is tested with the generator itself."""
    from groundspeed import __version__
    from groundspeed.measure.machine import CpuPlan, describe_machine

    monkeypatch.setenv("GROUNDSPEED_STATE_DIR", os.fspath(tmp_path))
    fingerprint = describe_machine(CpuPlan()).fingerprint
    kept = Selfcheck(
        fingerprint=fingerprint,
        tool_version=__version__,
        requests_per_s=5000.0,
        checks=(Check(name="lag p99", value=value, limit=1e-4, unit="s"),),
    )
    (tmp_path / "load").mkdir()
    path = tmp_path / "load" / f"{fingerprint}-{__version__}.json"
    path.write_bytes(msgspec.json.encode(kept))
    assert _run(["load", "selfcheck"]) == code
    assert "lag p99" in capsys.readouterr().out
    assert load.load_command.commands.keys() == {"run", "selfcheck"}
