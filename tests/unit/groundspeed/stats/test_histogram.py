import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.stats.arrays import FloatArray
from groundspeed.stats.histogram import (
    HOUR_NS,
    Histogram,
    HistogramLayout,
    decode_histogram,
    encode_histogram,
)

VALUES = st.lists(
    st.one_of(st.integers(0, 5000), st.integers(0, HOUR_NS)), min_size=1, max_size=300
)
LAYOUTS = st.builds(HistogramLayout, highest=st.integers(2, 2**52), digits=st.integers(1, 4))


def theirs(values: list[int], *, highest: int = HOUR_NS, digits: int = 3) -> HdrHistogram:
    """The same values counted by the hdrhistogram package."""
    histogram = HdrHistogram(1, highest, digits)
    for value in values:
        assert histogram.record_value(value)
    return histogram


@given(LAYOUTS, st.data())
def test_every_value_lies_in_its_bucket_and_buckets_meet(
    layout: HistogramLayout, data: st.DataObject
) -> None:
    """A bucket holds its least value up to the next one's, and is as narrow as promised."""
    value = data.draw(st.integers(0, layout.highest))
    index = layout.index(np.array([value]))
    least, width = layout.least(index)[0], layout.width(index)[0]
    assert least <= value < least + width
    assert width <= max(1, least / 10**layout.digits)
    assert layout.index(np.array([least, least + width - 1])).tolist() == [index[0]] * 2
    if index[0] + 1 < layout.size:
        assert layout.least(index + 1)[0] == least + width


@given(VALUES)
def test_the_package_reads_what_is_written(values: list[int]) -> None:
    """Its counts, percentiles and total are those of a histogram of its own."""
    own = theirs(values)
    read = HdrHistogram.decode(encode_histogram(Histogram.of(values)))
    assert read.get_total_count() == len(values)
    for percentile in (0.1, 50, 90, 95, 99, 99.9, 100):
        assert read.get_value_at_percentile(percentile) == own.get_value_at_percentile(percentile)


@given(VALUES)
def test_what_the_package_writes_is_read(values: list[int]) -> None:
    """Bucket by bucket."""
    read = decode_histogram(theirs(values).encode().decode())
    assert read.layout == HistogramLayout()
    assert np.array_equal(read.counts, Histogram.of(values).counts)


@given(LAYOUTS, st.data())
def test_reading_gives_back_what_was_written(layout: HistogramLayout, data: st.DataObject) -> None:
    """Whatever the layout and however large the counts."""
    counts = np.zeros(layout.size, dtype=np.int64)
    for index in data.draw(st.lists(st.integers(0, layout.size - 1), max_size=8)):
        counts[index] = data.draw(st.integers(1, 2**58))
    histogram = Histogram(layout=layout, counts=counts)
    back = decode_histogram(encode_histogram(histogram))
    assert back.layout == layout
    assert np.array_equal(back.counts, counts)


@given(VALUES, VALUES)
def test_merging_is_counting_all_at_once(left: list[int], right: list[int]) -> None:
    """Exact, and in either order."""
    merged = Histogram.of(left).merged(Histogram.of(right))
    assert np.array_equal(merged.counts, Histogram.of(left + right).counts)
    assert np.array_equal(merged.counts, Histogram.of(right).merged(Histogram.of(left)).counts)


def million_seconds(shape: str, rng: np.random.Generator) -> FloatArray:
    """A million response times."""
    match shape:
        case "uniform":
            return rng.uniform(1e-6, 2e-2, 1_000_000)
        case "exponential":
            return rng.exponential(5e-3, 1_000_000)
        case "lognormal":
            return rng.lognormal(-6.0, 1.0, 1_000_000)
        case "heavy":
            return 1e-3 * (1.0 + rng.pareto(1.5, 1_000_000))
        case _:
            pass
    fast, slow = rng.normal(5e-4, 2e-5, 1_000_000), rng.normal(0.2, 0.01, 1_000_000)
    return np.where(rng.random(1_000_000) < 0.9, fast, slow)


