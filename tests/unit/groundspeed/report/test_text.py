import itertools
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundspeed.model import (
    Acceptance,
    AcceptanceState,
    AcceptedEntry,
    CheckRecord,
    Commit,
    Comparison,
    Failure,
    Ignored,
    Metric,
    Outcome,
    Row,
    Shard,
    Side,
    ValuePair,
)
from groundspeed.report.text import text_report

GOLDEN = Path(__file__).parents[3] / "golden"
SLOWER, FASTER, SAME = Outcome.SLOWER, Outcome.FASTER, Outcome.SAME
UNDECIDED, BROKEN, NO_BASELINE = Outcome.UNDECIDED, Outcome.BROKEN, Outcome.NO_BASELINE

SIDES: tuple[Side, Side] = ("base", "candidate")

Check = Callable[..., CheckRecord]
RowMaker = Callable[..., Comparison]

TRACEBACK = """\
Traceback (most recent call last):
  File "benchmarks/bench_io.py", line 12, in time_read
    read(path)
  File "toy/io.py", line 40, in read
    raise ValueError("no such table: accounts")
ValueError: no such table: accounts
"""


def assert_golden(name: str, text: str) -> None:
    """Compare with the kept text; on a difference leave what there was beside it."""
    expected, got = GOLDEN / f"{name}.txt", GOLDEN / f"{name}.got"
    if not expected.exists() or expected.read_text("utf-8") != text:
        got.write_text(text, "utf-8")
        pytest.fail(f"{got} differs from {expected}; if it reads better, rename it")
    got.unlink(missing_ok=True)


def failure(side: Side, stage: str, message: str, traceback: str = "") -> Failure:
    """A failure whose kind is what its message begins with."""
    kind = message.partition(":")[0]
    return Failure(side=side, stage=stage, kind=kind, message=message, traceback=traceback)


@pytest.fixture
def mixed(check: Check, row: RowMaker) -> CheckRecord:
    """Both directions, every unit, and a row judged by CPU time."""
    return check(
        row("search.time_exact", SAME, 1.002),
        row("search.time_prefix(10, 'ab')", SLOWER, 1.0531, base_s=942e-9),
        row("cache.time_get", FASTER, 0.871, base_s=61.4e-9, pairs=5),
        row("pool.time_threads(8)", SLOWER, 1.31, base_s=0.0183, metric="cpu", detectable=0.034),
        row("plan.time_join", UNDECIDED, 1.018, base_s=1.27, pairs=34),
    )


def test_pass(check: Check, row: RowMaker) -> None:
    """A check that passes says so first and lists only what changed."""
    record = check(
        row("search.time_exact", SAME, 1.002),
        row("search.time_prefix", SAME, 0.998, pairs=12, detectable=0.021),
        row("cache.time_get", FASTER, 0.871, base_s=61.4e-9, pairs=5),
    )
    text = text_report(record, kept_as="results/checks/20260301T120000Z-0f1e2d3c-8899aabb.json")
    assert_golden("text_pass", text)


def test_slower(mixed: CheckRecord) -> None:
    """A slowdown is first, worst on top, and the next command measures that row again."""
    assert_golden("text_slower", text_report(mixed))


def test_verbose(mixed: CheckRecord, check: Check, broken_row: RowMaker) -> None:
    """Verbose adds the unchanged rows, the skipped ones and whole tracebacks."""
    skip = failure("candidate", "setup", "skipped by its own setup")
    record = check(
        *mixed.comparisons,
        broken_row("io.time_read", BROKEN, failure("base", "sampling", "no table", TRACEBACK)),
        broken_row("io.time_write", Outcome.SKIPPED, skip),
    )
    assert_golden("text_verbose", text_report(record, verbose=True))


def test_undecided(check: Check, row: RowMaker, broken_row: RowMaker) -> None:
    """What the budget left undecided is named with the command that measures it again."""
    record = check(
        row("search.time_exact", SAME, 1.002),
        row("plan.time_join(2)", UNDECIDED, 1.018, base_s=1.27, pairs=12, detectable=0.06),
        row("plan.time_join(4)", UNDECIDED, 0.981, base_s=2.81, pairs=12, detectable=0.07),
        Comparison(row=broken_row("plan.time_scan", UNDECIDED).row, outcome=UNDECIDED),
    )
    assert_golden("text_undecided", text_report(record))


