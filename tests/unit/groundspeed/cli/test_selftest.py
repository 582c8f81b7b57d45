import os
from pathlib import Path

import pytest

from groundspeed.cli.main import _run
from groundspeed.store.calibrations import STATE_VARIABLE

Texts = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds", "0"], "0.0 is not in the range 1<=x<=86400"),
        (["--seconds", "nan"], "got nan, needed a number of seconds"),
        (["--seconds", "soon"], "'soon' is not a valid float"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["-o", "yaml:x"], "got 'yaml:x', needed"),
        (["here"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str], complaint: str, capsys: Texts
) -> None:
    """Exit 2, what is wrong on standard error, and nothing was measured."""
    assert _run(["selftest", *arguments]) == 2
    told = capsys.readouterr()
    assert complaint in " ".join(told.err.split())
    assert told.out == ""


def test_the_help_says_what_its_exit_codes_mean(capsys: Texts) -> None:
    """They are those of a check, seen from the other side."""
    assert _run(["selftest", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "0 when the promise held, 1 for false alarms beyond chance, 3 when slowdowns" in text


def test_a_second_too_few_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Texts
) -> None:
    """No check can be made in a second: exit 5, the seconds to ask for, and nothing is kept."""
    monkeypatch.setenv(STATE_VARIABLE, os.fspath(tmp_path / "state"))
    assert _run(["selftest", "--seconds", "1"]) == 5
    told = capsys.readouterr()
    assert told.out == ""
    assert "1.0 s were too short" in told.err
    assert "run it again with --seconds 90" in told.err
    assert not (tmp_path / "state").exists()