@pytest.mark.parametrize("shape", ["uniform", "exponential", "lognormal", "heavy", "two modes"])
def test_a_million_samples_keep_their_percentiles(shape: str) -> None:
    """Within 0.1 % of exact sorting, from p50 to p99.99, and their mean."""
    rng = np.random.default_rng(7)
    seconds = million_seconds(shape, rng)
    nanoseconds = np.round(seconds * 1e9).astype(np.int64)
    histogram = Histogram.of(nanoseconds)
    ordered = np.sort(nanoseconds)
    for q in (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999):
        exact = ordered[int(np.ceil(q * ordered.size)) - 1]
        assert histogram.quantile(q) == pytest.approx(exact, rel=1e-3)
    assert histogram.mean == pytest.approx(nanoseconds.mean(), rel=1e-3)
    assert histogram.count == 1_000_000


def test_values_out_of_range_or_not_whole_are_refused() -> None:
    """Nothing is clipped: a sample that is lost is a lie."""
    with pytest.raises(ValueError, match=f"needed 0 to {HOUR_NS}; choose a layout"):
        Histogram.of([HOUR_NS + 1])
    with pytest.raises(ValueError, match="got -1 to 3"):
        Histogram.of([-1, 3])
    with pytest.raises(ValueError, match="round seconds to nanoseconds"):
        Histogram.of([0.5])
    with pytest.raises(ValueError, match="digits: got 6"):
        HistogramLayout(digits=6)
    with pytest.raises(ValueError, match="highest: got 1"):
        HistogramLayout(highest=1)
    with pytest.raises(ValueError, match="count both in one layout"):
        Histogram.of([1]).merged(Histogram.of([1], layout=HistogramLayout(digits=2)))
    with pytest.raises(ValueError, match="needed int64 of shape"):
        Histogram(layout=HistogramLayout(), counts=np.zeros(3, dtype=np.int64))
    negative = np.full(HistogramLayout().size, -1, dtype=np.int64)
    with pytest.raises(ValueError, match="counts: got -1"):
        Histogram(layout=HistogramLayout(), counts=negative)


def test_an_empty_histogram_has_no_mean_and_no_rank() -> None:
    """Rather than zeros that look like measurements."""
    empty = Histogram.of(np.empty(0, dtype=np.int64))
    assert empty.count == 0
    assert np.isnan(empty.mean)
    with pytest.raises(ValueError, match="needed at least 1"):
        empty.quantile(0.5)
    with pytest.raises(ValueError, match="rank: got 1"):
        empty.value_at_rank(1)


def packed(payload: bytes, *, cookie: int = 0x1C849313, offset: int = 0, cut: int = 0) -> str:
    """A text of our own making around a payload."""
    header = struct.pack(">iiiiqqd", cookie, len(payload) + cut, offset, 3, 1, 10**6, 1.0)
    inner = zlib.compress(header + payload)
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(inner)) + inner).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not base64!", "no encoding"),
        ("AAAA", "no encoding"),
        (base64.b64encode(bytes(16)).decode(), "got the mark 0x0, needed 0x1c849314"),
        (base64.b64encode(struct.pack(">ii", 0x1C849314, 4) + b"junk").decode(), "no encoding"),
        (packed(b"", cookie=5), "got the mark 0x5, needed 0x1c849313"),
        (packed(b"", offset=3), "got an offset of 3"),
        (packed(b"\x02", cut=9), "got 1 bytes of counts, needed 10"),
        (packed(b"\x80"), "end within a number"),
        (packed(b"\xff\xff\x7f\x02"), "got a count for bucket"),
    ],
)
def test_garbage_is_refused(text: str, message: str) -> None:
    """In words, and never as an error of zlib or struct."""
    with pytest.raises(ValueError, match=message):
        decode_histogram(text)