def test_undecided_after_every_look(check: Check, row: RowMaker) -> None:
    """More time gives no more launch pairs than the last look, so another setting is proposed."""
    record = check(row("plan.time_join", UNDECIDED, 1.01, pairs=34))
    assert_golden("text_out_of_looks", text_report(record))


def test_broken(check: Check, row: RowMaker, broken_row: RowMaker) -> None:
    """Broken rows and files say where and why; the same on both sides is said once."""
    record = check(
        row("search.time_exact", SAME, 1.002),
        broken_row(
            "io.time_read",
            BROKEN,
            *(
                failure(side, "calibration", "ValueError: no such table: accounts", TRACEBACK)
                for side in SIDES
            ),
        ),
        broken_row(
            "io.time_hang",
            BROKEN,
            failure("candidate", "sampling", "took longer than its time limit of 60 s"),
        ),
        broken_row(
            "io.time_new", NO_BASELINE, failure("base", "import", "this side does not define it")
        ),
        file_failures=(
            failure("base", "import of benchmarks.bench_old", "ImportError: no module named old"),
            failure(
                "candidate", "import of benchmarks.bench_new", "SyntaxError: '(' was never closed"
            ),
        ),
        warnings=("both sides are the same commit: this measures the gate itself",),
    )
    assert_golden("text_broken", text_report(record))


def test_no_rows_at_all(check: Check) -> None:
    """A check that measured nothing says that instead of claiming anything."""
    assert_golden("text_nothing", text_report(check()))


def test_unpinned_and_without_schedstat(check: Check, row: RowMaker) -> None:
    """What the machine cannot do is said."""
    record = check(row("search.time_exact", SAME, 1.002, metric="cpu"))
    machine = replace(record.machine, measuring_cpus=(), schedstat=False)
    text = text_report(replace(record, machine=machine))
    assert "not pinned (8 CPUs)" in text
    assert "CPU time was judged" in text


def test_next_commands_name_both_commits_and_quote(check: Check, row: RowMaker) -> None:
    """The proposed commands survive a shell and name the candidate unless it is the tree."""
    candidate = Commit(name="topic", sha="1234567890" * 4, subject="Change")
    record = check(
        row("a.time_b", SLOWER, 1.2), row("a.ünï code", SLOWER, 1.3), candidate=candidate
    )
    lines = text_report(record).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Next: "))
    again = shlex.split(lines[start].removeprefix("Next: "))
    assert again == ["groundspeed", "check", "0f1e2d3c", "12345678", "-b", "a.ünï code"]
    assert lines[start + 1].split() == ["git", "diff", "0f1e2d3c", "12345678"]


def test_many_undecided_are_measured_again_by_the_same_selection(
    check: Check, row: RowMaker
) -> None:
    """Rows too many to name are not cut off: the selection that found them is repeated."""
    rows = [row(f"a.time_{i}", UNDECIDED, 1.01) for i in range(9)]
    record = check(*rows)
    selected = replace(record, settings=replace(record.settings, selection=("^a", "b|c")))
    assert "Next: groundspeed check 0f1e2d3c\n" in text_report(record)
    assert "Next: groundspeed check 0f1e2d3c -b '^a' -b 'b|c'\n" in text_report(selected)


def test_long_lists_end_with_what_is_left_out(check: Check, row: RowMaker) -> None:
    """The forty largest changes are listed, then how many more there are; verbose has all."""
    rows = [row(f"a.time_{i:02d}", SLOWER, 1.1 + i / 100) for i in range(43)]
    brief, whole = (text_report(check(*rows), verbose=v).splitlines() for v in (False, True))
    last = brief.index("  and 3 more slower; --verbose lists all")
    assert brief[last - 1].split()[:2] == ["slower", "a.time_03"]
    assert sum(line.startswith("  slower") for line in whole) == 43


def test_no_label_is_cut_short(check: Check, row: RowMaker) -> None:
    """A label of any length is whole, and the column after it lines up."""
    label = "a.time_b(" + ", ".join(f"'{'x' * 40}{i}'" for i in range(9)) + ")"
    lines = text_report(check(row(label, SLOWER, 1.2), row("a.c", SLOWER, 1.1))).splitlines()
    listed = [line for line in lines if line.startswith("  slower")]
    assert label in listed[0]
    assert listed[0].index("1.200x") == listed[1].index("1.100x")


