"""Times in logarithmic buckets: fixed memory, an eighth of precision, a quantile at any moment.

The layout is HdrHistogram's with three significant bits: each power of two of nanoseconds is cut
into eight equal buckets, so a bucket is at most an eighth as wide as the values in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

__all__ = ["LogHistogram", "Times"]

_SUB_BITS = 3
_SUB_COUNT = 1 << _SUB_BITS
_OCTAVES = 44  # 2**44 ns are four hours and more; what is longer counts in the last bucket
_BUCKETS = _OCTAVES * _SUB_COUNT


def _index(value_ns: int) -> int:
    """The bucket of a value; the first eight values have one each."""
    octave = value_ns.bit_length() - _SUB_BITS - 1
    if octave < 0:
        return value_ns
    return min((octave << _SUB_BITS) + (value_ns >> octave), _BUCKETS - 1)


def _middle_s(index: int) -> float:
    """The middle of a bucket in seconds."""
    if index < _SUB_COUNT:
        return index / 1e9
    octave = (index >> _SUB_BITS) - 1
    start = ((index & (_SUB_COUNT - 1)) + _SUB_COUNT) << octave
    return (start + ((1 << octave) - 1) / 2) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long something took, over many times.

    Attributes:
        counts: Times per bucket, shape (352,).
    """

    counts: Sequence[int]

    @property
    def count(self) -> int:
        """How many times are in it."""
        return sum(self.counts)

    def quantile_s(self, share: float) -> float | None:
        """The time that `share` of all do not exceed, within an eighth; None of an empty one.

        Args:
            share: From 0 to 1.

        Raises:
            ValueError: If `share` is outside.
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"Times.quantile_s: share is {share}, needed 0 to 1")
        sums = list(accumulate(self.counts))
        if sums[-1] == 0:
            return None
        rank = max(1.0, share * sums[-1])
        return _middle_s(next(index for index, total in enumerate(sums) if total >= rank))

    def moments(self) -> tuple[float, float] | None:
        """Mean in seconds and squared coefficient of variation; None of an empty one."""
        count = self.count
        if count == 0:
            return None
        weighted = [(n, _middle_s(index)) for index, n in enumerate(self.counts) if n]
        mean_s = sum(n * time_s for n, time_s in weighted) / count
        if mean_s == 0.0:
            return 0.0, 0.0
        variance = sum(n * (time_s - mean_s) ** 2 for n, time_s in weighted) / count
        return mean_s, variance / mean_s**2

    def since(self, earlier: "Times") -> "Times":
        """What came after `earlier`, a look at the same histogram."""
        pairs = zip(self.counts, earlier.counts, strict=True)
        return Times(counts=tuple(now - then for now, then in pairs))


class LogHistogram:
    """Counts times; adding one is a shift and an addition to a list."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    def add(self, time_s: float, count: int = 1) -> None:
        """Count a time; below zero counts as zero."""
        self._counts[_index(max(0, int(time_s * 1e9)))] += count

    def look(self, *, zeros: int = 0) -> Times:
        """The counts now, with `zeros` more that took no time and were not added one by one."""
        return Times(counts=(self._counts[0] + zeros, *self._counts[1:]))
