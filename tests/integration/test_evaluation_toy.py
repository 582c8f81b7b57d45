"""The toy project of the evaluation, built with the real git: is its truth exact?

Work is counted, not timed: the bytecode instructions that one call of a row executes in the calling
thread. What the benchmark files themselves add is left out, so that both suites can be compared.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tools.evaluation.toy import BASE, CASES, Case, build_toy, check_out, toy_commits
from tools.evaluation.workloads import KINDS, SLOWED, kind_of, workload_of

UNITS = 100
ROWS = 50
SLOWER = [case for case in CASES.values() if case.factor > 1]
# How often a thread has to wait for another one depends on the moment.
NOT_COUNTED = {"workers.pool", "workers.contended", "workers.start"}
INSTRUCTIONS = """
import os, sys

def instructions(function, *arguments):
    count = 0
    def trace(frame, event, _):
        nonlocal count
        folder = os.path.basename(os.path.dirname(frame.f_code.co_filename))
        if folder not in ("benchmarks", "tests"):
            frame.f_trace_opcodes = True
            count += event == "opcode"
        return trace
    function(*arguments)
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(None)
    return count

# Python 3.12.1 counts none until it was asked once.
instructions(lambda: None)
"""
COUNT_ASV = """
import gc, importlib, json, pathlib
from counting import instructions
from toy import objects

def rows():
    for path in sorted(pathlib.Path("benchmarks").glob("[a-z]*.py")):
        module = importlib.import_module(f"benchmarks.{path.stem}")
        for attribute, value in list(vars(module).items()):
            if attribute.startswith("time_"):
                yield f"{path.stem}.{attribute}", False, value, ()
            elif isinstance(value, type):
                yield from methods(path.stem, value)

def methods(name, owner):
    for attribute in dir(owner):
        if attribute.startswith("time_"):
            for parameter in getattr(owner, "params", [None]):
                made = owner()
                prepared = hasattr(made, "setup")
                if prepared:
                    made.setup()
                arguments = () if parameter is None else (parameter,)
                label = f"{name}.{owner.__name__}.{attribute}"
                label += f"({parameter})" if arguments else ""
                yield label, prepared, getattr(made, attribute), arguments

def collections(calls):
    before = sum(generation["collections"] for generation in gc.get_stats())
    for _ in range(calls):
        objects.cycles()
    return sum(generation["collections"] for generation in gc.get_stats()) - before

counted = {label: (prepared, instructions(f, *a)) for label, prepared, f, a in rows()}
print(json.dumps({"rows": counted, "collections": collections(100)}))
"""
# Stands in for pytest-benchmark's fixture.
COUNT_PYTEST = """
import json, pytest
from counting import instructions

COUNTED = {}

class Benchmark:
    def __init__(self, label):
        self.label = label
    def __call__(self, function, *arguments):
        COUNTED[self.label] = instructions(function, *arguments)
    def pedantic(self, function, *, setup, rounds):
        self(function, *setup()[0])

@pytest.fixture
def benchmark(request):
    return Benchmark(request.node.nodeid)

def pytest_unconfigure():
    with open("counted.json", "w") as file:
        json.dump(COUNTED, file)
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project's repository."""
    folder = tmp_path_factory.mktemp("evaluation") / "toy"
    build_toy(folder)
    return folder


