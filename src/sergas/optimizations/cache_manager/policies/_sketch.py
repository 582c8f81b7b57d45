"""How often keys were wanted that are not in the cache, in 16 to 32 bytes for each that is.

A count-min sketch (Cormode, Muthukrishnan 2005) of small counters with conservative update and
periodic halving (Einziger, Friedman, Manes 2017, §3); a key's places are found by double hashing
(Kirsch, Mitzenmacher 2006). A counter has a byte of its own and not four bits: taking a nibble
apart costs more in Python than the memory is worth, and all counters are halved by one
`bytes.translate`, at memory speed.
"""

__all__ = ["COUNT_MAX", "FrequencySketch"]

COUNT_MAX = 15
"""The largest count: enough to rank, and small enough to forget within four halvings."""

_HALVES = bytes(count >> 1 for count in range(256))
_COUNTERS_PER_KEY = 4
_SIZE_MIN = 64


class FrequencySketch:
    """Counts up to `COUNT_MAX`, never too low but for halving, too high by collisions at most.

    Args:
        keys: For how many keys in the cache it should be large enough, >= 0; see `fit`.

    Attributes:
        size: Counters in each of the four rows, a power of two.
    """

    __slots__ = ("_row1", "_row2", "_row3", "_row4", "size")

    _row1: bytearray
    _row2: bytearray
    _row3: bytearray
    _row4: bytearray

    def __init__(self, keys: int = 0) -> None:
        self.size = _SIZE_MIN
        self.clear()
        self.fit(keys)

    def fit(self, keys: int) -> None:
        """Grow, if need be, to four counters per row and key; every count stays as it was."""
        while self.size < _COUNTERS_PER_KEY * keys:
            # The new half answers for the hashes that share all lower bits with the old one.
            self.size *= 2
            self._row1 = self._row1 * 2
            self._row2 = self._row2 * 2
            self._row3 = self._row3 * 2
            self._row4 = self._row4 * 2

    def clear(self) -> None:
        """Forget every count."""
        self._row1 = bytearray(self.size)
        self._row2 = bytearray(self.size)
        self._row3 = bytearray(self.size)
        self._row4 = bytearray(self.size)

    def halve(self) -> None:
        """Halve every count, rounding down."""
        self._row1 = self._row1.translate(_HALVES)
        self._row2 = self._row2.translate(_HALVES)
        self._row3 = self._row3.translate(_HALVES)
        self._row4 = self._row4.translate(_HALVES)

    def count(self, spread: int) -> int:
        """How often the key was counted, in [0, COUNT_MAX].

        Args:
            spread: The key's hash, of which all 64 lower bits are as good as random.
        """
        mask = self.size - 1
        step = spread >> 32 | 1
        least = self._row1[spread & mask]
        if least:  # for most new keys the first counter says it all
            spread += step
            least = min(least, self._row2[spread & mask])
            spread += step
            least = min(least, self._row3[spread & mask])
            spread += step
            least = min(least, self._row4[spread & mask])
        return least

    def raise_to(self, spread: int, count: int) -> None:
        """See to it that `count(spread)` is at least `count`; no counter that is higher changes.

        Args:
            spread: As for `count`.
            count: In [0, COUNT_MAX].
        """
        mask = self.size - 1
        step = spread >> 32 | 1
        # Written out: a loop over the rows takes twice as long.
        row = self._row1
        index = spread & mask
        if row[index] < count:  # noqa: PLR1730 max() is a call more
            row[index] = count
        row = self._row2
        index = (index + step) & mask
        if row[index] < count:  # noqa: PLR1730 max() is a call more
            row[index] = count
        row = self._row3
        index = (index + step) & mask
        if row[index] < count:  # noqa: PLR1730 max() is a call more
            row[index] = count
        row = self._row4
        index = (index + step) & mask
        if row[index] < count:  # noqa: PLR1730 max() is a call more
            row[index] = count
