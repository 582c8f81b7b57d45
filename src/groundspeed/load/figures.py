"""What a run says about its target, each figure with its interval.

Percentiles are of response times from the intended start, failures among them as infinite. A short
run, or one in which few calls failed, may say too little for an interval; then it is an error, and
whoever judges calls it undecided.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from groundspeed.errors import TooFewSamplesError, UsageError
from groundspeed.load._result import LoadResult
from groundspeed.stats import (
    BlockedSamples,
    FloatArray,
    Histogram,
    HistogramLayout,
    OrderedSamples,
    QuantileEstimate,
    estimate_quantile,
    student_t_ppf,
)
from groundspeed.stats.proportions import wilson_interval
from groundspeed.stats.quantile import CONFIDENCE, Ranked

__all__ = [
    "RUN_METRICS",
    "Figure",
    "check_metric",
    "error_rate",
    "figure_of",
    "latency",
    "parse_latency_metric",
    "peak_memory",
    "ranked_latency",
    "response_histogram",
    "share",
    "throughput",
]

_NAMED = ("throughput_per_s", "error_rate", "rss_bytes")
RUN_METRICS = ("latency_s_pNN", *_NAMED)
"""What `figure_of` finds in a run by itself; NN is a percentile, such as 95 or 99.9."""

_LATENCY = re.compile(r"latency_s_p(\d{1,2}(?:\.\d+)?)")
# Few and long: a busy queue remembers for seconds, and a block must be longer than that.
_BLOCKS = 25
_NS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a run.

    Attributes:
        metric: Its name, unit last before the percentile: `latency_s_p95`.
        value: The estimate, in seconds, bytes, per second, or a share.
        low: Lower end of the interval.
        high: Upper end; infinite where it reaches into what failed.
        confidence: Coverage of the interval; 1 of what was read and not estimated.
    """

    metric: str
    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


def share(metric: str, count: int, total: int) -> Figure:
    """A share of independent trials with Wilson's 95 % interval, such as a cache's hit rate.

    Args:
        metric: Its name, `cache_hit_rate`.
        count: From 0 to `total`.
        total: At least 1.

    Raises:
        ValueError: If a number is out of range.
    """
    low, high = wilson_interval(count, total)
    return Figure(metric=metric, value=count / total, low=low, high=high)


def parse_latency_metric(metric: str) -> float | None:
    """The quantile that `latency_s_p95` asks for, 0.95; None of another metric.

    Raises:
        UsageError: If the percentile is 0.
    """
    found = _LATENCY.fullmatch(metric)
    if found is None:
        return None
    q = float(found[1]) / 100.0
    if q == 0.0:
        raise UsageError(f"{metric}: got the percentile 0, needed one above it, such as 50 or 99.9")
    return q


def figure_of(result: LoadResult, metric: str, *, confidence: float = CONFIDENCE) -> Figure:
    """A figure by its name, see `RUN_METRICS`.

    Args:
        result: A run.
        metric: Its name.
        confidence: Of the interval, in (0, 1).

    Raises:
        TooFewSamplesError: If the run is too short for its interval.
        UsageError: If a run does not hold this metric.
    """
    q = parse_latency_metric(metric)
    if q is not None:
        found = latency(result, q, confidence=confidence)
        return Figure(
            metric=metric,
            value=found.value,
            low=found.low,
            high=found.high,
            confidence=confidence,
        )
    match metric:
        case "throughput_per_s":
            return throughput(result, confidence=confidence)
        case "error_rate":
            return error_rate(result, confidence=confidence)
        case "rss_bytes":
            return peak_memory(result)
        case _:
            raise _unknown(metric)


def check_metric(metric: str) -> None:
    """Refuse, before a run, what no run holds.

    Raises:
        UsageError: If a run does not hold this metric.
    """
    if metric not in _NAMED and parse_latency_metric(metric) is None:
        raise _unknown(metric)


def _unknown(metric: str) -> UsageError:
    return UsageError(
        f"{metric}: a load run does not hold it, only {', '.join(RUN_METRICS)}; give it as a "
        "Figure beside the run"
    )


def ranked_latency(result: LoadResult) -> Ranked:
    """The response times after the warm-up in order, failures beyond all.

    Beyond the cap of raw samples they are in buckets, each within 0.05 % of its middle.

    Raises:
        TooFewSamplesError: If nothing was measured.
    """
    if result.overflow is not None:
        return _Counted.of(result)
    values = result.response_s
    finite = np.isfinite(values)
    return OrderedSamples(values[finite], beyond=int((~finite).sum()))


def latency(result: LoadResult, q: float, *, confidence: float = CONFIDENCE) -> QuantileEstimate:
    """A percentile of the response time, widened where samples hang together.

    Beyond the cap of raw samples the rest is a histogram without times: there the interval is that
    of independent samples.

    Args:
        result: A run.
        q: In (0, 1); 0.95 for p95.
        confidence: Two-sided, in (0, 1).

    Raises:
        TooFewSamplesError: If there are too few samples for the interval.
        ValueError: If an argument is out of range.
    """
    if result.overflow is not None:
        return estimate_quantile(_Counted.of(result), q, confidence=confidence)
    measured = result.measured
    if not len(measured):
        raise TooFewSamplesError("latency: got no sample after the warm-up; measure longer")
    starts = measured.intended_ns / _NS
    blocked = BlockedSamples.of(measured.response_s, starts, length=_block_s(starts))
    # The run's own seed: the same run gives the same interval.
    return blocked.estimate(q, np.random.default_rng(result.seed), confidence=confidence)


