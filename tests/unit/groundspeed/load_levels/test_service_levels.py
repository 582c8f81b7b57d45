import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import UsageError
from groundspeed.load import LoadResult
from groundspeed.load.figures import Figure, share
from groundspeed.load.service_levels import (
    SERVICE_LEVELS,
    ServiceLevel,
    Standing,
    format_figure,
    judge,
    judge_level,
    parse_level,
    run_until_decided,
)

Make = Callable[..., LoadResult]
P95 = ServiceLevel(metric="latency_s_p95", target=0.020, critical=0.050)


def test_the_default_levels_are_the_eight_rows() -> None:
    """Target and critical value of each, as they are promised."""
    rows = {level.title: (level.better, level.target, level.critical) for level in SERVICE_LEVELS}
    assert rows == {
        "API P95 Latency": ("lower", 0.020, 0.050),
        "API P99 Latency": ("lower", 0.050, 0.100),
        "DB Query P95": ("lower", 0.010, 0.030),
        "Cache Hit Rate": ("higher", 0.80, 0.60),
        "Throughput": ("higher", 100.0, 50.0),
        "Error Rate": ("lower", 0.01, 0.05),
        "Memory @ 1K accounts": ("lower", 500e6, 1e9),
        "Scaling Efficiency": ("higher", 0.70, 0.50),
    }


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [
        (0.010, 0.019, Standing.MET),
        (0.010, 0.020, Standing.UNDECIDED),  # strictly below 20 ms is asked
        (0.020, 0.020, Standing.MISSED),
        (0.021, 0.049, Standing.MISSED),
        (0.021, 0.050, Standing.UNDECIDED),
        (0.010, 0.060, Standing.UNDECIDED),
        (0.050, 0.060, Standing.CRITICAL),
        (0.060, math.inf, Standing.CRITICAL),
        (0.010, math.inf, Standing.UNDECIDED),
    ],
)
def test_a_level_is_decided_where_the_interval_lies_on_one_side(
    low: float, high: float, standing: Standing
) -> None:
    """At a limit it is not kept, as the table says `<`."""
    assert P95.standing(low, high) is standing


@given(st.floats(0.001, 1e3), st.floats(1.0, 10.0), st.floats(0.0, 2e4), st.floats(1.0, 10.0))
def test_more_is_better_is_the_mirror_image(
    target: float, factor: float, low: float, width: float
) -> None:
    """Rates and times of the same distance from their limits stand alike."""
    time = ServiceLevel(metric="t_s", target=target, critical=target * factor)
    rate = ServiceLevel(
        metric="r_per_s", target=-target, critical=-target * factor, better="higher"
    )
    assert time.standing(low, low * width) is rate.standing(-low * width, -low)


@given(st.floats(1e-3, 1.0), st.floats(1.0, 5.0), st.floats(1.0, 3.0))
def test_a_narrower_interval_never_turns_one_verdict_into_another(
    low: float, width: float, shrink: float
) -> None:
    """It only decides what was open."""
    level = ServiceLevel(metric="t_s", target=0.2, critical=0.5)
    wide = level.standing(low, low * width)
    narrow = level.standing(low * min(shrink, width), low * width)
    assert wide in (Standing.UNDECIDED, narrow)


def test_a_run_is_judged_by_every_level(run_of: Make) -> None:
    """A fast run meets them; what it does not hold is given beside it."""
    rng = np.random.default_rng(3)
    run = run_of(np.arange(6000) / 200.0, rng.exponential(2e-3, 6000), duration_s=30.0)
    levels = [lv for lv in SERVICE_LEVELS if lv.metric.startswith(("lat", "thr", "err", "cache"))]
    standings = judge(run, levels, beside=[share("cache_hit_rate", 870, 1000)])
    assert [report.standing for report in standings.reports] == [Standing.MET] * 5
    assert (standings.exit_code, standings.decided) == (0, True)
    with pytest.raises(UsageError, match="cache_hit_rate: a load run does not hold it"):
        judge(run, levels)


def test_exit_codes_follow_the_worst() -> None:
    """A missed target warns; a critical one fails, also beside an undecided one."""
    from groundspeed.load.service_levels import Standings

    def having(*intervals: tuple[float, float]) -> int:
        figures = [Figure(metric="m", value=low, low=low, high=high) for low, high in intervals]
        return Standings(reports=tuple(judge_level(P95, figure) for figure in figures)).exit_code

    assert having((0.001, 0.002)) == 0
    assert having((0.030, 0.040)) == 0
    assert having((0.030, 0.040), (0.001, 0.2)) == 3
    assert having((0.001, 0.2), (0.06, 0.07)) == 1


