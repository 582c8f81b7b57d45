"""What the sections of the performance report conclude from results of which all is known."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tools.performance_report.blocks import (
    Bullets,
    Commands,
    Document,
    Section,
    Table,
    VerdictCard,
    said,
)
from tools.performance_report.document import document_of
from tools.performance_report.markdown import to_markdown
from tools.performance_report.material import Loaded, Material
from tools.performance_report.roster import Test as SuiteTest
from tools.performance_report.sections.change import changes, compared
from tools.performance_report.sections.conclusions import bottlenecks, capacity, recommendations
from tools.performance_report.sections.measured import measured_sections
from tools.performance_report.sections.summary import card
from tools.performance_report.stored import (
    Commit,
    Machine,
    Result,
    StoredRun,
    choose_baseline,
    choose_run,
    runs_like,
)

from groundspeed.stats import Histogram, encode_histogram

LOAD = "tests/performance/test_load.py::TestSmallScaleLoad::test_100_accounts"
QUERY = "tests/performance/test_latency.py::TestDatabaseQueryPerformance::test_simple_query_latency"
MACHINE = Machine(system="Linux", python_implementation="CPython", python_version="3.12.0")
MISSED = {
    "title": "DB Query P95",
    "metric": "db_latency_s_p95",
    "unit": "s",
    "better": "lower",
    "target": 0.01,
    "critical": 0.03,
    "standing": "missed",
    "value": 0.02,
    "low": 0.019,
    "high": 0.021,
}


def figure(value: float, unit: str = "s", *, reach: float = 0.05) -> dict[str, Any]:
    """A value with an interval of that share to both sides."""
    return {"value": value, "low": value * (1 - reach), "high": value * (1 + reach), "unit": unit}


def result(name: str, verdict: str = "passed", **extra: Any) -> Result:
    """What a test left."""
    stored = {
        "fullname": name,
        "stats": {"median": 0.001, "rounds": 20},
        "extra_info": {"verdict": verdict, **extra},
    }
    return msgspec.convert(stored, type=Result)


def load(name: str = "reads", *, failed: int = 0, **fields: Any) -> dict[str, Any]:
    """A load record of a thousand answers of 1 to 1,000 ms, and failures."""
    answers = np.arange(1, 1001) * 1_000_000
    figures = {"latency_s_p50": 0.5, "latency_s_p99": 0.99, "throughput_per_s": 100.0}
    rate = failed / (1000 + failed)
    return {
        "name": name,
        "model": "closed, 2 users",
        "duration_s": 10.0,
        "drained_s": 10.1,
        "warm_up_s": 0.0,
        "offered": 1000 + failed,
        "recorded": 1000 + failed,
        "valid": True,
        "failures": {"timeout": failed} if failed else {},
        "figures": [
            *({"metric": m, **figure(v)} for m, v in figures.items()),
            {"metric": "error_rate", "value": rate, "low": rate, "high": rate},
        ],
        "response_histogram": encode_histogram(Histogram.of(answers)),
        **fields,
    }


def run(
    *results: Result, commit: str = "b" * 40, day: int = 2, number: int = 2, **fields: Any
) -> StoredRun:
    """A stored run."""
    return StoredRun(
        path=Path(f"results/pytest/machine/{number:04}_{commit[:4]}.json"),
        at=datetime(2026, 11, day, number, tzinfo=UTC),
        machine=fields.get("machine", MACHINE),
        commit=Commit(id=commit, dirty=fields.get("dirty", False)),
        results=results,
        tool="5.3.1",
    )


def material(chosen: StoredRun, *, names: tuple[str, ...] = (LOAD, QUERY), **more: Any) -> Material:
    """Of one run, and whatever else there is."""
    fields: dict[str, Any] = {
        "run": chosen,
        "like": (chosen,),
        "baseline": None,
        "baseline_like": (),
        "no_baseline": "none is stored",
        "roster": tuple(SuiteTest(fullname=name) for name in names),
        "asv": None,
        "link": lambda _: "",
    }
    return Material(**{**fields, **more})


def against(before: tuple[StoredRun, ...], after: tuple[StoredRun, ...]) -> Material:
    """Of the last of `after`, compared with the last of `before`."""
    return material(after[-1], like=after[::-1], baseline=before[-1], baseline_like=before[::-1])


def table(section: Section, caption: str) -> Table:
    """The table of that caption."""
    return next(
        block for block in section.blocks if isinstance(block, Table) and caption in block.caption
    )


def text(section: Section) -> str:
    """A section as it is read."""
    empty = VerdictCard(
        state="passed", word="", sentence="", counts=(), reasons=(), commands=(), facts=()
    )
    return to_markdown(Document(title="", card=empty, sections=(section,)))


@pytest.mark.parametrize(
    ("verdicts", "word", "sentence"),
    [
        (("passed", "passed"), "PASS", "Every test of the suite passed."),
        (("passed", "warned"), "WARN", "1 test missed a target"),
        (("warned", "undecided"), "INCONCLUSIVE", "1 test could not decide: not all"),
        (("passed",), "INCONCLUSIVE", "1 of the suite's 2 are not in this run: not all"),
        (("undecided",), "INCONCLUSIVE", "1 test could not decide and 1 of the suite's 2"),
        (("failed", "undecided"), "BLOCK", "1 test failed"),
        (("failed", "failed"), "BLOCK", "2 tests failed"),
    ],
)
def test_what_is_not_known_is_not_passed(
    verdicts: tuple[str, ...], word: str, sentence: str
) -> None:
    """A failure blocks; else what is open or missing is; else a missed target warns."""
    names = (LOAD, QUERY)
    results = [result(name, v, reason="why") for name, v in zip(names, verdicts, strict=False)]
    found = card(material(run(*results)))
    assert found.word == word
    assert sentence in found.sentence
    assert sum(count for _, count in found.counts) == 2


def test_the_next_commands_run_what_failed() -> None:
    """That test first, then whether a change made it so."""
    found = card(material(run(result(LOAD, "failed"), result(QUERY))))
    assert found.commands == (f'pytest "{LOAD}" -v', "groundspeed check --suite pytest")
    doubtful = card(material(run(result(LOAD), result(QUERY, "undecided"))))
    assert doubtful.commands[:2] == (f'pytest "{QUERY}" -v', "groundspeed doctor")


def test_only_a_handful_of_reasons_comes_first() -> None:
    """The rest is a link to every test."""
    names = tuple(f"{LOAD}_{number}" for number in range(9))
    results = (result(name, "failed", reason="why") for name in names)
    found = card(material(run(*results), names=names))
    assert len(found.reasons) == 6
    assert found.reasons[-1][0] == "and 4 more, see "


def test_failures_are_beyond_every_percentile() -> None:
    """Of 1,000 answers and 250 failures the 80th percentile is the slowest answer, and no later."""
    chosen = run(result(LOAD, load=[load(failed=250)]))
    one = next(material(chosen).loads())
    assert isinstance(one, Loaded)
    assert one.beyond == 250
    assert one.seconds_at(0.4) == pytest.approx(0.5, rel=1e-3)
    assert one.seconds_at(0.8) == pytest.approx(1.0, rel=1e-3)
    assert one.seconds_at(0.81) is None


def test_runs_of_one_scenario_are_counted() -> None:
    """They stand one after the other, 2 before 10, each with a name of its own."""
    names = ("10_users", "2_users", "10_users")
    held = material(run(result(LOAD, load=[load(name) for name in names])))
    assert [one.name for one in held.loads()] == [
        "2 users",
        "10 users, 1 of 2",
        "10 users, 2 of 2",
    ]


def test_bottlenecks_are_what_the_figures_show() -> None:
    """A missed level, a wait beside the response time, the longest tail, the failures by class."""
    chosen = run(
        result(
            LOAD,
            load=[load(failed=3)],
            figures={"pool_wait_s_p50": figure(0.1), "pool_wait_s_p95": figure(0.1)},
        ),
        result(QUERY, "warned", levels=[MISSED]),
    )
    found = bottlenecks(material(chosen))
    (row,) = table(found, "Levels that are not met").rows
    assert row[1] == "DB Query P95"
    assert row[5] == "-100 %"
    (wait,) = table(found, "Waits").rows
    assert "0.200x (0." in text(found)
    assert wait[1] == "pool wait p50"
    assert "1.98x" in text(found)
    assert ("timeout", "3", "100 %") in table(found, "Failed requests").rows


def test_an_invalid_run_shows_no_bottleneck_and_no_capacity() -> None:
    """Its generator or the machine was the limit; it says so where the runs are listed."""
    chosen = run(result(LOAD, load=[load(valid=False, invalid=["the machine was full"])]))
    held = material(chosen)
    assert [said("No service level was missed, critical or undecided.")] == list(
        bottlenecks(held).blocks
    )
    assert "no load run" in text(capacity(held))
    shown = next(s for s in measured_sections(held) if s.title == "Under load")
    notes = [block for block in shown.blocks if isinstance(block, Bullets)]
    assert notes == [Bullets((("reads is INVALID: the machine was full",),))]


def test_recommendations_come_from_verdicts_alone() -> None:
    """A goal and a command for each test that did not pass; nothing where all did."""
    chosen = run(
        result(LOAD, "undecided", reason="too short"), result(QUERY, "warned", levels=[MISSED])
    )
    found = recommendations(material(chosen))
    (goal,) = table(found, "what missed a target").rows
    assert goal[1] == "DB Query P95 from 20.0 ms to < 10.0 ms"
    (open_end,) = table(found, "what could not decide").rows
    assert open_end[1:] == ("it to a verdict", "too short")
    commands = [block for block in found.blocks if isinstance(block, Commands)]
    assert commands == [Commands((f'pytest "{QUERY}" -v',)), Commands((f'pytest "{LOAD}" -v',))]
    nothing = recommendations(material(run(result(LOAD), result(QUERY))))
    assert "the verdicts recommend nothing" in text(nothing)


def test_capacity_is_of_what_was_served() -> None:
    """Runs by throughput, and the law fitted to throughput over workers with its intervals."""
    workers = [1.0, 2.0, 4.0, 8.0]
    rates = [100.0 * n / (1.0 + 0.1 * (n - 1.0)) for n in workers]
    series = {"rate": {"x": workers, "y": rates, "x_unit": "workers", "y_unit": "per s"}}
    chosen = run(
        result(LOAD, load=[load()], setting={"accounts": 100, "users": 2}),
        result(QUERY, series=series),
    )
    found = capacity(material(chosen))
    (served,) = table(found, "Load runs by throughput").rows
    assert served[:2] == ("reads", "accounts 100, users 2")
    (grown,) = table(found, "Throughput by number").rows
    assert grown[1] == "8 workers"
    assert "10.0 %" in text(found)


def several(value: float, spread: tuple[float, ...], **fields: Any) -> tuple[StoredRun, ...]:
    """Runs of one commit around a value."""
    return tuple(
        run(result(QUERY, figures={"db_latency_s_p95": figure(value * s)}), number=n, **fields)
        for n, s in enumerate(spread, 1)
    )


def test_several_runs_a_side_decide() -> None:
    """Twice as long is worse, half as long better; a single run only looks so."""
    base = several(0.010, (0.98, 1.0, 1.02), commit="a" * 40, day=1)
    slower = several(0.020, (0.99, 1.0, 1.01))
    (found,) = changes(against(base, slower))
    assert (found.state, found.runs) == ("worse", (3, 3))
    assert found.ratio is not None
    assert found.ratio[0] < 2.0 < found.ratio[2]
    (turned,) = changes(against(slower, base))
    assert turned.state == "better"
    (single,) = changes(against(base[:1], slower[:1]))
    assert (single.state, single.runs) == ("looks worse", (1, 1))
    told = text(compared(against(base[:1], slower[:1])))
    assert "only looks worse" in told
    assert f"groundspeed check --suite pytest {'a' * 12}" in told
    assert "only looks worse" not in text(compared(against(base, slower)))


def test_more_throughput_is_not_worse() -> None:
    """The ratio counts how many times worse, whichever way is better."""
    low, high = (
        run(result(LOAD, figures={"throughput_per_s": figure(rate, "per s")}), commit=c * 40, day=d)
        for rate, c, d in ((100.0, "a", 1), (300.0, "b", 2))
    )
    (up,) = changes(against((low,), (high,)))
    (down,) = changes(against((high,), (low,)))
    assert (up.state, down.state) == ("looks better", "looks worse")
    assert up.ratio is not None
    assert up.ratio[1] == pytest.approx(1 / 3)


def test_figures_of_invalid_runs_are_not_compared() -> None:
    """Neither by the run's name nor as the test kept them."""

    def held(value: float, commit: str, *, valid: bool) -> StoredRun:
        figures = [{"metric": "latency_s_p50", **figure(value)}]
        kept = {"reads.latency_s_p50": figure(value), "other_s": figure(value + 1.0)}
        runs = [load(figures=figures, valid=valid)]
        return run(result(LOAD, load=runs, figures=kept), commit=commit * 40)

    whole = changes(against((held(1.0, "a", valid=True),), (held(2.0, "b", valid=True),)))
    assert {change.metric for change in whole} >= {"reads latency p50", "other"}
    half = changes(against((held(1.0, "a", valid=True),), (held(2.0, "b", valid=False),)))
    assert {change.metric for change in half} == {"other"}


