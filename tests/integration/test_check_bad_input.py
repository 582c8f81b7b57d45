"""`groundspeed check` as a user meets it, with every bad input we know: one clear message each."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

CHECK = [sys.executable, "-m", "groundspeed.cli", "check"]
# What is not about small effects asks for large ones only, so that no noise can decide a test.
COARSE = ("--min-effect", "20%")

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "toy"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["src/toy"]
"""
CONFIGURATION = '{"version": 1, "project": "toy", "repo": ".", "benchmark_dir": "benchmarks"}'
SOURCE = "def work():\n    for _ in range({units}):\n        pass\n"
BENCHMARKS = "import toy\n\ndef time_work():\n    toy.work()\n"
DIFFICULT = """
import os, sys, time

def time_raises():
    raise ValueError("no such luck")

def time_exits():
    sys.exit(3)

def time_ends_its_process():
    os._exit(4)

def time_hangs():
    time.sleep(1000)
time_hangs.timeout = 0.5

def time_spins():
    while True:
        pass
time_spins.timeout = 0.5

def time_dies():
    os.kill(os.getpid(), 11)

def time_forks():
    if os.fork() == 0:
        return
    os.wait()
time_forks.number = 1

def time_leaves_a_daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "4321"])
        os._exit(0)
    os.wait()
time_leaves_a_daemon.number = 1

def time_changes_folder():
    os.chdir("/")

def time_prints():
    os.write(1, b"x" * 100_000)
    os.write(2, b"y" * 1000)

class Skipped:
    def setup(self):
        raise NotImplementedError
    def time_skipped(self):
        pass

class Parameters:
    params = ([1, 2], ["a"])
    def time_second_fails(self, number, letter):
        assert number == 1

class Cached:
    def setup_cache(self):
        raise OSError("no cache today")
    def time_cached(self, cache):
        pass
"""