def test_style_adds_nothing_but_style(mixed: CheckRecord) -> None:
    """With the marks taken off, a styled report is the plain one."""
    marked = text_report(mixed, style=lambda text, kind: f"<{kind}>{text}</>")
    kinds = ("good", "bad", "doubt", "quiet", "strong")
    assert all(f"<{kind}>" in marked for kind in ("good", "bad", "quiet", "strong"))
    for mark in (*(f"<{kind}>" for kind in kinds), "</>"):
        marked = marked.replace(mark, "")
    assert marked == text_report(mixed)


IGNORED = Ignored(reason="process start-up is the system's", until="2027-01-31")
ACCEPTED = Acceptance(
    label="search.time_prefix(10, 'ab')",
    ratio_high=1.06,
    base="a" * 40,
    candidate="b" * 40,
    date="2026-02-27",
    reason="prefixes are normalised now",
)


def test_excused(check: Check, row: RowMaker, broken_row: RowMaker) -> None:
    """What is ignored or accepted is shown as it is, with the reason; it asks for no next step."""
    broken = broken_row("io.time_read", BROKEN, failure("candidate", "sampling", "no table"))
    entries = [
        AcceptedEntry(acceptance=ACCEPTED, state=AcceptanceState.IN_FORCE),
        AcceptedEntry(
            acceptance=replace(ACCEPTED, label="cache.time_get", ratio_high=2.5, date="2026-01-02"),
            state=AcceptanceState.SPENT,
        ),
    ]
    record = check(
        row("search.time_exact", SAME, 1.002),
        row("search.time_prefix(10, 'ab')", SLOWER, 1.0531, base_s=942e-9, accepted=ACCEPTED),
        row("pool.time_processes", SLOWER, 1.31, base_s=0.0183, ignored=IGNORED),
        row("plan.time_join", UNDECIDED, 1.018, base_s=1.27, pairs=34, ignored=IGNORED),
        row("plan.time_scan", SAME, 1.02, min_effect=0.05),
        replace(broken, ignored=IGNORED),
        accepted=tuple(entries),
    )
    assert record.exit_code == 0
    assert_golden("text_excused", text_report(record))


def valued(
    row: Comparison, base: float, candidate: float, *, unit: str, metric: Metric, **more: Any
) -> Comparison:
    """The same row of values that are no time."""
    pairs = tuple(ValuePair(pair=n, base=base, candidate=candidate) for n in range(len(row.pairs)))
    return replace(row, pairs=(), values=pairs, unit=unit, metric=metric, **more)


DAY = Row(name="tests/test_pool.py::test_day[8 threads]", quantity="acquired_per_s")


@pytest.fixture
def values(check: Check, row: RowMaker) -> CheckRecord:
    """Rows that are no times beside two that are; measured on two lanes, as one shard of two."""
    record = check(
        valued(
            row("suite.peakmem_load", SLOWER, 1.05),
            48.1e6,
            50.5e6,
            unit="bytes",
            metric="peak_memory",
            notes=("one launch pair in three is much larger than the others",),
        ),
        valued(
            replace(row("", SLOWER, 1.125), row=DAY),
            900.0,
            800.0,
            unit="per s",
            metric="recorded",
            direction="higher",
        ),
        valued(
            row("core.time_put", FASTER, 0.9, pairs=5),
            1_284_110.0,
            1_155_699.0,
            unit="instructions",
            metric="instructions",
        ),
        valued(row("core.track_ratio", SAME, 1.0), 0.87, 0.87, unit="unit", metric="track"),
        valued(
            row("core.mem_index", UNDECIDED, 1.01, pairs=34, detectable=0.021),
            512.0,
            517.0,
            unit="bytes",
            metric="memory",
        ),
        row("pool.time_acquire", FASTER, 0.93, metric="wall"),
        row("pool.time_release", SAME, 1.0, notes=("a call takes less than the clock can tell",)),
        shard=Shard(index=1, count=2, rows=13),
    )
    return replace(
        record,
        machine=replace(record.machine, measuring_cpus=(0, 1)),
        settings=replace(record.settings, lanes=2),
    )


def test_values(values: CheckRecord) -> None:
    """What is no time is worse or better, in its own unit, with what it is and its notes."""
    assert_golden("text_values", text_report(values))


def test_unchanged_rows_are_listed_for_their_notes(check: Check, row: RowMaker) -> None:
    """Eight at most, and how many more there are; without a note only verbose lists them."""
    noted = [row(f"a.time_{n}", SAME, 1.0, notes=("so short",)) for n in range(10)]
    record = check(*noted, row("a.time_plain", SAME, 1.0))
    brief, whole = (text_report(record, verbose=v).splitlines() for v in (False, True))
    assert brief.count("      so short") == 8
    assert "  and 2 more same with a note; --verbose lists all" in brief
    assert whole.count("      so short") == 10
    assert sum(line.startswith("  same") for line in whole) == 11