def test_runs_without_a_figure_in_common_say_so() -> None:
    """One line, no empty table."""
    base, now = run(result(LOAD), commit="a" * 40, day=1), run(result(QUERY))
    assert "no figure in common" in text(compared(against((base,), (now,))))
    assert "Not compared: none is stored." in text(compared(material(now)))


def test_the_baseline_is_of_another_commit_on_the_same_machine() -> None:
    """The newest before the run; not of its own commit, another machine, later, or other tests."""
    good = run(result(LOAD), commit="a" * 40, day=1, number=1)
    chosen = run(result(LOAD), number=4)
    others = [
        good,
        run(result(LOAD), commit="c" * 40, number=2, machine=replace(MACHINE, system="Darwin")),
        run(result("tests/other.py::test_x"), commit="c" * 40, number=3),
        run(result(LOAD), number=3),
        chosen,
        run(result(LOAD), commit="c" * 40, number=9),
    ]
    assert choose_baseline(others, chosen, [LOAD]) is good
    with pytest.raises(LookupError, match="no earlier run of another commit"):
        choose_baseline(others[1:], chosen, [LOAD])
    assert choose_run(others, [LOAD], None) is others[-1]


def test_only_clean_runs_of_a_commit_are_taken_together() -> None:
    """Two runs with changes may be of two codes."""
    clean, again = run(number=1), run(number=2)
    dirty = run(number=3, dirty=True)
    every = (clean, again, dirty)
    assert runs_like(every, clean) == (clean, again)
    assert runs_like(every, dirty) == (dirty,)


def test_every_section_stands_without_data() -> None:
    """A run of one test that left nothing but a verdict gives a whole report."""
    document = document_of(material(run(result("tests/performance/test_new.py::test_x"))))
    titles = [section.title for section in document.sections]
    assert "Other tests" in titles
    assert all(section.blocks for section in document.sections)
    assert "Not in this run" in to_markdown(document)
