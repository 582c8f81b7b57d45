"""The evaluation with the real programs: what they print is read, and what they use is counted."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tools.evaluation.contest import private_environment
from tools.evaluation.reading import (
    asv_rule,
    read_asv,
    read_asv_table,
    read_groundspeed,
    rules_of,
)
from tools.evaluation.records import load
from tools.evaluation.toy import BASE, build_toy
from tools.evaluation.workloads import workload_of

from groundspeed.store.checks import read_record

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
CANDIDATE = "plus20"
# Mean seconds on base and candidate; the samples of both lie within a thousandth of them.
TIMES_S: dict[str, tuple[list[float | None], list[float | None]]] = {
    "loops.time_same": ([1e-3], [1e-3]),
    "loops.time_slower": ([1e-3], [1.2e-3]),
    "loops.time_bit_slower": ([1e-3], [1.07e-3]),
    "database.Table.time_faster": ([1e-3, 2e-3], [1e-3, 1.5e-3]),
    "loops.time_broken": ([1e-3], [None]),
}
PARAMETERS = {"database.Table.time_faster": [["100", "1000"]]}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs processes that fork")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy project's repository."""
    build_toy(tmp_path / "toy")
    return tmp_path / "toy"


def run_in(toy: Path, program: str, *arguments: str) -> str:
    """Start one of the two tools as the evaluation does, and give what it printed."""
    home = toy.parent / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [PROGRAMS / program, *arguments],
        cwd=toy,
        env=private_environment(os.environ, home=home, programs=PROGRAMS),
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def keep_asv_results(toy: Path) -> None:
    """Write result files as asv keeps them: both commits, every row of `TIMES_S`."""
    folder = toy / ".asv" / "results"
    (folder / "bench").mkdir(parents=True)
    benchmarks = {
        name: {"name": name, "params": PARAMETERS.get(name, []), "unit": "seconds", "version": "1"}
        for name in TIMES_S
    }
    (folder / "benchmarks.json").write_text(json.dumps({**benchmarks, "version": 2}))
    (folder / "bench" / "machine.json").write_text('{"machine": "bench", "version": 1}')
    for side, tag in enumerate((BASE, CANDIDATE)):
        commit = subprocess.check_output(["git", "rev-parse", tag], cwd=toy, text=True).strip()
        results = {
            name: asv_result(times[side], PARAMETERS.get(name, []))
            for name, times in TIMES_S.items()
        }
        kept = {
            "commit_hash": commit,
            "env_name": "env",
            "date": 0,
            "params": {"machine": "bench", "python": "3"},
            "python": "3",
            "requirements": {},
            "env_vars": {},
            "result_columns": [*COLUMNS],
            "results": results,
            "durations": {},
            "version": 2,
        }
        (folder / "bench" / f"{commit[:8]}-env.json").write_text(json.dumps(kept))


COLUMNS = (
    "result",
    "params",
    "version",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
)


def asv_result(means_s: list[float | None], parameters: list[list[str]]) -> list[Any]:
    """One benchmark's columns; ten samples, like asv takes."""

    def column(factor: float) -> list[float | None]:
        return [None if mean_s is None else mean_s * factor for mean_s in means_s]

    samples = [
        None if mean_s is None else [mean_s * (1 + 1e-4 * k) for k in range(-5, 5)]
        for mean_s in means_s
    ]
    ones = [None if mean_s is None else 1 for mean_s in means_s]
    tens = [None if mean_s is None else 10 for mean_s in means_s]
    spread = [column(0.999), column(1.001), column(0.9995), column(1.0005)]
    return [column(1.0), parameters, "1", *spread, ones, tens, samples]


def test_asv_compare_is_read_at_every_factor(toy: Path) -> None:
    """The real asv's table of the same results says more at a smaller factor."""
    keep_asv_results(toy)

    told = {f: run_in(toy, "asv", "compare", f"--factor={f}", BASE, CANDIDATE) for f in (1.1, 1.05)}
    strict, default = read_asv(told[1.05], 1.05), read_asv(told[1.1], 1.1)

    assert default.rule == asv_rule(1.1)
    assert default.slower == ("loops.slower",)
    assert strict.slower == ("loops.bit_slower", "loops.slower")
    assert strict.faster == default.faster == ("database.faster(1000)",)
    assert strict.broken == default.broken == ("loops.broken",)
    assert len(tuple(read_asv_table(told[1.1]))) == 6


def test_a_check_of_groundspeed_is_read(toy: Path, tmp_path: Path) -> None:
    """The record of a real check gives every measured row exactly one outcome."""
    path = tmp_path / "record.json"
    selection = ("--bench", "^loops.time_(sieve|grid)$", "--exit-zero", "--no-record")

    run_in(toy, "groundspeed", "check", *selection, "--output", f"json:{path}", BASE, "same")
    record = read_record(path)
    reading = read_groundspeed(record, "groundspeed")

    rows = {workload_of(comparison.row.label) for comparison in record.comparisons}
    assert rows == {"loops.sieve", "loops.grid"}
    assert set(reading.slower + reading.faster + reading.undecided + reading.broken) <= rows
    assert reading.broken == ()