def test_a_long_note_is_wrapped(check: Check, row: RowMaker) -> None:
    """Below its row, whole, and no wider than a terminal."""
    note = "this benchmark is measured in a way that needs many words to be told of; " * 4
    lines = text_report(check(row("a.time_b", SLOWER, 1.2, notes=(note,)))).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  slower")) + 1
    told = list(itertools.takewhile(lambda line: line.startswith("      "), lines[start:]))
    assert " ".join(line.strip() for line in told) == note.strip()
    assert max(map(len, told)) <= 100


def test_the_next_check_finds_the_very_row(values: CheckRecord) -> None:
    """A test's name is no regular expression, and the metric that was asked for is kept."""
    worst = max(values.with_outcome(SLOWER), key=lambda c: c.ratio or 0.0)
    asked = replace(values, settings=replace(values.settings, metric="cpu", suite="pytest"))
    lines = text_report(asked).splitlines()
    again, _, accept = lines[next(i for i, line in enumerate(lines) if "Next: " in line) :][:3]
    *command, expression, suite, pytest_, option, metric = shlex.split(again.removeprefix("Next: "))
    assert command == ["groundspeed", "check", "0f1e2d3c", "-b"]
    assert re.fullmatch(expression, DAY.name)
    assert (suite, pytest_, option, metric) == ("--suite", "pytest", "--metric", "cpu")
    assert shlex.split(accept) == ["groundspeed", "accept", worst.row.label, "--reason", "WHY"]


@pytest.mark.parametrize(
    ("cpus", "lanes", "said"),
    [
        ((7,), 1, "pinned to CPU 7 (8 CPUs)"),
        ((), 1, "not pinned (8 CPUs)"),
        ((0, 1), 2, "2 lanes on CPUs 0 and 1 (8 CPUs)"),
        ((0, 2, 4), 3, "3 lanes on CPUs 0, 2 and 4 (8 CPUs)"),
        ((), 2, "2 lanes, not pinned (8 CPUs)"),
    ],
)
def test_lanes_and_cpus_are_told(
    check: Check, row: RowMaker, cpus: tuple[int, ...], lanes: int, said: str
) -> None:
    """How many rows were measured at once, and where."""
    record = check(row("a.time_b", SAME, 1.0))
    machine = replace(record.machine, measuring_cpus=cpus)
    settings = replace(record.settings, lanes=lanes)
    assert f"; {said}; seed 42." in text_report(replace(record, machine=machine, settings=settings))


def test_a_slower_row_that_counts_can_be_accepted(check: Check, row: RowMaker) -> None:
    """Of an accepted and a blocking row the blocking one is named, quoted for a shell."""
    record = check(
        row("search.time_prefix(10, 'ab')", SLOWER, 2.5, accepted=ACCEPTED),
        row("io.time_read('a b')", SLOWER, 1.2),
    )
    (line,) = [x for x in text_report(record).splitlines() if "groundspeed accept" in x]
    assert shlex.split(line) == ["groundspeed", "accept", "io.time_read('a b')", "--reason", "WHY"]


def test_an_undecided_row_with_a_rule_is_helped_by_its_rule(check: Check, row: RowMaker) -> None:
    """A larger --min-effect would not reach it."""
    record = check(row("plan.time_join", UNDECIDED, 1.018, pairs=34, min_effect=0.05))
    text = text_report(record)
    assert "Next: raise min-effect in the rules for these rows" in text
    assert "By rule that is 5 % for 1 row, with `same` within 15 %." in text


def test_counts_that_vary_are_left_to_time(check: Check, row: RowMaker) -> None:
    """More counts would not help where one side's own are apart, and no budget ended them."""
    counted = replace(
        row("pool.time_threads", UNDECIDED, 1.001),
        metric="instructions",
        unit="instructions",
        pairs=(),
        values=(ValuePair(pair=0, base=1000.0, candidate=1001.0),),
    )
    record = check(counted)
    record = replace(record, settings=replace(record.settings, metric="instructions"))
    (command,) = re.findall(r"^Next: (.*)$", text_report(record), re.MULTILINE)
    assert command.endswith("-b pool.time_threads")
    assert "--budget" not in text_report(record)
