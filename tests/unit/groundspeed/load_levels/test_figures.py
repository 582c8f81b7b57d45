import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.errors import TooFewSamplesError, UsageError
from groundspeed.load import LoadResult, Overflow, Resources
from groundspeed.load.figures import (
    check_metric,
    error_rate,
    figure_of,
    latency,
    parse_latency_metric,
    ranked_latency,
    share,
    throughput,
)
from groundspeed.stats import Histogram, estimate_quantile

Make = Callable[..., LoadResult]
STARTS = np.arange(3000) / 100.0


@pytest.fixture
def steady(run_of: Make) -> LoadResult:
    """30 s at 100/s, exponential responses of 5 ms."""
    rng = np.random.default_rng(1)
    return run_of(STARTS, rng.exponential(5e-3, 3000), duration_s=30.0)


def test_percentiles_count_failures_and_leave_out_the_warm_up(run_of: Make) -> None:
    """What failed lies above all, and what began before the warm-up's end is not judged."""
    response = np.where(STARTS < 10.0, 9.0, 0.001)
    failed = (np.arange(3000) % 50) == 49
    run = run_of(STARTS, response, failed=failed, warm_up_s=10.0)
    assert latency(run, 0.95).value == pytest.approx(0.001)
    assert latency(run, 0.99).value == math.inf
    assert ranked_latency(run).count == 2000
    assert error_rate(run).value == pytest.approx(0.02)


def test_the_same_run_gives_the_same_interval(run_of: Make) -> None:
    """Correlated samples are drawn again by the run's own seed."""
    rng = np.random.default_rng(2)
    slow = np.repeat(rng.random(30) < 0.3, 100)
    run = run_of(STARTS, np.where(slow, 0.5, 0.001) * rng.uniform(0.9, 1.1, 3000))
    first, again = latency(run, 0.9), latency(run, 0.9)
    assert first == again
    ranks = estimate_quantile(ranked_latency(run), 0.9)
    assert first.high - first.low > ranks.high - ranks.low


def test_what_lies_beyond_the_cap_counts(steady: LoadResult) -> None:
    """A histogram of the rest and its failures move the percentiles as raw samples would."""
    rest = Histogram.of(np.full(3000, 80_000_000))
    overflow = Overflow(
        response_counts=rest.counts,
        service_counts=rest.counts,
        outcomes=(3000, 300),
        lag_ns_max=0,
    )
    whole = dataclasses.replace(steady, overflow=overflow, drained_s=63.0)
    assert latency(whole, 0.5).value == pytest.approx(0.08, rel=1e-3)
    assert latency(whole, 0.95).value == pytest.approx(0.08, rel=1e-3)
    assert latency(whole, 0.99).value == math.inf
    assert error_rate(whole).value == pytest.approx(300 / 6300)
    found = throughput(whole)
    assert found.value == pytest.approx(6000 / 63.0)
    assert found.low < found.value < found.high


def test_throughput_is_of_good_answers_after_the_warm_up(run_of: Make) -> None:
    """Half of them failed; the interval holds the truth."""
    failed = np.arange(3000) % 2 == 1
    found = throughput(run_of(STARTS, np.full(3000, 1e-3), failed=failed, duration_s=30.0))
    assert found.low <= 50.0 <= found.high
    assert found.value == pytest.approx(50.0, rel=0.02)


def test_failures_in_a_burst_say_less_than_as_many_apart(run_of: Make) -> None:
    """Their interval is wider, around the same share."""
    apart = error_rate(run_of(STARTS, np.full(3000, 1e-3), failed=np.arange(3000) % 30 == 0))
    burst = error_rate(run_of(STARTS, np.full(3000, 1e-3), failed=np.arange(3000) < 100))
    assert apart.value == burst.value == pytest.approx(1 / 30)
    assert burst.high - burst.low > 3 * (apart.high - apart.low)
    none = error_rate(run_of(STARTS, np.full(3000, 1e-3)))
    assert (none.value, none.low) == (0.0, 0.0)
    assert 0.0 < none.high < 0.002


def test_memory_is_read_where_the_target_was_watched(steady: LoadResult) -> None:
    """Not estimated: its interval is one point."""
    with pytest.raises(TooFewSamplesError, match="got no reading of the target's memory; give"):
        figure_of(steady, "rss_bytes")
    readings = np.array([1e6, 3e6, 2e6])
    watched = Resources(
        at_s=np.arange(3.0),
        cpu_s=np.zeros(3),
        rss_bytes=readings,
        threads=np.ones(3, dtype=np.int64),
        descriptors=np.ones(3, dtype=np.int64),
        switches=np.zeros(3, dtype=np.int64),
        rss_slope_bytes_per_s=None,
    )
    figure = figure_of(dataclasses.replace(steady, resources=watched), "rss_bytes")
    assert (figure.low, figure.value, figure.high) == (3e6, 3e6, 3e6)


def test_figures_have_names(steady: LoadResult) -> None:
    """Each is asked for by name; another name is refused with those there are."""
    for metric in ("latency_s_p50", "latency_s_p99", "throughput_per_s", "error_rate"):
        figure = figure_of(steady, metric)
        assert figure.metric == metric
        assert figure.low <= figure.value <= figure.high
    with pytest.raises(UsageError, match="cache_hit_rate: a load run does not hold it"):
        figure_of(steady, "cache_hit_rate")
    with pytest.raises(UsageError, match="latency_ms_p95: a load run does not hold it"):
        check_metric("latency_ms_p95")
    for metric in ("latency_s_p99.9", "rss_bytes"):
        check_metric(metric)
    assert parse_latency_metric("latency_s_p99.9") == pytest.approx(0.999)
    assert parse_latency_metric("latency_ms_p99") is None
    with pytest.raises(UsageError, match="percentile 0"):
        parse_latency_metric("latency_s_p0")


def test_too_little_is_refused(run_of: Make) -> None:
    """Ten samples have no p95, and a run that is all warm-up has nothing."""
    few = run_of(STARTS[:10], np.full(10, 1e-3))
    with pytest.raises(TooFewSamplesError, match="got 10 samples, needed at least 72"):
        figure_of(few, "latency_s_p95")
    cold = dataclasses.replace(few, warm_up_s=99.0)
    for metric in ("latency_s_p95", "throughput_per_s", "error_rate"):
        with pytest.raises(TooFewSamplesError, match="after the warm-up; measure longer"):
            figure_of(cold, metric)


def test_a_share_has_wilsons_interval() -> None:
    """A cache's hits of its reads."""
    hits = share("cache_hit_rate", 870, 1000)
    assert hits.low < hits.value == 0.87 < hits.high
