import os
import pickle
import random
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from groundspeed.errors import BrokenError
from groundspeed.measure.lockstep import SIDES, Launcher, LaunchPair, RowFailedError, SuiteRow
from groundspeed.measure.machine import CpuPlan
from groundspeed.measure.rows import RowContext, Trial, calibrate, measure
from groundspeed.model import Failure, PairSummary, Row, Side

if sys.platform == "win32":
    pytest.skip("launch twins need fork", allow_module_level=True)

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux's pidfd")

Start = Callable[[Mapping[str, str]], Launcher]

# What every benchmark file begins with; `tell` leaves a word where the test can read it.
HEAD = """\
import os, random, signal, sys, threading, toy
from pathlib import Path

def tell(name, word):
    with Path(os.environ["TOLD"], f"{toy.SIDE}-{name}").open("a") as file:
        file.write(f"{word}\\n")

"""

GOOD = """\
def time_good(): sum(range(100))

def time_loud():
    print("to standard output")
    os.write(2, b"to standard error")

def time_side(side): assert side == toy.SIDE
time_side.params = [toy.SIDE]

def time_twin(_): pass
time_twin.params = [(hash("x"), id(sys), len(os.environ["GROUNDSPEED_PADDING"]))]

class Each:
    params = [[1, 2], ["a", "b"]]
    param_names = ["number", "letter"]
    def time_it(self, number, letter): tell("each", f"{number}{letter}")

class Cached:
    def setup_cache(self): return {"made by": toy.SIDE}
    def time_it(self, cache): assert cache == {"made by": toy.SIDE}

class Sort:
    def setup(self): self.items = random.Random(1).sample(range(4000), 4000)
    def time_sort(self): self.items.sort()

class Pop:
    def setup(self): self.items = [1]
    def time_pop(self): self.items.pop()

class PopMany:
    def setup(self): self.items = list(range(80_000))
    def time_pop(self): self.items.pop()

class Number:
    number = 3
    def setup(self): self.items = [1, 2, 3]
    def time_pop(self): self.items.pop()

class Slow:
    number = 1
    def setup(self): tell("slow", "setup")
    def time_it(self): tell("slow", "call")

def tick():
    tick.now += 0.001
    return tick.now
tick.now = 0.0

def time_own(): pass
time_own.timer = tick

def time_threads():
    import hashlib
    data = bytes(500_000)
    work = lambda: hashlib.sha256(data)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

def child(end):
    process = os.fork()
    if process == 0: end()
    else: os.waitpid(process, 0)
def time_child_exits(): child(lambda: os._exit(1))
def time_child_calls_exit(): child(lambda: sys.exit(1))
def time_child_raises(): child(lambda: 1 / 0)
def time_child_goes_on(): child(lambda: None)
time_child_goes_on.number = 1

class Skipped:
    def setup(self): raise NotImplementedError
    def time_it(self): pass
"""

BAD = """\
def time_raises(): raise ValueError("no such account")
def time_exits(): sys.exit(3)
def time_ends(): os._exit(7)
def time_killed(): os.kill(os.getpid(), signal.SIGKILL)
def time_hangs(): threading.Event().wait()
def time_undecodable(): raise OSError("\\udcff")
class NoData:
    def setup(self): raise LookupError("no data")
    def time_it(self): pass
class NoCache:
    def setup_cache(self): return 1 / 0
    def time_it(self, cache): pass
class Unclean:
    def time_it(self): pass
    def teardown(self): raise RuntimeError("cannot clean up")
"""