# run_timed makes its process adopt orphans, which the test process must not do.
EVALUATE = """
import sys
from tools.evaluation.against_peers import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_tools_take_a_turn_and_all_of_it_is_kept(tmp_path: Path) -> None:
    """One turn of a small evaluation: prepared, run by both, read, kept, and shown."""
    tools = ("--tools", "groundspeed-pytest,pytest-benchmark")
    chosen = (*tools, "--kinds", "prepared", "--cases", "plus1", "--budget", "10")
    command = [sys.executable, "-c", EVALUATE, "--out", str(tmp_path), "--repeats", "1", *chosen]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True)
    evaluation = load(tmp_path / "runs.json")

    first, second = evaluation.runs
    assert (first.tool, first.place) == ("groundspeed-pytest", 0)
    assert (second.tool, second.place) == ("pytest-benchmark", 1)
    assert first.rows == second.rows == 4
    assert first.problem is second.problem is None
    assert tuple(reading.rule for reading in second.readings) == rules_of("pytest-benchmark")
    record = read_record(tmp_path / "logs" / "plus1-000-groundspeed-pytest.json")
    assert record.settings.min_effect == 0.005
    assert "== +1 %: 1 turn of 4 rows" in done.stdout
    assert evaluation.setting.kinds == ("prepared",)


RUN_TIMED = """
import os, pathlib, sys
from tools.evaluation.timing import run_timed
from tools.evaluation.records import EvaluationError
try:
    done = run_timed([sys.executable, "-c", sys.argv[1]], folder=pathlib.Path(),
                     environment=os.environ, timeout_s=float(sys.argv[2]))
    print(done.exit_code, done.cpu_s, done.output, sep="|")
except EvaluationError as error:
    print("gave up", error, sep="|")
"""
LEAVES_A_WORKER_BEHIND = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    while time.process_time() < 0.3: pass
    os.write(1, b"%f" % time.process_time())
os._exit(3)
"""
LEAVES_A_SLEEPER_BEHIND = """
import os, signal
child = os.fork()
if child == 0:
    os.setsid()
    os.close(1), os.close(2)
    signal.pause()
print(child, flush=True)
"""
NEVER_ENDS = "import signal; signal.pause()"


def run_timed_elsewhere(script: str, *, timeout_s: float) -> list[str]:
    """Exit code, CPU seconds and output of a script, or that it was given up and why."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_TIMED, script, str(timeout_s)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip().split("|")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to an ancestor")
def test_cpu_time_of_what_a_tool_does_not_wait_for_counts() -> None:
    """A tool is not cheaper for leaving its workers to others."""
    exit_code, cpu_s, worker_s = run_timed_elsewhere(LEAVES_A_WORKER_BEHIND, timeout_s=60)

    assert exit_code == "3"
    # Ticks of 10 ms, on both sides of the difference.
    assert float(cpu_s) >= float(worker_s) - 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to an ancestor")
def test_what_a_tool_leaves_running_is_ended() -> None:
    """A process left behind would take CPU from the next run."""
    _, _, sleeper = run_timed_elsewhere(LEAVES_A_SLEEPER_BEHIND, timeout_s=60)

    assert not psutil.pid_exists(int(sleeper))


def test_a_tool_that_does_not_end_is_given_up() -> None:
    """The evaluation stops with a way to go on instead of waiting for ever."""
    told, message = run_timed_elsewhere(NEVER_ENDS, timeout_s=0.2)

    assert told == "gave up"
    assert "--resume" in message


START_LOOPS = """
import os, sys
from tools.evaluation.busy import competing_loops
with competing_loops(2, limit_s=float(sys.argv[1])) as loops:
    print(*loops, flush=True)
    if sys.argv[2] == "wait":
        for loop in loops:
            os.waitid(os.P_PID, loop, os.WEXITED | os.WNOWAIT)
        print("ended", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def loops_of_another(*, limit_s: float, then: str = "go on") -> Iterator["subprocess.Popen[str]"]:
    """A process that keeps two loops until its standard input ends; ended at the latest here."""
    with subprocess.Popen(
        [sys.executable, "-c", START_LOOPS, str(limit_s), then],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as starter:
        try:
            yield starter
        finally:
            starter.kill()


def read_line(starter: "subprocess.Popen[str]") -> list[str]:
    """The words of the next line it prints."""
    assert starter.stdout is not None
    return starter.stdout.readline().split()


def test_loops_run_within_the_block_and_end_with_it() -> None:
    """Both loops are there when the block begins, and gone when it has ended."""
    with loops_of_another(limit_s=60) as starter:
        loops = [psutil.Process(int(pid)) for pid in read_line(starter)]

        assert len(loops) == 2
        assert all(loop.is_running() for loop in loops)
        starter.communicate("")
        assert not any(loop.is_running() for loop in loops)


def test_loops_end_when_their_time_is_up() -> None:
    """A block that never ends does not keep the machine busy for ever."""
    with loops_of_another(limit_s=0.01, then="wait") as starter:
        read_line(starter)

        assert read_line(starter) == ["ended"]


def test_loops_end_when_who_started_them_is_gone() -> None:
    """Whoever was killed cannot end its loops, so they see to it themselves."""
    with loops_of_another(limit_s=60) as starter:
        assert len(read_line(starter)) == 2
        starter.kill()

        # The loops hold standard error open too: it ends when the last of them has.
        assert starter.communicate(timeout=50)[1] == ""
