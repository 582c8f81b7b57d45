"""The toy project of the evaluation, built with the real git: is its truth exact?

Work is counted, not timed: the bytecode instructions that one call of a row executes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.evaluation.toy import BASE, CASES, SLOWED, Case, build_toy, toy_commits

UNITS = 100
SLOWER = [case for case in CASES.values() if case.slowed]
COUNT = """
import itertools, json, sys
from benchmarks import plain, prepared, tables

def rows():
    for module in (plain, prepared, tables):
        name = module.__name__.rpartition(".")[2]
        for attribute, value in list(vars(module).items()):
            if attribute.startswith("time_"):
                yield f"{name}.{attribute}", False, value
            elif isinstance(value, type):
                yield from methods(name, value)

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
                yield label, prepared, lambda m=getattr(made, attribute), a=arguments: m(*a)

def instructions(function):
    count = 0
    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace
    function()
    sys.settrace(trace)
    function()
    sys.settrace(None)
    return count

print(json.dumps({l: {"prepared": p, "instructions": instructions(f)} for l, p, f in rows()}))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project's repository."""
    folder = tmp_path_factory.mktemp("evaluation") / "toy"
    build_toy(folder)
    return folder


@pytest.fixture(scope="module")
def counted(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Tag -> label of a row -> instructions that one call executes."""
    trees = tmp_path_factory.mktemp("trees")
    return {
        tag: {label: row["instructions"] for label, row in count(toy, tag, trees / tag).items()}
        for tag in (BASE, *(case.tag for case in CASES.values()))
    }


def count(toy: Path, tag: str, tree: Path) -> dict[str, dict[str, int]]:
    """Count in a process of its own: each commit has modules of the same names."""
    git(toy, "worktree", "add", "--quiet", "--detach", os.fspath(tree), tag)
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=True,
    )
    rows: dict[str, dict[str, int]] = json.loads(done.stdout)
    return rows


def git(folder: Path, *arguments: str) -> str:
    """What git says in that folder."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def test_suite_has_many_rows_and_few_of_them_are_prepared(toy: Path, tmp_path: Path) -> None:
    """At least 14 rows, at most two with a setup(), and the slowed ones among the others."""
    rows = count(toy, BASE, tmp_path / "tree")

    assert len(rows) >= 14
    assert sum(row["prepared"] for row in rows.values()) <= 2
    assert all(not rows[label]["prepared"] for label in SLOWED)


@pytest.mark.parametrize("case", SLOWER, ids=[case.name for case in SLOWER])
@pytest.mark.parametrize("label", sorted(SLOWED))
def test_a_slowed_row_does_exactly_that_many_more_units(
    counted: dict[str, dict[str, int]], case: Case, label: str
) -> None:
    """The added instructions are whole units, all alike, and what is no unit is next to nothing."""
    base, slower = counted[BASE][label], counted[case.tag][label]
    added_units = UNITS * (case.factor - 1)

    per_unit = (slower - base) / added_units
    overhead = base - UNITS * per_unit

    assert per_unit.denominator == 1
    assert per_unit > 20
    assert 0 < overhead < 0.01 * base
    assert slower / base == pytest.approx(float(case.factor), abs=0.01 * float(case.factor - 1))


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_other_row_does_the_same_work(counted: dict[str, dict[str, int]], case: Case) -> None:
    """A row that is not slowed executes as many instructions as on base, to the last one."""
    unchanged = set(counted[BASE]) - set(case.slowed)

    assert {r: counted[case.tag][r] for r in unchanged} == {r: counted[BASE][r] for r in unchanged}


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
