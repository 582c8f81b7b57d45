"""The self-test as it is run: real trees, launch pairs and checks, of few kinds of work."""

import os
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from groundspeed.check import selftest
from groundspeed.check.selftest import KINDS, SelftestRequest, run_selftest
from groundspeed.cli.main import _run
from groundspeed.errors import BrokenError
from groundspeed.measure.machine import CpuPlan, describe_machine
from groundspeed.measure.scratch import cache_folder
from groundspeed.measure.turn_lock import take_turn
from groundspeed.model import Outcome
from groundspeed.report.selftest import selftest_report
from groundspeed.stats import GateRule
from groundspeed.store.calibrations import STATE_VARIABLE, read_calibration
from groundspeed.store.selftests import SelftestRecord

if sys.platform == "win32":
    pytest.skip("launch twins need fork", allow_module_level=True)

# One look, so that a check ends soon whatever it finds.
QUICK = GateRule(looks=(3,), shares=(1.0,))


class Stopwatch:
    """Progress that is also the clock: the time is over when the third check has begun."""

    def __init__(self, checks: int = 2, hear: Callable[[str], None] | None = None) -> None:
        self.said: list[str] = []
        self._checks, self._hear = checks, hear
        self._begun, self._phase = 0, ""

    def say(self, text: str) -> None:
        """Keep it, and count the checks that have begun."""
        self.said.append(text)
        phase = text.partition(",")[0]
        if phase != self._phase and phase in selftest._PHASES.values():
            self._begun, self._phase = self._begun + 1, phase
        if self._hear is not None:
            self._hear(text)

    def advance(self, *, pairs: int, rows_open: int, rows: int, left_s: float | None) -> None:
        """Never called: each check's progress is told in words."""
        pytest.fail("the progress of one check was shown as that of the whole self-test")

    def clock(self) -> float:
        """Stands still while there is time."""
        return 0.0 if self._begun <= self._checks else 1e9


def short(watch: Stopwatch, *kinds: str) -> SelftestRecord:
    """A self-test of one check without and one with changes, of these kinds of work."""
    request = SelftestRequest(seconds=60, rule=QUICK, kinds=kinds, seed=1)
    return run_selftest(request, progress=watch, clock=watch.clock)


def test_each_kind_does_as_much_more_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the units take about twice as long, and half of the rows keep theirs."""
    monkeypatch.setattr(selftest, "_MORE_UNITS", (100, 0))
    watch = Stopwatch()
    unchanged, changed = short(watch, *KINDS).checks
    assert (unchanged.changed, changed.changed) == (False, True)
    assert {row.row for row in unchanged.rows} == {row.row for row in changed.rows} == set(KINDS)
    doubled = [row for row in changed.rows if row.size]
    assert [row.size for row in doubled] == [1.0] * (len(KINDS) // 2)
    assert {row.outcome for row in doubled} == {Outcome.SLOWER}
    for row in (*unchanged.rows, *changed.rows):
        assert row.ratio is not None
        assert (1.5 if row.size else 0.75) < row.ratio < (2.6 if row.size else 1.33)
    assert unchanged.exchange is not None
    assert changed.exchange is None


def test_a_check_that_was_cut_short_counts_nowhere() -> None:
    """The third began and was not finished; what was said says what went on."""
    watch = Stopwatch()
    record = short(watch, "loops", "json")
    assert [check.changed for check in record.checks] == [False, True]
    assert record.false_alarms.checks == 1
    told = "\n".join(watch.said)
    assert "unchanged code, about 1 min 00 s left: importing the benchmarks" in told
    assert "known slowdowns, about 1 min 00 s left: 2 launch pairs, " in told
    assert list((cache_folder() / "runs").iterdir()) == []


def test_the_same_seed_changes_the_same_rows() -> None:
    """Which rows are made slower, and by how much, is drawn from it alone."""
    changes = [next(selftest._changes(KINDS, random.Random(seed).randrange(12))) for seed in (3, 3)]
    assert changes[0] == changes[1]


def test_every_kind_gets_every_size_in_turn() -> None:
    """In twelve checks each row is made slower by each amount as often as any other."""
    stream = selftest._changes(KINDS, 5)
    changes = [next(stream) for _ in range(12)]
    for kind in KINDS:
        sizes = sorted(more[kind] for more in changes if kind in more)
        assert sizes == [1, 2, 2, 3, 3, 5]
    assert all(len(more) == 6 for more in changes)


def test_too_little_time_is_told() -> None:
    """One check alone says nothing of the other kind."""
    with pytest.raises(BrokenError, match="run it again with --seconds 120"):
        short(Stopwatch(checks=1), "loops")


def test_workloads_that_cannot_run_are_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python without a module they need: broken, with the reason, and nothing stays behind."""
    shutil.copytree(selftest._WORKLOADS, tmp_path / "workloads")
    work = tmp_path / "workloads" / "selftest_project" / "work.py"
    work.write_text("import no_such_module\n", encoding="utf-8")
    monkeypatch.setattr(selftest, "_WORKLOADS", tmp_path / "workloads")
    with pytest.raises(BrokenError, match=r"its own benchmarks cannot run here: .*no_such_module"):
        short(Stopwatch(), "loops")
    assert list((cache_folder() / "runs").iterdir()) == []


def test_it_waits_for_its_turn() -> None:
    """While a check measures it does not, and its time has not begun."""
    with ExitStack() as other:

        def hear(text: str) -> None:
            if text.endswith("is measuring; waiting"):
                other.close()

        other.enter_context(take_turn(cache_folder(), say=pytest.fail))
        watch = Stopwatch(hear=hear)
        assert len(short(watch, "loops").checks) == 2
        assert watch.said[0] == watch.said[0].removesuffix("waiting") + "waiting"


def test_the_command_tells_keeps_and_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Report on standard output, the same in the files, and the machine's calibration."""
    monkeypatch.setenv(STATE_VARIABLE, os.fspath(tmp_path / "state"))
    watch = Stopwatch()
    monkeypatch.setattr(selftest, "run_selftest", lambda *_, **__: short(watch, "loops", "json"))
    json, text = tmp_path / "selftest.json", tmp_path / "selftest.txt"
    code = _run(["selftest", "-o", f"json:{json}", "--output", f"text:{text}"])
    told = capsys.readouterr()
    record = msgspec.json.decode(json.read_bytes(), type=SelftestRecord)
    assert code == record.exit_code
    assert told.err == ""
    assert told.out == text.read_text("utf-8") == selftest_report(record)
    fingerprint = describe_machine(CpuPlan()).fingerprint
    known = read_calibration(tmp_path / "state", fingerprint, say=pytest.fail)
    assert known is not None
    assert (known.first, known.last) == (record.first, record.last)


def test_an_answer_that_cannot_be_remembered_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is printed, and standard error says what was not kept and why."""
    (tmp_path / "file").write_text("", encoding="ascii")
    monkeypatch.setenv(STATE_VARIABLE, os.fspath(tmp_path / "file"))
    record = short(Stopwatch(), "loops")
    monkeypatch.setattr(selftest, "run_selftest", lambda *_, **__: record)
    assert _run(["selftest"]) == record.exit_code
    told = capsys.readouterr()
    assert told.out == selftest_report(record)
    assert "the result is not remembered: Not a directory" in told.err