@pytest.fixture(scope="module")
def suites(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Tag -> label of an asv row -> whether it is prepared, and its instructions."""
    trees = tmp_path_factory.mktemp("trees")
    tags = (BASE, *(case.tag for case in CASES.values()))
    return {tag: json.loads(count(toy, tag, trees / tag, "-c", COUNT_ASV)) for tag in tags}


@pytest.fixture(scope="module")
def counted(suites: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Tag -> workload -> instructions that one call executes."""
    return {
        tag: {workload_of(label): row[1] for label, row in suite["rows"].items()}
        for tag, suite in suites.items()
    }


def count(toy: Path, tag: str, tree: Path, *arguments: str) -> str:
    """Count in a process of its own: each commit has modules of the same names."""
    check_out(toy, tag, tree)
    (tree / "counting.py").write_text(INSTRUCTIONS)
    (tree / "counting_plugin.py").write_text(COUNT_PYTEST)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(("src", ".")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    """What git says in that folder."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def test_suite_has_rows_of_every_kind(suites: dict[str, dict[str, Any]]) -> None:
    """Fifty rows, every kind of work among them, and the slowed ones need no setup()."""
    rows = {workload_of(label): row for label, row in suites[BASE]["rows"].items()}

    assert len(rows) == len(suites[BASE]["rows"]) == ROWS
    assert {kind_of(workload) for workload in rows} == set(KINDS)
    assert not any(prepared for workload, (prepared, _) in rows.items() if workload in SLOWED)


def test_both_suites_do_the_same_work(
    toy: Path, tmp_path: Path, counted: dict[str, dict[str, int]]
) -> None:
    """Every row is a test too, which executes the same instructions of the toy's own code."""
    pytest_run = ("-m", "pytest", "-q", "-p", "counting_plugin")
    count(toy, BASE, tmp_path / "tree", *pytest_run)

    found = json.loads((tmp_path / "tree" / "counted.json").read_text())
    tests = {workload_of(label): instructions for label, instructions in found.items()}

    assert tests.keys() == counted[BASE].keys()
    assert len(tests) == len(found)
    assert without(tests, NOT_COUNTED) == without(counted[BASE], NOT_COUNTED)


def without(rows: dict[str, int], left_out: set[str]) -> dict[str, int]:
    """The rows that are not left out."""
    return {row: value for row, value in rows.items() if row not in left_out}


@pytest.mark.parametrize("case", SLOWER, ids=[case.name for case in SLOWER])
@pytest.mark.parametrize("workload", sorted(SLOWED))
def test_a_slowed_row_does_exactly_that_many_more_units(
    counted: dict[str, dict[str, int]], case: Case, workload: str
) -> None:
    """The added instructions are whole units, all alike, and what is no unit is next to nothing."""
    base, slower = counted[BASE][workload], counted[case.tag][workload]
    added_units = UNITS * (case.factor - 1)

    per_unit = (slower - base) / added_units
    overhead = base - UNITS * per_unit

    assert per_unit.denominator == 1
    assert per_unit > 10
    assert 0 < overhead < 0.01 * base
    assert slower / base == pytest.approx(float(case.factor), abs=0.01 * float(case.factor - 1))


def test_more_garbage_is_collected_more_often(suites: dict[str, dict[str, Any]]) -> None:
    """The collector really runs, and as many times more often as there is more garbage."""
    collections = {case.factor: suites[case.tag]["collections"] for case in CASES.values()}

    assert collections[CASES["aa"].factor] >= 20
    for factor, collected in collections.items():
        assert collected == pytest.approx(float(factor) * collections[CASES["aa"].factor], abs=2)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_other_row_does_the_same_work(counted: dict[str, dict[str, int]], case: Case) -> None:
    """A row that is not slowed executes as many instructions as on base, to the last one."""
    left_out = NOT_COUNTED | (set(SLOWED) if case.factor > 1 else set())

    assert without(counted[case.tag], left_out) == without(counted[BASE], left_out)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_commits_differ_from_base_in_one_file(toy: Path, case: Case) -> None:
    """Identical code is another source text too, so that no gate can tell it by its hash."""
    assert git(toy, "diff", "--name-only", BASE, case.tag) == "src/toy/work.py"
    assert git(toy, "rev-parse", f"{case.tag}^") == git(toy, "rev-parse", BASE)


def test_project_is_the_same_wherever_it_is_built(toy: Path, tmp_path: Path) -> None:
    """Two builds give the same commits, so that evaluations of two machines can be compared."""
    assert build_toy(tmp_path / "again") == toy_commits(toy)
    assert git(tmp_path / "again", "status", "--porcelain") == ""


def test_another_folder_is_no_toy_project(tmp_path: Path) -> None:
    """A folder that was left half-built is refused rather than measured."""
    git(tmp_path, "init", "--quiet")

    with pytest.raises(ValueError, match="no complete toy repository"):
        toy_commits(tmp_path)
