"""Instructions counted for real: a session under valgrind, on a suite whose truth is known."""

import os
import random
import re
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from groundspeed.check.counting import CountingSession
from groundspeed.check.excuses import Excuses
from groundspeed.check.request import Silence
from groundspeed.check.roster import Selection
from groundspeed.check.session import SessionResult
from groundspeed.measure.lockstep import SIDES, Launcher
from groundspeed.measure.machine import CpuPlan
from groundspeed.model import Comparison, Outcome
from groundspeed.store.rules import NO_RULES

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind"),
    pytest.mark.slow,
]

BENCHMARKS = """\
import os
import toy

def time_units():
    for _ in range(toy.UNITS):
        sum(range(20))

async def time_awaited():
    for _ in range(toy.UNITS):
        sum(range(20))

def time_text():
    text = "alpha beta gamma " * 200
    return [word.upper() for word in text.split()]

class Pop:
    def setup(self):
        self.items = list(range(1000))
    def time_pop(self):
        self.items.pop()
    time_pop.number = 1

class Skipped:
    def setup(self):
        raise NotImplementedError
    def time_it(self):
        pass

def time_broken():
    if toy.UNITS > 1000:
        raise LookupError("no such unit")

def time_crashes_when_counted():
    if "vgpreload" in os.environ.get("LD_PRELOAD", ""):
        os._exit(7)

def track_no_time():
    return 1
"""
MIN_EFFECT = 0.002
# Imported by the candidate alone, as a change would: what it allocates lies in the way.
HISTORY = "LEFT = [str(n) * (n % 90) for n in range(4000)][::3]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a package, the second with 0.5 % more units, and benchmarks of it."""
    root = tmp_path_factory.mktemp("suite")
    for side, source in {"base": "UNITS = 1000\n", "candidate": f"{HISTORY}UNITS = 1005\n"}.items():
        (root / side).mkdir()
        (root / side / "toy.py").write_text(source, "utf-8")
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "__init__.py").write_text("", "utf-8")
    (root / "benchmarks" / "of_toy.py").write_text(BENCHMARKS, "utf-8")
    return root


@pytest.fixture(scope="module")
def result(folder: Path) -> SessionResult:
    """A session that counts base three times."""
    return session(folder, repeats=3).run()


@pytest.fixture(scope="module")
def rows(result: SessionResult) -> Mapping[str, Comparison]:
    """Its rows by the benchmark's name."""
    return {c.row.name.removeprefix("of_toy."): c for c in result.comparisons}


def session(root: Path, *, repeats: int, deadline_s: float | None = None) -> CountingSession:
    """A session on the two versions, on the CPUs there are."""
    launcher = Launcher(
        interpreter=Path(sys.executable),
        isolated=False,
        sides={
            side: {
                "import_paths": [os.fspath(root / side)],
                "site_dirs": [],
                "hidden_paths": [],
                "foreign": [],
            }
            for side in SIDES
        },
        benchmark_dir=root / "benchmarks",
        variables={},
        cpus=CpuPlan(measuring=tuple(sorted(os.sched_getaffinity(0))[:2])),
        folder=root / f"pairs{repeats}",
        chance=random.Random(1),
    )
    return CountingSession(
        launcher=launcher,
        min_effect=MIN_EFFECT,
        excuses=Excuses(rules=NO_RULES, entries=(), today=datetime.now(UTC).date()),
        selection=Selection(
            expressions=(), metric="instructions", keep=lambda labels: labels, default_timeout_s=60
        ),
        folder=root / f"counting{repeats}",
        clock=time.monotonic,
        deadline_s=deadline_s,
        progress=Silence(),
        repeats=repeats,
    )


@pytest.mark.parametrize("name", ["time_units", "time_awaited"])
def test_half_a_percent_more_work_is_found_with_one_pair(
    rows: Mapping[str, Comparison], name: str
) -> None:
    """It counts what the candidate does more, start-up and setup left out."""
    row = rows[name]
    assert len(row.values) == 1
    assert row.outcome is Outcome.SLOWER
    assert row.ratio == pytest.approx(1.005, rel=2e-4)
    assert (row.metric, row.unit) == ("instructions", "instructions")


def test_work_that_did_not_change_counts_the_same(rows: Mapping[str, Comparison]) -> None:
    """Though the candidate's import has left thousands of holes in the heap before."""
    row = rows["time_text"]
    assert row.outcome is Outcome.SAME
    assert row.ratio == pytest.approx(1.0, rel=2e-4)


def test_how_far_apart_the_counts_were_is_told(result: SessionResult) -> None:
    """A reader knows what the counts of one side were worth, which is nearly everything."""
    (told,) = [warning for warning in result.warnings if "counted 3 times" in warning]
    found = re.search(r"at most (\S+) % apart", told)
    assert found is not None
    assert float(found[1]) <= 0.01


def test_a_call_is_counted_and_not_its_setup(rows: Mapping[str, Comparison]) -> None:
    """To pop from a list is some hundred instructions; to make it anew each time is not counted."""
    (pair,) = rows["Pop.time_pop"].values
    assert 100 < pair.base < 5000


def test_rows_that_cannot_be_counted_end_as_in_any_check(rows: Mapping[str, Comparison]) -> None:
    """What fails, is skipped or is no time is told apart."""
    assert rows["time_broken"].outcome is Outcome.BROKEN
    assert rows["time_broken"].failures[0].side == "candidate"
    assert rows["Skipped.time_it"].outcome is Outcome.SKIPPED
    assert "track_no_time" not in rows


def test_what_fails_under_valgrind_alone_is_broken(rows: Mapping[str, Comparison]) -> None:
    """A row that runs, but not when it is counted, is broken and says how it ended."""
    row = rows["time_crashes_when_counted"]
    assert row.outcome is Outcome.BROKEN
    assert "exit code 7" in row.failures[0].message


def test_nothing_is_left(result: SessionResult) -> None:
    """No process outlives the session."""
    assert result.comparisons
    left = psutil.Process().children(recursive=True)
    assert not [process for process in left if "launch.py" in " ".join(process.cmdline())]


def test_without_time_every_row_stays_undecided(folder: Path) -> None:
    """A session whose time is over counts nothing, and ends."""
    found = session(folder, repeats=2, deadline_s=0.0).run().comparisons
    assert {c.outcome for c in found} == {Outcome.UNDECIDED}