def test_an_invalid_run_decides_nothing(run_of: Make) -> None:
    """Never slow: the generator was the limit. The figure is shown all the same."""
    run = run_of(np.arange(1000) / 100.0, np.full(1000, 0.2), invalid=("the generator was busy",))
    report = judge(run, [P95]).reports[0]
    assert report.standing is Standing.UNDECIDED
    assert report.reason == "the run is invalid"
    assert report.figure is not None


def test_too_few_samples_are_undecided_and_say_so(run_of: Make) -> None:
    """Ten samples have no p95."""
    report = judge(run_of(np.arange(10) / 10.0, np.full(10, 1e-3)), [P95]).reports[0]
    assert report.standing is Standing.UNDECIDED
    assert "got 10 samples, needed at least 72" in report.reason
    assert report.figure is None


def test_an_undecided_run_is_made_longer_until_it_is_decided(run_of: Make) -> None:
    """Each time twice as long, with stricter intervals, until the budget would not hold more."""
    lengths: list[float] = []

    def measure(seconds: float) -> LoadResult:
        lengths.append(seconds)
        rng = np.random.default_rng(round(seconds))
        count = round(seconds * 100)
        return run_of(np.arange(count) / 100.0, rng.exponential(0.0055, count), duration_s=seconds)

    run, standings = run_until_decided(measure, [P95], first_s=2.0, budget_s=300.0)
    assert standings.reports[0].standing is Standing.MET
    assert lengths == [2.0 * 2**look for look in range(len(lengths))]
    assert (standings.looks, run.duration_s) == (len(lengths), lengths[-1])
    assert standings.looks > 1
    lengths.clear()
    _, open_still = run_until_decided(measure, [P95], first_s=1.0, budget_s=3.9)
    assert (open_still.decided, lengths) == (False, [1.0, 2.0])


def test_a_run_that_says_nothing_is_not_made_longer(run_of: Make) -> None:
    """Neither an invalid one nor one that the user ended."""

    def measure(seconds: float) -> LoadResult:
        run = run_of(np.arange(100) / 100.0, np.full(100, 0.2), duration_s=seconds)
        return dataclasses.replace(run, partial=True, invalid=("no time",))

    _, standings = run_until_decided(measure, [P95], first_s=1.0, budget_s=100.0)
    assert standings.looks == 1


@pytest.mark.parametrize(("first", "budget"), [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf)])
def test_a_budget_that_holds_no_run_is_refused(run_of: Make, first: float, budget: float) -> None:
    """Before anything is measured."""
    with pytest.raises(UsageError, match="needed a first run above 0 that fits"):
        run_until_decided(lambda _: run_of([0.0], [0.1]), [P95], first_s=first, budget_s=budget)


def test_levels_can_be_typed() -> None:
    """Target and critical value in one line; alone, the target is critical."""
    level = parse_level("latency_s_p95 < 0.020 / 0.050")
    assert (level.metric, level.target, level.critical) == ("latency_s_p95", 0.02, 0.05)
    assert parse_level("throughput_per_s > 100").critical == 100.0
    assert parse_level("throughput_per_s > 100/50").better == "higher"
    assert [parse_level(f"{metric} < 1").unit for metric in ("rss_bytes", "error_rate")] == [
        "bytes",
        "share",
    ]


@pytest.mark.parametrize(
    "text", ["", "p95", "latency_s_p95 < fast", "latency_s_p95 < 1/2/3", "< 3", "x = 3"]
)
def test_a_level_typed_wrongly_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(UsageError, match="needed METRIC < TARGET"):
        parse_level(text)


def test_limits_the_wrong_way_round_are_refused() -> None:
    """A critical value is no better than the target, and both are numbers."""
    with pytest.raises(UsageError, match=r"better than the target of 0\.05; exchange them"):
        parse_level("latency_s_p95 < 0.05 / 0.02")
    with pytest.raises(UsageError, match="needed finite numbers"):
        parse_level("latency_s_p95 < nan")


def test_figures_are_written_in_their_units() -> None:
    """What never came back has no time."""
    assert format_figure(0.0163, "s") == "16.3 ms"
    assert format_figure(174.23e6, "bytes") == "174 MB"
    assert format_figure(0.02, "share") == "2 %"
    assert format_figure(191.23, "per s") == "191.2 /s"
    assert format_figure(math.inf, "s") == "never"
