"""How one compared row reads: its outcome's word, its ratio, its values and what to know of it."""

from collections.abc import Mapping, Sequence

from groundspeed.model import Comparison, Metric, Outcome
from groundspeed.units import format_percent, format_ratio, format_value

__all__ = ["excuse", "measured", "outcome_word", "typical"]

_NO_TIME = {Outcome.SLOWER: "worse", Outcome.FASTER: "better"}
_SCALED = ("s", "bytes")
_METRICS: Mapping[Metric, str] = {
    "cpu": "cpu time",
    "wall": "wall time",
    "timer": "its own timer",
    "allocations": "allocated in a call",
    "peak_memory": "peak memory",
    "memory": "size of its result",
}


def outcome_word(comparison: Comparison) -> str:
    """Its outcome; a row that is no time is `worse` or `better` instead of slower or faster."""
    word = str(comparison.outcome)
    return word if comparison.timed else _NO_TIME.get(comparison.outcome, word)


def measured(comparison: Comparison) -> tuple[str, str, str, str]:
    """Label, ratio with its interval, typical values of both sides, and how they were measured."""
    ratio, low, high = comparison.ratio, comparison.ratio_low, comparison.ratio_high
    if ratio is None or low is None or high is None:
        return comparison.row.label, "too few launch pairs to tell", "", _pairs(comparison)
    interval = f"[{low:.3f} .. {high:.3f}]"
    return (
        comparison.row.label,
        f"{format_ratio(ratio)} {interval}",
        _change(*_sides(comparison, ratio), comparison.unit),
        ", ".join([_pairs(comparison), *_remarks(comparison)]),
    )


def _pairs(comparison: Comparison) -> str:
    count = len(comparison.pairs) or len(comparison.values)
    return "1 pair" if count == 1 else f"{count} pairs"


def _sides(comparison: Comparison, ratio: float) -> tuple[float, float]:
    """Of a time what the ratio makes of base's; of other values those that were seen."""
    if comparison.values:
        base = typical([pair.base for pair in comparison.values])
        return base, typical([pair.candidate for pair in comparison.values])
    base = typical([pair.base_s for pair in comparison.pairs])
    return base, base * ratio


def _change(base: float, candidate: float, unit: str) -> str:
    """Both values; a unit that does not depend on how large they are is said once."""
    before, after = format_value(base, unit), format_value(candidate, unit)
    return f"{before if unit in _SCALED else before.partition(' ')[0]} -> {after}"


def _remarks(comparison: Comparison) -> list[str]:
    """What is not as a reader would take it to be."""
    remarks = [words for metric, words in _METRICS.items() if metric == comparison.metric]
    if comparison.direction == "higher":
        remarks.append("more is better")
    if comparison.outcome is Outcome.UNDECIDED and comparison.detectable is not None:
        remarks.append(f"would show {format_percent(comparison.detectable)}")
    return remarks


def excuse(comparison: Comparison) -> str:
    """Why a row does not count as it would; empty where it counts."""
    if comparison.ignored:
        return f"ignored until {comparison.ignored.until}: {comparison.ignored.reason}"
    if comparison.accepted:
        return f"accepted on {comparison.accepted.date}: {comparison.accepted.reason}"
    return ""


def typical(values: Sequence[float]) -> float:
    """The value in the middle, of two the larger."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