DAEMON = """\
def time_leaves_a_daemon():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writer, str(os.getpid()).encode())
            signal.pause()
        os._exit(0)
    tell("daemon", os.read(reader, 20).decode())
time_leaves_a_daemon.number = 1
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Lay out a suite and two versions of a package, and give what launches them."""

    def build(files: Mapping[str, str]) -> Launcher:
        root = tmp_path_factory.mktemp("suite")
        trees = {side: root / side for side in SIDES}
        for side, tree in trees.items():
            (tree / "toy").mkdir(parents=True)
            (tree / "toy" / "__init__.py").write_text(f"SIDE = {side!r}\n", "utf-8")
        for name, text in {"__init__.py": "", **files}.items():
            path = root / "benchmarks" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(HEAD + text if text else "", "utf-8")
        (root / "told").mkdir()
        others: dict[Side, Side] = {"base": "candidate", "candidate": "base"}
        return Launcher(
            interpreter=Path(sys.executable),
            isolated=False,
            sides={
                side: {
                    "import_paths": [str(trees[side])],
                    "site_dirs": [],
                    "hidden_paths": [],
                    "foreign": [f"{trees[other]}{os.sep}"],
                }
                for side, other in others.items()
            },
            benchmark_dir=root / "benchmarks",
            variables={"TOLD": str(root / "told")},
            cpus=CpuPlan(),
            folder=root / "pairs",
            chance=random.Random(1),
            trees=tuple(trees.values()),
        )

    return build


class Running:
    """A launch pair of a suite, and short ways to ask it for one row."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.pair: LaunchPair = launcher.start()
        self.descriptions = self.pair.descriptions()

    def sides(self, name: str) -> dict[Side, SuiteRow]:
        """A row as each side describes it; of several parameters the first."""
        return {
            side: next(r for row, r in description.rows.items() if row.name == name)
            for side, description in self.descriptions.items()
        }

    def context(self, name: str, *, timeout_s: float = 30.0) -> RowContext:
        """What the row needs to run, its caches made."""
        sides, folder = self.sides(name), self.launcher.folder.parent / "caches"
        caches: dict[Side, Path | None] = dict.fromkeys(SIDES)
        for side, described in sides.items():
            if described.cache_key:
                place = caches[side] = folder / f"{name}-{side}"
                place.mkdir(parents=True)
                self.pair.make_cache(side, described, place, timeout_s=timeout_s)
        return RowContext(sides=sides, method="timed", timeout_s=timeout_s, caches=caches)

    def trial(self, name: str, *, timeout_s: float = 30.0) -> Trial:
        """Calibrate a row."""
        return calibrate(self.pair, self.context(name, timeout_s=timeout_s), cpus=())

    def measured(self, name: str, *, first: Side = "base") -> PairSummary:
        """Calibrate a row and measure it once."""
        context = self.context(name)
        trial = calibrate(self.pair, context, cpus=())
        assert trial.failures == ()
        assert trial.calibration is not None
        self.forget()
        measured = measure(
            self.pair,
            context,
            trial.calibration,
            number=0,
            first=first,
            closer=False,
            cpus=(),
            chance=random.Random(1),
        )
        assert isinstance(measured[""], PairSummary)
        return measured[""]

    def told(self, name: str, side: Side = "base") -> list[str]:
        """The words that benchmarks left under a name."""
        path = Path(self.launcher.variables["TOLD"], f"{side}-{name}")
        return path.read_text("utf-8").split()

    def forget(self) -> None:
        """Remove what benchmarks have told so far."""
        for path in Path(self.launcher.variables["TOLD"]).iterdir():
            path.unlink()


@pytest.fixture(scope="module")
def suite(start: Start) -> Iterator[Running]:
    """One launch pair for many tests, as it serves many rows in a check."""
    running = Running(start({"good.py": GOOD, "bad.py": BAD}))
    yield running
    running.pair.close()


# What twins are


def test_each_side_imports_its_own_source(suite: Running) -> None:
    """Base sees base's package and the candidate the candidate's, and neither the other's."""
    for side, description in suite.descriptions.items():
        assert Row(name="good.time_side", parameters=(repr(side),)) in description.rows
        assert description.own_packages == ("toy",)
        assert description.foreign_files == ()
        assert description.failures == ()
    for side in SIDES:
        assert suite.measured("good.time_side", first=side).base_s > 0


def test_twins_share_what_chance_gives_a_process(start: Start) -> None:
    """Hash seed, addresses and padding agree between twins and differ between launches."""
    launcher = start({"good.py": GOOD})
    seen = []
    for _ in range(2):
        pair = launcher.start()
        rows = [set(description.rows) for description in pair.descriptions().values()]
        pair.close()
        twins = [{row for row in side if row.name == "good.time_twin"} for side in rows]
        assert twins[0] == twins[1]
        seen.append(twins[0])
    assert seen[0] != seen[1]


