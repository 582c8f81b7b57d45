"""Histograms of high dynamic range: any number of samples in a fixed space, to 0.1 % of each value.

The buckets are Tene's: whole numbers below 2,048 each have one; above, every doubling is cut into
1,024 of equal width. Counting is exact, so histograms of the same layout merge by addition and
nothing is lost in any order. The text form is version 2 of the HdrHistogram encoding, so that its
readers in other languages, and its plotter, read ours.

Values here are whole numbers of a unit the caller chooses, nanoseconds in `groundspeed.load`.

References:
    Tene, HdrHistogram: A High Dynamic Range Histogram, hdrhistogram.org.
"""

import base64
import binascii
import math
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import IntArray
from groundspeed.stats.quantile import quantile_rank

__all__ = ["HOUR_NS", "Histogram", "HistogramLayout", "decode_histogram", "encode_histogram"]

HOUR_NS = 3_600_000_000_000

_COOKIE_V2 = 0x1C849313
_COMPRESSED_COOKIE_V2 = 0x1C849314
# Cookie, payload length, normalising offset, digits, lowest, highest, conversion ratio.
_HEADER = struct.Struct(">iiiiqqd")
_ENVELOPE = struct.Struct(">ii")
_DIGITS_MAX = 5
_VARINT_BYTES_MAX = 9
_DECODED_BYTES_MAX = 64 * 1024 * 1024
_HIGHEST_MIN = 2  # what other readers take for the least
_EXACT_IN_FLOAT = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramLayout:
    """Where the buckets lie; histograms of equal layouts can be merged.

    Attributes:
        highest: The largest value there is room for, at least 2; an hour of nanoseconds.
        digits: Significant decimal digits that are kept, 1 to 5.

    Raises:
        ValueError: If one is out of range.
    """

    highest: int = HOUR_NS
    digits: int = 3

    def __post_init__(self) -> None:
        if not _HIGHEST_MIN <= self.highest < _EXACT_IN_FLOAT:
            raise ValueError(f"highest: got {self.highest}, needed 2 to {_EXACT_IN_FLOAT - 1}")
        if not 1 <= self.digits <= _DIGITS_MAX:
            raise ValueError(f"digits: got {self.digits}, needed 1 to {_DIGITS_MAX}")

    @property
    def linear(self) -> int:
        """Below this every whole number has a bucket of its own."""
        return int(2 ** math.ceil(math.log2(2 * 10**self.digits)))

    @property
    def size(self) -> int:
        """How many buckets there are."""
        doublings = 0
        while self.linear << doublings <= self.highest:
            doublings += 1
        return (doublings + 2) * self.linear // 2

    def index(self, values: IntArray) -> IntArray:
        """The bucket of each value, all in [0, highest]."""
        # frexp gives the exponent of the next power of two, exactly for what a float can hold.
        _, bits = np.frexp(np.maximum(values, 1).astype(np.float64))
        doublings = np.maximum(bits.astype(np.int64) - (self.linear.bit_length() - 1), 0)
        return np.asarray(doublings * (self.linear // 2) + (values >> doublings), dtype=np.int64)

    def least(self, index: IntArray) -> IntArray:
        """The least value of each bucket."""
        half = self.linear // 2
        doublings = np.maximum(index // half - 1, 0)
        return np.asarray((index - doublings * half) << doublings, dtype=np.int64)

    def width(self, index: IntArray) -> IntArray:
        """How many whole numbers each bucket holds."""
        return np.asarray(1 << np.maximum(index // (self.linear // 2) - 1, 0), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How many samples fell into each bucket.

    Attributes:
        layout: Where the buckets lie.
        counts: Shape (layout.size,), int64, >= 0; not to be changed.

    Raises:
        ValueError: If the counts do not fit the layout, or one is negative.
    """

    layout: HistogramLayout
    counts: IntArray

    def __post_init__(self) -> None:
        if self.counts.shape != (self.layout.size,) or self.counts.dtype != np.int64:
            raise ValueError(
                f"counts: got {self.counts.dtype} of shape {self.counts.shape}, needed int64 of "
                f"shape ({self.layout.size},)"
            )
        if self.counts.size and int(self.counts.min()) < 0:
            raise ValueError(f"counts: got {int(self.counts.min())}, needed 0 or more")

    @classmethod
    def of(cls, values: npt.ArrayLike, *, layout: HistogramLayout | None = None) -> "Histogram":
        """Count values.

        Args:
            values: Whole numbers from 0 to the layout's highest, shape (n,), n >= 0.
            layout: Where the buckets lie; three digits to an hour of nanoseconds without one.

        Raises:
            ValueError: If a value is no whole number or out of range.
        """
        layout = HistogramLayout() if layout is None else layout
        vector = np.asarray(values)
        if not vector.size:
            return cls(layout=layout, counts=np.zeros(layout.size, dtype=np.int64))
        if vector.ndim != 1 or vector.dtype.kind not in "iu":
            raise ValueError(
                f"values: got {vector.dtype} of shape {vector.shape}, needed whole numbers in one "
                "dimension; round seconds to nanoseconds first"
            )
        if int(vector.min()) < 0 or int(vector.max()) > layout.highest:
            raise ValueError(
                f"values: got {int(vector.min())} to {int(vector.max())}, needed 0 to "
                f"{layout.highest}; choose a layout with a larger `highest`"
            )
        index = layout.index(vector.astype(np.int64))
        return cls(layout=layout, counts=np.bincount(index, minlength=layout.size).astype(np.int64))

    def merged(self, other: "Histogram") -> "Histogram":
        """Count both; exact, in any order.

        Raises:
            ValueError: If their buckets lie elsewhere.
        """
        if other.layout != self.layout:
            raise ValueError(
                f"merge: got {other.layout}, needed {self.layout}; count both in one layout"
            )
        return Histogram(layout=self.layout, counts=self.counts + other.counts)

    @cached_property
    def _sums(self) -> IntArray:
        return np.cumsum(self.counts)

    @property
    def count(self) -> int:
        """How many samples there are."""
        return int(self._sums[-1])

    def value_at_rank(self, rank: int) -> float:
        """The middle of the bucket that holds the sample of rank 1 (least) to `count`.

        Within half a bucket of that sample: 0.05 % at three digits.

        Raises:
            ValueError: If there is no such rank.
        """
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank: got {rank}, needed 1 to {self.count}")
        index = np.searchsorted(self._sums, [rank]).astype(np.int64)
        least, width = self.layout.least(index)[0], self.layout.width(index)[0]
        return float(least + (width - 1) / 2.0)

    def quantile(self, q: float) -> float:
        """The order statistic of rank ceil(n q), to the bucket.

        Raises:
            TooFewSamplesError: If it is empty.
            ValueError: If q is not in (0, 1).
        """
        return self.value_at_rank(quantile_rank(self.count, q))

    @property
    def mean(self) -> float:
        """Mean of the samples, each in the middle of its bucket; NaN where there is none."""
        if not self.count:
            return math.nan
        index = np.flatnonzero(self.counts)
        middles = self.layout.least(index) + (self.layout.width(index) - 1) / 2.0
        return float(middles @ self.counts[index]) / self.count


def encode_histogram(histogram: Histogram) -> str:
    """Write a histogram as the base64 of HdrHistogram's compressed encoding, version 2."""
    layout = histogram.layout
    payload = _encode_counts(histogram.counts)
    header = _HEADER.pack(_COOKIE_V2, len(payload), 0, layout.digits, 1, layout.highest, 1.0)
    compressed = zlib.compress(header + payload)
    envelope = _ENVELOPE.pack(_COMPRESSED_COOKIE_V2, len(compressed))
    return base64.b64encode(envelope + compressed).decode("ascii")


def decode_histogram(text: str) -> Histogram:
    """Read what `encode_histogram`, or another HdrHistogram of version 2, has written.

    Raises:
        ValueError: If it is no such text, or counts in units above one.
    """
    try:
        data = base64.b64decode(text, validate=True)
        cookie, length = _ENVELOPE.unpack_from(data)
        _check_cookie(cookie, _COMPRESSED_COOKIE_V2)
        # A few bytes can unpack into gigabytes.
        inflated = zlib.decompressobj().decompress(
            data[_ENVELOPE.size : _ENVELOPE.size + length], _DECODED_BYTES_MAX
        )
        cookie, size, offset, digits, lowest, highest, _ = _HEADER.unpack_from(inflated)
    except (binascii.Error, struct.error, zlib.error) as error:
        raise ValueError(f"histogram: got text that is no encoding of one ({error})") from None
    _check_cookie(cookie, _COOKIE_V2)
    if offset != 0 or lowest != 1:
        raise ValueError(
            f"histogram: got an offset of {offset} and a lowest value of {lowest}, needed 0 and 1"
        )
    payload = inflated[_HEADER.size : _HEADER.size + size]
    if len(payload) != size:
        raise ValueError(f"histogram: got {len(payload)} bytes of counts, needed {size}")
    layout = HistogramLayout(highest=highest, digits=digits)
    return Histogram(layout=layout, counts=_decode_counts(payload, layout.size))


def _check_cookie(seen: int, needed: int) -> None:
    if seen != needed:
        raise ValueError(
            f"histogram: got the mark {seen & 0xFFFFFFFF:#x}, needed {needed:#x}: version 2"
        )


def _encode_counts(counts: IntArray) -> bytes:
    """Counts up to the last that is not 0, runs of zeros as one negative number."""
    used = np.flatnonzero(counts)
    data = bytearray()
    position = 0
    for index in used.tolist():
        if index > position:
            _append_varint(data, position - index)
        _append_varint(data, int(counts[index]))
        position = index + 1
    return bytes(data)


def _append_varint(data: bytearray, number: int) -> None:
    """Zigzag, then seven bits a byte, least first; a ninth byte holds all eight."""
    left = (number << 1) ^ (number >> 63)
    for _ in range(_VARINT_BYTES_MAX - 1):
        if left < 0x80:  # noqa: PLR2004 - the bit that says more follows
            data.append(left)
            return
        data.append(left & 0x7F | 0x80)
        left >>= 7
    data.append(left)


def _decode_counts(payload: bytes, size: int) -> IntArray:
    counts = np.zeros(size, dtype=np.int64)
    index = position = 0
    while position < len(payload):
        number, position = _read_varint(payload, position)
        if number < 0:
            index -= number
            continue
        if index >= size:
            raise ValueError(f"histogram: got a count for bucket {index}, needed below {size}")
        counts[index] = number
        index += 1
    return counts


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for place in range(_VARINT_BYTES_MAX):
        if position >= len(data):
            raise ValueError("histogram: got counts that end within a number")
        byte = data[position]
        position += 1
        if place == _VARINT_BYTES_MAX - 1:
            number |= byte << (7 * place)
            break
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says more follows
            break
    return (number >> 1) ^ -(number & 1), position