def throughput(result: LoadResult, *, confidence: float = CONFIDENCE) -> Figure:
    """Good answers a second after the warm-up, by Student's t over 25 stretches of equal time.

    Raises:
        TooFewSamplesError: If there was not time enough for two stretches.
    """
    if result.overflow is not None:
        return _whole_throughput(result, confidence)
    good = result.samples.where(~result.samples.failed)
    ends = good.end_ns / _NS
    span = result.duration_s - result.warm_up_s
    if span <= 0.0 or not ends.size:
        raise TooFewSamplesError("throughput: got no good answer after the warm-up; measure longer")
    edges = np.linspace(result.warm_up_s, result.duration_s, _BLOCKS + 1)
    counts = np.histogram(ends, edges)[0] / (span / _BLOCKS)
    error = float(counts.std(ddof=1)) / math.sqrt(_BLOCKS)
    reach = -float(student_t_ppf((1.0 - confidence) / 2.0, _BLOCKS - 1.0)) * error
    mean = float(counts.mean())
    return Figure(
        metric="throughput_per_s",
        value=mean,
        low=max(0.0, mean - reach),
        high=mean + reach,
        confidence=confidence,
    )


def error_rate(result: LoadResult, *, confidence: float = CONFIDENCE) -> Figure:
    """Share of the arrivals after the warm-up that failed.

    Wilson's interval; where failures come in bursts, of as many independent arrivals as vary so.

    Raises:
        TooFewSamplesError: If nothing was measured.
    """
    failed = result.measured.failed
    starts = result.measured.intended_ns / _NS
    beyond = result.overflow
    total = failed.size + (beyond.count if beyond else 0)
    failures = int(failed.sum()) + (sum(beyond.outcomes[1:]) if beyond else 0)
    if not total:
        raise TooFewSamplesError("error rate: got no sample after the warm-up; measure longer")
    effective = total / _burstiness(failed.astype(np.float64), starts)
    trials = max(1, round(effective))
    low, high = wilson_interval(round(failures / total * trials), trials, confidence=confidence)
    value = failures / total
    return Figure(
        metric="error_rate",
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
    )


def peak_memory(result: LoadResult) -> Figure:
    """The most resident memory of the target that was seen; read, not estimated.

    Raises:
        TooFewSamplesError: If the target was not watched.
    """
    if result.resources is None:
        raise TooFewSamplesError(
            "rss_bytes: got no reading of the target's memory; give its process id in `watch`"
        )
    peak = result.resources.rss_bytes_peak
    return Figure(metric="rss_bytes", value=peak, low=peak, high=peak, confidence=1.0)


def response_histogram(result: LoadResult) -> Histogram:
    """The response times of good answers after the warm-up in nanoseconds, in HDR buckets."""
    good = result.measured.where(~result.measured.failed)
    layout = HistogramLayout()
    raw = Histogram.of(np.clip(good.end_ns - good.intended_ns, 0, layout.highest), layout=layout)
    if result.overflow is None:
        return raw
    return raw.merged(Histogram(layout=layout, counts=result.overflow.response_counts))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Raw samples and the histogram of those beyond the cap, as one, with the failures above."""

    histogram: Histogram
    beyond: int

    @classmethod
    def of(cls, result: LoadResult) -> "_Counted":
        assert result.overflow is not None  # noqa: S101 - its caller asked
        failed = int(result.measured.failed.sum()) + sum(result.overflow.outcomes[1:])
        return cls(response_histogram(result), failed)

    @property
    def count(self) -> int:
        return self.histogram.count + self.beyond

    def value_at_rank(self, rank: int) -> float:
        inside = rank <= self.histogram.count
        return self.histogram.value_at_rank(rank) / _NS if inside else math.inf


def _block_s(starts: FloatArray) -> float:
    """A 25th of the time."""
    # The last start shall lie in the last block, and not alone in one of its own.
    span = float(starts.max() - starts.min())
    return max(span * (1.0 + 1e-9), 1e-9) / _BLOCKS


def _burstiness(failed: FloatArray, starts: FloatArray) -> float:
    """How many times as much the blocks' failures vary as independent ones would, at least 1."""
    if not failed.any() or failed.all():
        return 1.0
    blocks = np.floor((starts - starts.min()) / _block_s(starts)).astype(np.int64)
    sizes, sums = np.bincount(blocks), np.bincount(blocks, weights=failed)
    used = sizes > 0
    rate = failed.mean()
    squares = (sums[used] - sizes[used] * rate) ** 2 / (sizes[used] * rate * (1.0 - rate))
    return max(1.0, float(squares.sum() / max(1, int(used.sum()) - 1)))


def _whole_throughput(result: LoadResult, confidence: float) -> Figure:
    good = result.recorded - result.failures
    value = result.throughput_per_s
    z = -float(student_t_ppf((1.0 - confidence) / 2.0, math.inf))
    reach = z * math.sqrt(good) / result.drained_s
    return Figure(
        metric="throughput_per_s",
        value=value,
        low=max(0.0, value - reach),
        high=value + reach,
        confidence=confidence,
    )