def test_imports_lie_elsewhere_in_each_launch_if_they_are_to_move(start: Start) -> None:
    """By more than whole pages, as address randomisation moves them."""
    file = "def time_place(_): pass\ntime_place.params = [id(time_place.__name__) % 4096]\n"
    launcher = replace(start({"places.py": file}), moves_imports=True)
    places = []
    for _ in range(4):
        pair = launcher.start()
        places.append(set(pair.descriptions()["base"].rows))
        pair.close()
    assert any(place != places[0] for place in places)


def test_both_sides_describe_every_row(suite: Running) -> None:
    """All combinations of the parameters, in their order."""
    for description in suite.descriptions.values():
        each = [row.label for row in description.rows if row.name == "good.Each.time_it"]
        assert each == [f"good.Each.time_it({n}, {letter!r})" for n in (1, 2) for letter in "ab"]


# What is measured


def test_what_a_benchmark_prints_goes_nowhere(
    suite: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither standard stream disturbs the protocol or the terminal."""
    assert suite.measured("good.time_loud").base_s > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("index", range(4))
def test_a_row_gets_its_own_parameters(index: int, suite: Running) -> None:
    """Each combination runs with its own values, on both sides."""
    described = {
        side: next(
            r
            for row, r in description.rows.items()
            if row.name == "good.Each.time_it" and r.index == index
        )
        for side, description in suite.descriptions.items()
    }
    context = RowContext(
        sides=described, method="timed", timeout_s=30.0, caches=dict.fromkeys(SIDES)
    )
    suite.forget()
    assert calibrate(suite.pair, context, cpus=()).failures == ()
    for side in SIDES:
        assert set(suite.told("each", side)) == {["1a", "1b", "2a", "2b"][index]}


def test_the_cache_of_a_side_reaches_its_benchmark(suite: Running) -> None:
    """What setup_cache returned is the first argument, made by the side's own code."""
    assert suite.measured("good.Cached.time_it").candidate_s > 0


@pytest.mark.parametrize("name", ["Sort.time_sort", "Pop.time_pop"])
def test_a_call_that_uses_up_its_state_gets_fresh_state(name: str, suite: Running) -> None:
    """One call per sample, and setup again before each."""
    calibration = suite.trial(f"good.{name}").calibration
    assert calibration is not None
    assert (calibration.loops, calibration.renew) == (1, True)


def test_setup_runs_before_every_sample_of_one_call(suite: Running) -> None:
    """Once at the start, then before each sample, those to warm up included."""
    samples = suite.measured("good.Slow.time_it").samples
    for side in SIDES:
        first, *words = suite.told("slow", side)
        assert first == "setup"
        assert words == ["setup", "call"] * (len(words) // 2)
        assert len(words) // 2 > samples


def test_a_stated_number_is_kept_and_may_use_up_the_setup(suite: Running) -> None:
    """Three calls that need what one setup makes for three are three calls per sample."""
    calibration = suite.trial("good.Number.time_pop").calibration
    assert calibration is not None
    assert (calibration.loops, calibration.renew) == (3, True)
    assert suite.measured("good.Number.time_pop").base_s > 0


def test_state_that_lasts_for_some_samples_is_renewed_when_it_is_used_up(suite: Running) -> None:
    """A long list popped from does not break half-way through a launch pair."""
    assert suite.measured("good.PopMany.time_pop").base_s > 0


def test_a_benchmarks_own_timer_measures_it(suite: Running) -> None:
    """A clock that advances a millisecond between its readings says a millisecond."""
    calibration = suite.trial("good.time_own").calibration
    assert calibration is not None
    assert calibration.quantities[""].metric == "timer"
    summary = suite.measured("good.time_own")
    assert summary.base_s == pytest.approx(0.001 / calibration.loops)
    assert summary.base_s == pytest.approx(summary.candidate_s)


def test_a_threaded_benchmark_has_the_delays_of_all_its_threads_counted(suite: Running) -> None:
    """Where the work is done by other threads than the main one."""
    calibration = suite.trial("good.time_threads").calibration
    assert calibration is not None
    assert calibration.threads is not None
    summary = suite.measured("good.time_threads")
    # Never less than the work, to the nanosecond, never more than the wait: see inside/clocks.py.
    assert summary.base_cpu_s * 0.5 - 1e-9 <= summary.base_s
    assert summary.base_s <= summary.base_wall_s * (1 + 1e-9)


@pytest.mark.parametrize(
    "name", ["child_exits", "child_calls_exit", "child_raises", "child_goes_on"]
)
def test_the_child_of_a_benchmark_does_not_speak_for_it(name: str, suite: Running) -> None:
    """However a forked child ends, the benchmark that forked it is measured."""
    assert suite.measured(f"good.time_{name}").base_s > 0


def test_a_benchmark_may_skip_itself(suite: Running) -> None:
    """NotImplementedError in setup is no failure."""
    trial = suite.trial("good.Skipped.time_it")
    assert trial.skipped == frozenset(SIDES)
    assert trial.failures == ()


# What fails


@pytest.mark.parametrize(
    ("name", "stage", "kind", "message"),
    [
        ("time_raises", "calibration", "ValueError", "ValueError: no such account"),
        ("time_exits", "calibration", "SystemExit", "SystemExit: it called exit(3)"),
        ("time_ends", "calibration", "exit", "ended its process with exit code 7"),
        ("time_killed", "calibration", "signal", "killed by SIGKILL"),
        ("time_hangs", "calibration", "timeout", "took longer than its time limit of 0.5 s"),
        ("time_undecodable", "calibration", "OSError", "OSError: \\udcff"),
        ("NoData.time_it", "setup", "LookupError", "LookupError: no data"),
    ],
)
def test_a_failure_says_what_happened_and_harms_no_other_row(
    name: str, stage: str, kind: str, message: str, suite: Running
) -> None:
    """Both sides fail the same way, and the next row of the same launch pair works."""
    timeout_s = 0.5 if name == "time_hangs" else 30.0
    trial = suite.trial(f"bad.{name}", timeout_s=timeout_s)
    assert trial.calibration is None
    assert [(f.side, f.stage, f.kind, f.message) for f in trial.failures] == [
        (side, stage, kind, message) for side in SIDES
    ]
    assert suite.trial("good.time_good").failures == ()


def test_a_traceback_begins_in_the_benchmark(suite: Running) -> None:
    """A reader sees the benchmark's frames and none of groundspeed's."""
    failure = suite.trial("bad.time_raises").failures[0]
    assert "bad.py" in failure.traceback
    assert "groundspeed" not in failure.traceback


def test_a_cache_that_fails_says_so(suite: Running) -> None:
    """setup_cache runs before the row and fails by itself."""
    assert failing(lambda: suite.context("bad.NoCache.time_it")) == (
        "setup_cache",
        "ZeroDivisionError",
    )
    assert suite.trial("good.time_good").failures == ()


def test_a_teardown_that_fails_fails_the_launch_pair(suite: Running) -> None:
    """A benchmark that cannot clean up is broken, though its samples were taken."""
    assert failing(lambda: suite.measured("bad.Unclean.time_it")) == ("teardown", "RuntimeError")
    assert suite.trial("good.time_good").failures == ()


def failing(action: Callable[[], object]) -> tuple[str, str]:
    """The stage and kind of the failure that an action ends in."""
    with pytest.raises(RowFailedError) as caught:
        action()
    failure: Failure = caught.value.failure
    return failure.stage, failure.kind


def test_a_file_that_cannot_be_imported_leaves_the_others(start: Start) -> None:
    """Each broken file is a failure of its side with its name; the good file's rows are there."""
    files = {"good.py": GOOD, "broken.py": "def (", "exits.py": "sys.exit(1)"}
    running = Running(start(files))
    running.pair.close()
    for side, description in running.descriptions.items():
        assert {(f.side, f.stage, f.kind) for f in description.failures} == {
            (side, "import of benchmarks.broken", "SyntaxError"),
            (side, "import of benchmarks.exits", "SystemExit"),
        }
        assert any(row.name == "good.time_good" for row in description.rows)


def test_a_suite_that_ends_the_interpreter_is_broken(start: Start) -> None:
    """Nothing can be measured, and the message says which side and what to try."""
    pair = start({"ends.py": "os._exit(3)"}).start()
    with pytest.raises(BrokenError, match="base: the interpreter ended or hung while it imported"):
        pair.descriptions()
    pair.close()


def test_a_suite_that_starts_threads_is_imported_in_each_row(start: Start) -> None:
    """The threads are counted; imported after the fork, the row runs with its own."""
    threaded = "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    running = Running(start({"good.py": threaded + GOOD}))
    assert {d.threads for d in running.descriptions.values()} == {1}
    running.pair.close()
    running.launcher.import_in_row = True
    running.pair = running.launcher.start()
    assert running.pair.descriptions() == {}
    assert running.measured("good.time_good").base_s > 0
    running.pair.close()


# What is left


@needs_pidfd
def test_no_process_outlives_its_launch_pair(start: Start) -> None:
    """The interpreter, both twins and a daemon that escaped its row all end with the pair."""
    running = Running(start({"daemon.py": DAEMON}))
    assert running.trial("daemon.time_leaves_a_daemon").failures == ()
    daemons = {int(pid) for side in SIDES for pid in running.told("daemon", side)}
    launch = psutil.Process(running.pair._process.pid)
    pids = {launch.pid, *(process.pid for process in launch.children(recursive=True))}
    assert daemons < pids
    handles = [os.pidfd_open(pid) for pid in pids]
    running.pair.close()
    try:
        for handle in handles:
            assert select.select([handle], [], [], 10.0)[0] == [handle]
    finally:
        for handle in handles:
            os.close(handle)


def test_a_twin_that_was_killed_fails_its_rows(start: Start) -> None:
    """Rows of a launch pair whose interpreter is gone say so instead of waiting for it."""
    running = Running(start({"good.py": GOOD}))
    for twin in psutil.Process(running.pair._process.pid).children():
        twin.kill()
    for _ in range(2):
        (failure,) = running.trial("good.time_good").failures
        assert (failure.stage, failure.kind) == ("setup", "exit")
        assert failure.message == "its interpreter ended"
    running.pair.close()


def test_a_launch_pair_leaves_no_files(start: Start) -> None:
    """The working folders of the rows are removed with the pair."""
    running = Running(start({"good.py": GOOD}))
    assert running.trial("good.time_good").failures == ()
    assert any(running.launcher.folder.iterdir())
    running.pair.close()
    assert not any(running.launcher.folder.iterdir())


def test_a_system_without_fork_is_told_what_to_do(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where twins cannot be, the message names the ways out and nothing is started."""
    launcher = start({"good.py": GOOD})
    monkeypatch.delattr(os, "fork")
    with pytest.raises(BrokenError, match="WSL"):
        launcher.start()
    assert not launcher.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_a_launch_pair_leaves_nobody_to_reap(start: Start) -> None:
    """What it started is reaped too, for process 1 of a container may not do so."""
    script = (
        "import ctypes, os, pickle, sys\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # whoever is left falls to this process
        "launcher = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "early = launcher.start(); early.close()\n"
        "pair = launcher.start(); described = pair.descriptions()\n"
        "rows = {s: next(iter(d.rows.values())) for s, d in described.items()}\n"
        "caches = dict.fromkeys(rows)\n"
        "with pair.row(rows, timeout_s=30, caches=caches, method='timed', cpus=()) as processes:\n"
        "    [p.answer('setup') for p in processes.values()]\n"
        "pair.close()\n"
        "try:\n"
        "    print(os.waitpid(-1, os.WNOHANG))\n"
        "except ChildProcessError:\n"
        "    print('nobody')\n"
    )
    launcher = start({"good.py": GOOD})
    arguments = [sys.executable, "-c", script, pickle.dumps(launcher).hex()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("nobody\n", "")