class Project:
    """A toy project in a git repository, and the command run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("pyproject.toml", PROJECT)
        self.write("asv.conf.json", CONFIGURATION)
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/core.py", BENCHMARKS)
        self.commit(100)

    def git(self, *arguments: str) -> None:
        """Run git with an identity of its own."""
        identity = ["-c", "user.name=Toy", "-c", "user.email=toy@example.invalid"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, units: int) -> None:
        """Commit everything, with so many units of work."""
        self.write("src/toy/__init__.py", SOURCE.format(units=units))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"{units} units")

    def check(
        self, *arguments: str, before: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `groundspeed check` to its end."""
        return subprocess.run(
            [*CHECK, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=before,
        )

    def judged(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run it and read its JSON: the exit code and the record."""
        path = self.root.parent / "record.json"
        done = self.check(*arguments, "--no-record", "--output", f"json:{path}")
        assert path.exists(), done.stderr
        return done.returncode, json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two commits of the same work, the working tree clean."""
    project = Project(tmp_path / "toy")
    project.commit(100)
    return project


@pytest.fixture(autouse=True)
def nothing_is_left_behind(
    tmp_path: Path, own_cache_folder: Path, request: pytest.FixtureRequest
) -> Iterator[None]:
    """After every test no process, no worktree and no private folder of a check is left."""
    yield
    deadline = time.monotonic() + 10
    while (left := _processes_below(own_cache_folder)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel ends them; there is nothing to wait on
    assert not left
    runs = own_cache_folder / "groundspeed" / "runs"
    if "killed" not in request.node.name:
        assert not runs.exists() or not [p for p in runs.iterdir() if p.is_dir()]
    if (tmp_path / "toy" / ".git").exists():
        assert not (tmp_path / "toy" / ".git" / "worktrees").exists()


def _processes_below(folder: Path) -> list[list[str]]:
    """Command lines of processes that a check with this cache folder has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and (
                process.environ().get("XDG_CACHE_HOME") == os.fspath(folder)
            ):
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def outcome(record: dict[str, Any], name: str) -> str:
    """The outcome of the one row with this name."""
    rows = [c for c in record["comparisons"] if c["row"]["name"].endswith(name)]
    assert len(rows) == 1, (name, rows)
    return str(rows[0]["outcome"])


def message(record: dict[str, Any], name: str) -> str:
    """All that is said of the failing of a row."""
    (row,) = [c for c in record["comparisons"] if c["row"]["name"].endswith(name)]
    return " | ".join(failure["message"] for failure in row["failures"])


def test_every_difficult_benchmark_is_judged_and_disturbs_no_other(project: Project) -> None:
    """Whatever a benchmark does, it gets its own outcome and the others theirs."""
    project.write("benchmarks/difficult.py", DIFFICULT)
    project.write("benchmarks/no_python.py", "def time_x(: pass\n")
    code, record = project.judged("HEAD~1", "--budget", "60", *COARSE)
    steady = {"time_work", "time_changes_folder", "time_prints"}
    assert {outcome(record, name) for name in steady} == {"same"}
    # What a fork costs varies with all else the machine does; it may stay undecided.
    for name in ("time_forks", "time_leaves_a_daemon"):
        assert outcome(record, name) in {"same", "undecided"}
    assert outcome(record, "time_skipped") == "skipped"
    expected = {
        "time_raises": "ValueError: no such luck",
        "time_exits": "exit(3)",
        "time_ends_its_process": "exit code 4",
        "time_hangs": "time limit of 0.5 s",
        "time_spins": "time limit of 0.5 s",
        "time_dies": "SIGSEGV",
        "time_cached": "no cache today",
    }
    for name, text in expected.items():
        assert outcome(record, name) == "broken"
        assert text in message(record, name)
    seconds = {
        tuple(c["row"]["parameters"]): c["outcome"]
        for c in record["comparisons"]
        if c["row"]["name"].endswith("time_second_fails")
    }
    assert seconds == {("1", "'a'"): "same", ("2", "'a'"): "broken"}
    assert {f["side"] for f in record["file_failures"]} == {"base", "candidate"}
    assert "SyntaxError" in record["file_failures"][0]["message"]
    assert code == 5
    assert record["verdict"] == "block"


def test_a_row_that_base_cannot_run_has_no_baseline(project: Project) -> None:
    """A new function's benchmark is told apart from a broken one, and warns only."""
    project.write("src/toy/__init__.py", SOURCE.format(units=100) + "def new():\n    pass\n")
    project.write("benchmarks/new.py", "import toy\n\ndef time_new():\n    toy.new()\n")
    code, record = project.judged("HEAD", *COARSE)
    assert outcome(record, "time_new") == "no baseline"
    assert outcome(record, "time_work") == "same"
    assert (code, record["verdict"]) == (0, "warn")


def test_a_file_that_only_the_candidate_can_import_has_no_baseline(project: Project) -> None:
    """The rows of a file that base cannot import are new; nothing is broken."""
    project.write("src/toy/extra.py", "VALUE = 1\n")
    project.write("benchmarks/extra.py", "import toy.extra\n\ndef time_extra():\n    pass\n")
    code, record = project.judged("HEAD", *COARSE)
    assert outcome(record, "time_extra") == "no baseline"
    assert "toy.extra" in message(record, "time_extra")
    assert (code, record["verdict"]) == (0, "warn")


def test_nothing_that_base_can_run_is_no_baseline(project: Project) -> None:
    """With no row to compare the exit code is 4."""
    project.write("src/toy/__init__.py", "def new():\n    pass\n")
    project.write("benchmarks/core.py", "import toy\n\ndef time_new():\n    toy.new()\n")
    code, record = project.judged("HEAD", *COARSE)
    assert (code, record["verdict"]) == (4, "inconclusive")


def test_a_row_that_the_candidate_lost_is_broken(project: Project) -> None:
    """A benchmark that worked on base and fails now blocks."""
    project.write("src/toy/__init__.py", "")
    code, record = project.judged("HEAD", *COARSE)
    assert outcome(record, "time_work") == "broken"
    assert "AttributeError" in message(record, "time_work")
    assert (code, record["verdict"]) == (5, "block")


def test_slower_code_blocks(project: Project) -> None:
    """A plain slowdown of the working tree ends with exit code 1."""
    project.write("src/toy/__init__.py", SOURCE.format(units=150))
    code, record = project.judged("HEAD", *COARSE)
    assert (code, record["verdict"]) == (1, "block")
    (row,) = record["comparisons"]
    assert row["outcome"] == "slower"
    # What the rule promises: the mean is beyond the minimum effect, the interval beyond no change.
    assert row["ratio"] >= 1.2
    assert row["ratio_low"] > 1.0


def test_a_budget_too_small_for_one_look_is_undecided(project: Project) -> None:
    """When the time ends first nothing is said in either direction: exit code 3."""
    code, record = project.judged("HEAD~1", "--budget", "0.01")
    assert outcome(record, "time_work") == "undecided"
    assert (code, record["verdict"]) == (3, "inconclusive")


def test_exit_zero_reports_only(project: Project) -> None:
    """--exit-zero keeps the verdict and drops the code."""
    done = project.check("HEAD~1", "--budget", "0.01", "--exit-zero")
    assert done.returncode == 0
    assert done.stdout.startswith("INCONCLUSIVE")


def test_not_a_repository(tmp_path: Path) -> None:
    """Outside git: what was seen, what is needed, what to type."""
    done = subprocess.run(CHECK, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "git init" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nosuch"], 2, "nosuch"),
        (["HEAD~1", "maim"], 2, "main"),
        (["HEAD~1", "-b", "nosuch"], 2, "core.time_work"),
        (["HEAD~1", "-b", "("], 2, "regular expression"),
        (["HEAD~1", "--config", "nosuch.json"], 2, "nosuch.json"),
        (["HEAD~1", "--min-effect", "0"], 2, "above 0"),
        (["HEAD~1", "--false-alarms", "70%"], 2, "0.5"),
        (["HEAD~1", "-o", "json:nosuch/record.json"], 2, "nosuch"),
        (["HEAD~1", "--outptu", "x"], 2, "--output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_the_command(
    project: Project, arguments: list[str], code: int, text: str
) -> None:
    """Each names what it got and helps on; none measures first."""
    done = project.check(*arguments)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_suite(project: Project) -> None:
    """Without an asv.conf.json the message shows how to begin."""
    (project.root / "asv.conf.json").unlink()
    done = project.check()
    assert done.returncode == 2
    assert "benchmark_dir" in done.stderr


def test_shallow_clone_without_the_base(project: Project, tmp_path: Path) -> None:
    """A shallow clone is told how to fetch the rest."""
    clone = tmp_path / "clone"
    source = f"file://{project.root}"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", source, clone], check=True)
    done = subprocess.run(CHECK, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "git fetch --unshallow" in done.stderr


def test_first_commit_has_no_baseline(tmp_path: Path) -> None:
    """One commit alone cannot be compared."""
    done = Project(tmp_path / "toy").check()
    assert done.returncode == 4
    assert "first commit" in done.stderr


def test_a_commit_that_does_not_build(project: Project) -> None:
    """A broken build names the side and the command's last words, and is never slower."""
    broken = PROJECT.replace("hatchling.build", "hatchling.nosuch")
    project.write("pyproject.toml", broken.replace('"1.0"', '"1.0"\ndependencies = []'))
    done = project.check("HEAD", "--env", "wheel")
    assert done.returncode == 5
    assert "candidate" in done.stderr
    assert "hatchling.nosuch" in done.stderr
    assert "Traceback" not in done.stderr.splitlines()[0]


def test_a_folder_that_cannot_keep_records(project: Project) -> None:
    """The verdict stands when no record can be kept, and says so."""
    project.write("results/checks", "a file where a folder should be")
    done = project.check("HEAD~1", *COARSE)
    assert done.returncode == 0
    assert done.stdout.startswith("PASS")
    assert "no record was kept" in done.stderr


def test_records_are_whole_and_named_by_time(project: Project) -> None:
    """Two checks leave two records that read back, and nothing else."""
    for _ in range(2):
        assert project.check("HEAD~1", *COARSE).returncode == 0
    records = sorted((project.root / "results" / "checks").iterdir())
    assert len(records) == 2
    for record in records:
        assert json.loads(record.read_text("utf-8"))["schema"] == "groundspeed.check/1"


def test_full_disk_for_the_output(project: Project) -> None:
    """A result that cannot be written is an error even when the verdict is pass."""
    done = project.check("HEAD~1", "--no-record", "--output", "json:/dev/full", *COARSE)
    assert done.returncode == 5
    assert "No space left" in done.stderr
    assert Path("/dev/full").is_char_device()


def test_full_disk_for_the_sources(project: Project) -> None:
    """When the private copies cannot be written, that is said and nothing stays."""
    project.write("src/toy/large.txt", "x" * 200_000)
    project.git("add", "--all")

    def nearly_full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = project.check("HEAD", before=nearly_full)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_interrupted(project: Project, own_cache_folder: Path, number: signal.Signals) -> None:
    """An interrupted check ends at once with 130 and keeps no record."""
    project.write("benchmarks/core.py", BENCHMARKS + "time_work.number = 100_000\n")
    process = subprocess.Popen(CHECK, cwd=project.root, stderr=subprocess.PIPE, text=True)
    _wait_until_measuring(own_cache_folder)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in complaint
    assert "Traceback" not in complaint
    assert not (project.root / "results").exists()


def test_killed_check_leaves_no_process_and_the_next_one_tidies_up(
    project: Project, own_cache_folder: Path
) -> None:
    """After kill -9 the twins end by themselves, and the next check removes the private folder."""
    project.write("benchmarks/core.py", BENCHMARKS + "time_work.number = 100_000\n")
    process = subprocess.Popen(CHECK, cwd=project.root)
    _wait_until_measuring(own_cache_folder)
    process.kill()
    process.wait()
    runs = own_cache_folder / "groundspeed" / "runs"
    assert [p for p in runs.iterdir() if p.is_dir()]
    project.write("benchmarks/core.py", BENCHMARKS)
    assert project.check("HEAD~1", "--budget", "0.01").returncode == 3
    assert not [p for p in runs.iterdir() if p.is_dir()]


def _wait_until_measuring(cache: Path) -> None:
    """Until the twins run, which is when an interruption is worst."""
    deadline = time.monotonic() + 30
    while not any("launch.py" in part for line in _processes_below(cache) for part in line):
        assert time.monotonic() < deadline, "the check never began to measure"
        time.sleep(0.02)  # waiting for another process
    time.sleep(0.3)  # into the sampling


def test_an_interrupted_check_goes_on_where_it_was_killed(
    project: Project, own_cache_folder: Path
) -> None:
    """The same command takes over every launch pair that was measured whole, and then forgets."""
    project.write("benchmarks/core.py", BENCHMARKS + "time_work.number = 20_000\n")
    command = [*CHECK, "HEAD~1", *COARSE, "--no-record"]
    process = subprocess.Popen(command, cwd=project.root)
    journals = own_cache_folder / "groundspeed" / "journals"
    deadline = time.monotonic() + 60
    while not (kept := _pairs_kept(journals)):
        assert time.monotonic() < deadline, "no launch pair was kept"
        time.sleep(0.02)  # waiting for another process
    process.kill()
    process.wait()
    code, record = project.judged("HEAD~1", *COARSE)
    assert code == 0
    assert any("interrupted after" in warning for warning in record["warnings"])
    (row,) = record["comparisons"]
    numbers = [pair["pair"] for pair in row["pairs"]]
    assert numbers == list(range(len(numbers)))
    assert row["pairs"][0]["base_s"] == pytest.approx(kept[0])
    assert not list(journals.iterdir())


def _pairs_kept(journals: Path) -> list[float]:
    """Seconds of base in every launch pair that a journal holds."""
    text = b"".join(path.read_bytes() for path in journals.glob("*.jsonl"))
    whole = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
    pairs = [line["times"] for line in whole if line["type"] == "pair"]
    return [summary["base_s"] for times in pairs for summary in times.values()]


def test_shards_are_merged_to_the_verdict_of_the_whole(project: Project, tmp_path: Path) -> None:
    """What is slower in one part blocks the whole, and a part without rows is no obstacle."""
    project.write("benchmarks/core.py", BENCHMARKS + "\ndef time_steady():\n    sum(range(500))\n")
    project.commit(200)
    parts = [tmp_path / f"part{index}.json" for index in (1, 2, 3)]
    codes = []
    for index, part in enumerate(parts, start=1):
        options = ["--shard", f"{index}/3", "--no-record", "--output", f"json:{part}"]
        codes.append(project.check("HEAD~1", "HEAD", *COARSE, *options).returncode)
    assert sorted(codes) == [0, 0, 1]
    merged = tmp_path / "whole.json"
    done = subprocess.run(
        [*CHECK[:-1], "merge", *map(os.fspath, parts), "--no-record", "--output", f"json:{merged}"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    record = json.loads(merged.read_text(encoding="utf-8"))
    assert (done.returncode, record["slower"]) == (1, ["core.time_work"])
    assert record["same"] == ["core.time_steady"]
    assert record["shard"] is None


def test_two_checks_in_one_checkout_wait_for_each_other(project: Project) -> None:
    """Both come to their verdict, one after the other, each with a record of its own."""
    command = [*CHECK, "HEAD~1", *COARSE]
    both = [
        subprocess.Popen(command, cwd=project.root, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert len(list((project.root / "results" / "checks").glob("*.json"))) == 2


def test_values_are_compared_as_times_are(project: Project) -> None:
    """Tracked values and memory have a ratio, a unit and a verdict; coroutines are awaited."""
    project.write(
        "benchmarks/core.py",
        "import asyncio\nimport toy\n"
        "def track_units():\n    return toy.UNITS\n"
        "track_units.unit = 'units'\n"
        "def track_nothing():\n    return 0\n"
        "def track_text():\n    return 'many'\n"
        "def peakmem_list():\n    return [0] * 10_000\n"
        "async def time_awaited():\n    await asyncio.sleep(0)\n"
        "    for _ in range(200):\n        toy.work()\n"
        "def time_lost():\n    return asyncio.sleep(0)\n",
    )
    for units in (100, 150):
        project.write("src/toy/__init__.py", "")
        source = f"UNITS = {units}\n" + SOURCE.format(units=units)
        project.write("src/toy/__init__.py", source)
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", f"{units} tracked units")
    code, record = project.judged("HEAD~1", "HEAD", *COARSE)
    assert code == 1
    assert record["slower"] == ["core.track_units", "core.time_awaited"]
    assert {"core.track_nothing", "core.peakmem_list"} <= set(record["same"])
    (tracked,) = [c for c in record["comparisons"] if c["row"]["name"] == "core.track_units"]
    assert (tracked["ratio"], tracked["unit"]) == (pytest.approx(1.5), "units")
    assert "must be a number" in message(record, "track_text")
    assert "coroutine" in message(record, "time_lost")


def test_allocations_are_compared_where_they_are_asked_for(project: Project) -> None:
    """The peak of what a call allocates, on the benchmarks that are timed otherwise."""
    for size in (1000, 2000):
        project.write("src/toy/__init__.py", f"def work():\n    return [None] * {size}\n")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", f"a list of {size}")
    code, record = project.judged("HEAD~1", "HEAD", "--metric", "allocations")
    assert (code, record["slower"]) == (1, ["core.time_work"])
    (row,) = record["comparisons"]
    assert (row["metric"], row["unit"]) == ("allocations", "bytes")
    assert row["ratio"] == pytest.approx(2.0, rel=0.05)
