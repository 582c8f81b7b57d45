"""What a reader should know of one row beside its ratio, from what was measured: pure.

A note changes no outcome. A slowdown that was shown is there however a sample is made up; but what
the number speaks of may not be what its reader takes it for.
"""

import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from groundspeed.model import Comparison, Outcome
from groundspeed.stats import Groups, student_t_sf, summarise, two_groups
from groundspeed.units import format_percent, format_seconds, format_value

__all__ = ["notes_on"]

# A change of a call shows less by what the clocks take of a sample, so 3 % as 2.85 % here.
_CLOCK_SHARE = 0.05
_CLOCK_ALONE = 0.9
_DRIFT = 1.2
_STEADY_DRIFT = 1.1
_MOST = 0.75
# Two groups nearer to each other than the smallest change worth reporting are one.
_APART = 0.01
_ALIKE = 0.9
# The slower half of the samples scatters more than what is judged: less is not worth a line.
_SLOWER_HALF = 0.05
_SLOWER_HALF_PAIRS = 5
_SLOWER_HALF_CHANCE = 1e-4


def notes_on(comparison: Comparison, *, clocks_s: float = 0.0) -> tuple[str, ...]:
    """The notes of one row.

    Args:
        comparison: The row, with its launch pairs.
        clocks_s: What a sample takes in which nothing is called, by the row's metric.
    """
    clocks = tuple(_clocks(comparison, clocks_s))
    return (
        *clocks,
        # Clocks themselves grow quicker when they are read again and again.
        *(() if clocks else _drift(comparison)),
        *_slower_half(comparison),
        *_groups(comparison),
        *_zeros(comparison),
    )


def _clocks(comparison: Comparison, clocks_s: float) -> Iterator[str]:
    """That the clocks take a good part of each sample.

    They take the same on both sides, so that a difference that was shown is real and larger than it
    looks; what they hide is a change that is called `same`.
    """
    if not comparison.pairs or not comparison.loops:
        return
    sample_s = statistics.median(pair.base_s for pair in comparison.pairs) * comparison.loops
    share = clocks_s / sample_s
    if share <= _CLOCK_SHARE:
        return
    more = "let a sample make more calls, or a call do more"
    if share >= _CLOCK_ALONE:
        yield (
            f"a sample takes {format_seconds(sample_s)}, hardly more than reading the clocks: how "
            f"much the call itself changed cannot be told; {more}"
        )
        return
    seen = 1.0 - share
    yield (
        f"reading the clocks is {format_percent(share)} of a sample of {format_seconds(sample_s)}, "
        f"on both sides alike, so the call itself changed about {1 / seen:.1f} times as much as is "
        f"shown{_room(comparison, seen)}; {more}"
    )


def _room(comparison: Comparison, seen: float) -> str:
    """How much a call may have changed whose samples are the same."""
    low, high = comparison.ratio_low, comparison.ratio_high
    if comparison.outcome is not Outcome.SAME or low is None or high is None:
        return ""
    return f" (by up to {format_percent(max(high - 1.0, 1.0 - low) / seen)})"


def _drift(comparison: Comparison) -> Iterator[str]:
    """That a benchmark's calls take longer and longer, or ever less, within a process."""
    drifts = [pair.drift for pair in comparison.pairs if pair.drift is not None]
    if not drifts:
        return
    middle = statistics.median(drifts)
    if middle >= _DRIFT and _mostly(d >= _STEADY_DRIFT for d in drifts):
        way = "grow"
    elif middle <= 1 / _DRIFT and _mostly(d <= 1 / _STEADY_DRIFT for d in drifts):
        way = "shrink"
    else:
        return
    yield (
        f"its samples {way} within a process, the last quarter taking {middle:.2g} times as long "
        "as the first: it changes its own work between calls, or is not warm yet; let each call "
        "find what the first one found"
    )


def _slower_half(comparison: Comparison) -> Iterator[str]:
    """That only the slower half of the samples got slower, which the ratio does not speak of."""
    halves = [(pair.base_slower_half_s, pair.candidate_slower_half_s) for pair in comparison.pairs]
    differences = [math.log(own / base) for base, own in halves if base and own]
    if comparison.outcome is Outcome.SLOWER or len(differences) < _SLOWER_HALF_PAIRS:
        return
    seen = summarise([differences])
    mean, error = float(seen.mean[0]), math.sqrt(float(seen.variance[0]))
    if math.expm1(mean) < _SLOWER_HALF or error == 0.0:
        return
    if float(student_t_sf(mean / error, seen.df)) < _SLOWER_HALF_CHANCE:
        yield (
            f"the slower half of its samples takes {format_percent(math.expm1(mean))} longer on "
            "the candidate: what only some calls cost is not in the ratio; compare the mean of "
            "many calls, or let one call do the work of many"
        )


def _mostly(agreeing: Iterator[bool]) -> bool:
    votes = list(agreeing)
    return sum(votes) >= _MOST * len(votes)


def _groups(comparison: Comparison) -> Iterator[str]:
    """That the launches of a side fall into two groups, which no interval of a mean can tell."""
    sides = [(p.base_s, p.candidate_s) for p in comparison.pairs] or [
        (p.base, p.candidate) for p in comparison.values
    ]
    base, candidate = (_two_groups([pair[side] for pair in sides]) for side in (0, 1))
    if base is not None and candidate is not None and _alike(base, candidate):
        yield (
            f"bimodal: in {_shown(base, comparison)}, on both sides in the same launch pairs, so "
            "it is what a launch draws (hash seed, memory layout) or the machine"
        )
        return
    for name, groups in (("base", base), ("candidate", candidate)):
        if groups is not None:
            yield f"bimodal: on {name} in {_shown(groups, comparison)}"


def _two_groups(values: Sequence[float]) -> Groups | None:
    """The groups of a side's launches that are far enough from each other to matter."""
    if min(values, default=0.0) <= 0.0:
        return None
    groups = two_groups(values)
    if groups is None or groups.high - groups.low < _APART * groups.low:
        return None
    return groups


def _alike(base: Groups, candidate: Groups) -> bool:
    """Whether it is the same launch pairs that are high on both sides."""
    return bool(np.mean(np.equal(base.upper, candidate.upper)) >= _ALIKE)


def _shown(groups: Groups, comparison: Comparison) -> str:
    unit = "s" if comparison.pairs else comparison.unit
    low, high = format_value(groups.low, unit), format_value(groups.high, unit)
    takes = "takes" if comparison.timed else "is"
    count = f"{sum(groups.upper)} of {len(groups.upper)} launches"
    return f"{count} it {takes} about {high}, in the others {low}"


def _zeros(comparison: Comparison) -> Iterator[str]:
    """That a ratio is not one, since one side gives nothing."""
    zeros = [p for p in comparison.values if (p.base == 0.0) != (p.candidate == 0.0)]
    if zeros:
        side = "base" if zeros[0].base == 0.0 else "candidate"
        yield (
            f"{side} gives 0 in {len(zeros)} of {len(comparison.values)} launch pairs, which has "
            "no ratio; each counts as a hundredfold"
        )
