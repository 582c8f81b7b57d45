import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from groundspeed import __version__, errors
from groundspeed.check.verdict import decide
from groundspeed.cli.main import INTERRUPTED, _run
from groundspeed.errors import BrokenError, GroundspeedError, NoBaselineError, UsageError
from groundspeed.model import Comparison, Outcome, Row

# `groundspeed.cli.main` names the function; this is the module.
MAIN = importlib.import_module("groundspeed.cli.main")
Texts = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["check", "--min-effect", "5"], "got '5', needed a share above 0 and below 1 such as 1%"),
        (["check", "--false-alarms", "lots"], "got 'lots', needed a share"),
        (["check", "--false-alarms", "60%"], "false_alarms: got 0.6, needed a rate between 0 and"),
        (["check", "-b", "("], "'(' is not a regular expression"),
        (["check", "-o", "yaml:x"], "got 'yaml:x', needed text:PATH or json:PATH"),
        (["check", "-o", "json"], "got 'json', needed"),
        (["check", "-o", "json:"], "got 'json:', needed"),
        (["check", "-o", "json:."], ". is a folder, needed the path of a file in it"),
        (["check", "-o", "json:absent/x.json"], "absent is no folder; create it first"),
        (["check", "--budget", "0"], "0.0 is not in the range x>0"),
        (["check", "--budget", "nan"], "got nan, needed a number of seconds"),
        (["check", "--budget", "inf"], "got inf, needed a number of seconds"),
        (["check", "--seed", str(2**32)], "is not in the range 0<=x<=4294967295"),
        (["check", "--env", "conda"], "'conda' is not one of 'auto', 'overlay', 'wheel'"),
        (["check", "--verbos"], "Did you mean"),
        (["check", "a", "b", "c"], "unexpected extra argument"),
        (["chekc"], "No such command 'chekc'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Texts,
) -> None:
    """Exit 2 with a message that says what is wrong, and nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    assert _run(arguments) == 2
    told = capsys.readouterr()
    assert complaint in " ".join(told.err.split())
    assert told.out == ""


def test_outside_a_repository_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Texts
) -> None:
    """The first thing a newcomer may do wrong has a readable answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    assert _run(["check"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("groundspeed: ")
    assert "Traceback" not in told


def test_version_is_the_packages(capsys: Texts) -> None:
    """--version prints the name and the version."""
    assert _run(["--version"]) == 0
    assert capsys.readouterr().out == f"groundspeed, version {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["check"]], ids=["groundspeed", "check"])
def test_help_is_there_in_both_spellings(command: list[str], flag: str, capsys: Texts) -> None:
    """Help is a success and goes to standard output."""
    assert _run([*command, flag]) == 0
    assert capsys.readouterr().out.startswith("Usage: groundspeed ")


def test_without_a_command_the_help_is_shown() -> None:
    """Nothing was asked, so nothing passes: exit 2."""
    assert _run([]) == 2


def test_the_documented_exit_codes_are_those_in_use(capsys: Texts) -> None:
    """The table in the help says what verdicts and errors really exit with."""
    _run(["--help"])
    table = capsys.readouterr().out.partition("Exit codes:")[2]
    documented = {
        int(code): word.strip() for code, word in re.findall(r"\b(\d+)\s+([a-z]+ ?[a-z]*)", table)
    }
    in_use = {
        decide([Comparison(row=Row(name="a"), outcome=outcome)], []).exit_code: word
        for outcome, word in (
            (Outcome.SAME, "pass"),
            (Outcome.SLOWER, "slower"),
            (Outcome.UNDECIDED, "undecided"),
            (Outcome.NO_BASELINE, "no baseline"),
            (Outcome.BROKEN, "broken"),
        )
    }
    assert documented == in_use | {UsageError.exit_code: "usage", INTERRUPTED: "interrupted"}


def test_every_error_has_a_documented_exit_code() -> None:
    """No error a user can mend exits 0 or 1: those are verdicts."""
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert {kind.exit_code for kind in kinds} == {2, 4, 5}


@pytest.mark.parametrize(
    ("error", "exit_code", "told"),
    [
        (UsageError("mend this"), 2, "groundspeed: mend this\n"),
        (NoBaselineError("tag a release"), 4, "groundspeed: tag a release\n"),
        (BrokenError("the build failed"), 5, "groundspeed: the build failed\n"),
        (KeyboardInterrupt(), 130, "groundspeed: interrupted;"),
        (click.Abort(), 130, "groundspeed: interrupted;"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_one_message_and_its_exit_code(
    error: BaseException,
    exit_code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Texts,
) -> None:
    """What went wrong is told on standard error without a traceback."""
    raising(error, monkeypatch)
    assert _run([]) == exit_code
    said = capsys.readouterr()
    assert said.err.startswith(told)
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_crash_is_not_taken_for_slower(monkeypatch: pytest.MonkeyPatch, capsys: Texts) -> None:
    """A fault of groundspeed itself shows its traceback and exits 5, never 1."""
    raising(ZeroDivisionError("division by zero"), monkeypatch)
    assert _run([]) == GroundspeedError.exit_code == 5
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "a fault of groundspeed itself" in said


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command line end in `error`."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(MAIN.commands, "main", fail)


def test_help_does_not_wait_for_numpy() -> None:
    """Answers that need no measuring import nothing heavy."""
    script = (
        "import sys; from groundspeed.cli.main import _run; _run(['check', '--help']);"
        "sys.exit(','.join({'numpy', 'psutil', 'json5'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
