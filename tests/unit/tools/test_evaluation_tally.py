"""From runs to tables, and which turns are left."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from tools.evaluation.against_peers import order_of_tools, turns_left
from tools.evaluation.reading import rules_of
from tools.evaluation.records import SCHEMA, TOOLS, Evaluation, Reading, Run, Setting, Tool
from tools.evaluation.tally import (
    format_share,
    format_span,
    paired_ratios,
    report,
    score,
    told_by,
    truly_slower,
    wilson,
)
from tools.evaluation.toy import CASES
from tools.evaluation.workloads import SLOWED

TRUE_ROWS = ("loops.arithmetic", "text.parse")
ROWS = (*TRUE_ROWS, "loops.grid", "text.clean")
SETTING = Setting(
    cpu="cpu",
    cpus=2,
    system="Linux",
    python="CPython 3.12",
    versions={"groundspeed": "1", "asv": "2"},
    groundspeed_sha256="0",
    commits={},
    tools=("groundspeed", "asv"),
    kinds=("loops", "text"),
    affinity=(),
    busy=0,
)


def run(tool: Tool, *, case: str = "aa", turn: int = 0, wall_s: float = 1.0) -> Run:
    """A run that called nothing slower."""
    return Run(
        case=case,
        turn=turn,
        tool=tool,
        place=0,
        started_at="2026-01-01T00:00:00+00:00",
        wall_s=wall_s,
        cpu_s=None,
        foreign_cpu_s=None,
        load_1m=0.5,
        exit_code=0,
        rows=len(ROWS),
        readings=tuple(Reading(rule=rule) for rule in rules_of(tool)),
    )


def evaluation(*runs: Run) -> Evaluation:
    """An evaluation that holds these runs."""
    return Evaluation(schema=SCHEMA, setting=SETTING, preparation_s={"build": 1.5}, runs=runs)


@st.composite
def readings(draw: st.DrawFn) -> list[Reading]:
    """What a rule may have said in some runs: any rows slower."""
    slower = st.sets(st.sampled_from(ROWS)).map(lambda rows: tuple(sorted(rows)))
    drawn = draw(st.lists(slower, max_size=8))
    return [Reading(rule="groundspeed", slower=rows) for rows in drawn]


@given(readings())
def test_every_row_called_slower_is_either_found_or_false(told: list[Reading]) -> None:
    """Nothing that was called slower is lost or counted twice, in any case."""
    called = sum(len(reading.slower) for reading in told)
    for case in CASES.values():
        slower = truly_slower(case, SETTING)
        result = score(told, slower)
        assert result.found + result.false_slower == called
        assert result.found <= result.to_find == len(slower) * len(told)
        assert result.alarms <= min(result.runs, result.false_slower)
        assert (result.alarms == 0) == (result.false_slower == 0)


def test_on_identical_code_every_row_called_slower_is_false() -> None:
    """The rows that other cases slow down are no finds where nothing is slower."""
    truth = truly_slower(CASES["aa"], SETTING)

    result = score([Reading(rule="groundspeed", slower=TRUE_ROWS)], truth)

    assert (result.alarms, result.false_slower, result.found, result.to_find) == (1, 2, 0, 0)


@given(trials=st.integers(1, 300), share=st.floats(0, 1))
def test_interval_of_a_share_is_wilsons(trials: int, share: float) -> None:
    """The interval agrees with scipy's for every count."""
    hits = round(share * trials)
    expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")

    assert wilson(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_tried_is_shown_as_a_dash() -> None:
    """Without trials there is no share, and without values no median."""
    assert wilson(0, 0) == (0.0, 1.0)
    assert format_share(0, 0) == "-"
    assert format_span([], digits=1) == "-"
    assert format_span([3.0, 1.0, 2.0], digits=1) == "2.0 [1.0..3.0]"


def test_only_rows_that_were_measured_can_be_found() -> None:
    """The truth of a case is that of the kinds of work that took part."""
    every = replace(SETTING, kinds=tuple(workload.partition(".")[0] for workload in SLOWED))

    assert truly_slower(CASES["plus5"], SETTING) == set(TRUE_ROWS)
    assert truly_slower(CASES["plus5"], every) == set(SLOWED)


def test_ratios_pair_the_tools_of_one_turn() -> None:
    """Ratios are by turn; a turn that lacks a tool, or whose run failed, has none."""
    runs = (
        run("groundspeed", turn=0, wall_s=2.0),
        run("asv", turn=0, wall_s=4.0),
        run("asv", turn=1, wall_s=5.0),
        run("groundspeed", turn=1, wall_s=15.0),
        run("groundspeed", turn=2),
        replace(run("asv", turn=2), problem="no verdict"),
        run("groundspeed", turn=3),
        run("pytest-benchmark", turn=0, wall_s=9.0),
    )

    assert paired_ratios(runs, ("groundspeed", "asv"), lambda made: made.wall_s) == [0.5, 3.0]


def test_a_run_that_says_nothing_is_named_and_not_counted() -> None:
    """A broken run is no run without alarms."""
    broken = replace(run("asv"), problem="no verdict; see its log", exit_code=2, readings=())

    text = report(evaluation(run("groundspeed"), broken))

    assert "groundspeed  0/1" in text
    assert "asv 1.1      -" in text
    assert told_by("asv 1.1", [broken]) == []
    assert "asv on aa, turn 0, exit 2: no verdict; see its log" in text


def test_turns_go_round_the_cases_and_leave_out_what_was_made() -> None:
    """All cases have had their first turn before any has its second; kept turns are not redone."""
    cases = (CASES["aa"], CASES["plus5"])
    kept = evaluation(run("groundspeed", case="plus5"), run("asv", case="plus5"))

    left = [(case.name, turn) for case, turn in turns_left(kept, cases, 2)]

    assert left == [("aa", 0), ("aa", 1), ("plus5", 1)]


@given(st.permutations(TOOLS), st.integers(0, 1000))
def test_every_tool_is_in_every_place_equally_often(tools: list[Tool], turn: int) -> None:
    """In as many turns as there are tools, each goes first once, second once, and so on."""
    orders = [order_of_tools(tools, turn + later) for later in range(len(tools))]

    assert all(sorted(order) == sorted(tools) for order in orders)
    assert all(len(set(place)) == len(tools) for place in zip(*orders, strict=True))
