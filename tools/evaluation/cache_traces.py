"""Request traces for the hit-ratio table: named, made from fixed seeds, the same on every machine.

Each family stands for one kind of traffic. The usual ones stand for the traces that papers on
eviction use (programs that read files in loops, joins, web pages, pools, Zipf's law with and
without scans and shifts of popularity), in their usual proportions and so that Belady's optimum,
LRU and W-TinyLFU score about what they do there. The hard ones are what a policy that counts falls
for: popularity that moves on, bursts, plain recency, changes of everything.

Two tables share neither a seed nor a parameter: `TUNING` is what the policy's constants were chosen
on, `QUOTED` is what its figures are quoted from. Only `random.Random(seed).random()` is drawn from,
whose sequence Python guarantees.
"""

import heapq
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

__all__ = ["QUOTED", "TABLES", "TUNING", "Trace"]

Keys = list[int]
_APART = 1_000_000_000
"""Parts of one trace number their keys this far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A named sequence of keys, and the capacities it is replayed at.

    Attributes:
        name: What the table calls it.
        is_hard: Whether it is one of the hard kind, which are summed up apart.
        capacities: In entries, ascending.
        make: The keys, from a generator with the trace's own seed.
        seed: That seed.
    """

    name: str
    is_hard: bool
    capacities: tuple[int, ...]
    make: Callable[[random.Random], Keys]
    seed: int

    def requests(self) -> Keys:
        """The requested keys, in order."""
        return self.make(random.Random(self.seed))  # noqa: S311 traffic, not secrets


class Zipf:
    """Draws ranks 0, 1, ... with a probability that falls as (rank + 1) ** -alpha."""

    def __init__(self, keys: int, alpha: float) -> None:
        self._sums = list(accumulate((rank + 1) ** -alpha for rank in range(keys)))

    def rank(self, rng: random.Random) -> int:
        """A rank."""
        return min(bisect(self._sums, rng.random() * self._sums[-1]), len(self._sums) - 1)


def _below(rng: random.Random, limit: int) -> int:
    return int(rng.random() * limit)


def _shuffled(rng: random.Random, size: int) -> Keys:
    keys = list(range(size))
    for last in range(size - 1, 0, -1):
        other = _below(rng, last + 1)
        keys[last], keys[other] = keys[other], keys[last]
    return keys


def zipf(length: int, keys: int, alpha: float) -> Callable[[random.Random], Keys]:
    """Independent requests for keys of fixed popularity: the ideal of every counting policy."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        return [draw.rank(rng) for _ in range(length)]

    return make


def scanned(
    length: int, keys: int, alpha: float, *, scan: int, share: float
) -> Callable[[random.Random], Keys]:
    """`zipf`, of which `share` are runs of `scan` keys that never come again."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        trace: Keys = []
        fresh = _APART
        start = share / (share + (1 - share) * scan)
        while len(trace) < length:
            if rng.random() < start:
                trace.extend(range(fresh, fresh + scan))
                fresh += scan
            else:
                trace.append(draw.rank(rng))
        return trace[:length]

    return make


def shifting(
    length: int, keys: int, alpha: float, *, period: int
) -> Callable[[random.Random], Keys]:
    """`zipf` whose keys all change places every `period` requests: what was counted misleads."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        trace: Keys = []
        while len(trace) < length:
            places = _shuffled(rng, keys)
            trace.extend(places[draw.rank(rng)] for _ in range(period))
        return trace[:length]

    return make


def drifting(
    length: int, keys: int, alpha: float, *, every: int
) -> Callable[[random.Random], Keys]:
    """`zipf` in which a new key takes the place of an old one, of any rank, every few requests."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        places = list(range(keys))
        trace: Keys = []
        for number in range(length):
            if number % every == 0:
                places[draw.rank(rng)] = _APART + number
            trace.append(places[draw.rank(rng)])
        return trace

    return make


def loop(length: int, size: int) -> Callable[[random.Random], Keys]:
    """The same keys in the same order over and over: LRU never hits below `size`."""
    return lambda _: [number % size for number in range(length)]


def zigzag(length: int, size: int) -> Callable[[random.Random], Keys]:
    """The same keys to and fro."""
    there = list(range(size))
    both = there + there[-2:0:-1]
    return lambda _: [both[number % len(both)] for number in range(length)]


def recency(
    length: int, *, fresh: float, scale: float, tail: float, run: int = 1
) -> Callable[[random.Random], Keys]:
    """Requests for what was wanted a short while ago: LRU's ideal, as in file systems.

    Args:
        length: Requests.
        fresh: Share of new files.
        scale: Of the distance in the stack of recent files, whose density is Lomax's.
        tail: Of the same: the smaller, the more far ones.
        run: Largest file, in keys; files are read from begin to end.
    """

    def make(rng: random.Random) -> Keys:
        stack: list[range] = []
        trace: Keys = []
        while len(trace) < length:
            depth = int(scale * ((1 - rng.random()) ** (-1 / tail) - 1))
            if rng.random() < fresh or depth >= len(stack):
                file = range(len(trace), len(trace) + 1 + _below(rng, run))
            else:
                file = stack.pop(len(stack) - 1 - depth)
            stack.append(file)
            trace.extend(file)
        return trace[:length]

    return make


def echoing(length: int, *, fresh: float, reach: float) -> Callable[[random.Random], Keys]:
    """Pages that come up, are popular and fade, as on the web.

    A request repeats an earlier one, at a distance whose logarithm is uniform up to `reach`
    requests; `fresh` of them are for new keys. What was wanted often is wanted again.
    """

    def make(rng: random.Random) -> Keys:
        trace: Keys = []
        for number in range(length):
            distance = int(reach ** rng.random())
            is_new = rng.random() < fresh or distance > number
            trace.append(number if is_new else trace[-distance])
        return trace

    return make


def pools(length: int, index: int, data: int) -> Callable[[random.Random], Keys]:
    """An index page and a data page in turns, each drawn evenly from its pool (O'Neil 1993)."""

    def make(rng: random.Random) -> Keys:
        return [
            _APART + _below(rng, data) if number % 2 else _below(rng, index)
            for number in range(length)
        ]

    return make


def bursts(
    length: int, keys: int, alpha: float, *, size: int, span: int
) -> Callable[[random.Random], Keys]:
    """A key drawn by `zipf` is wanted `size` times within `span` requests, then left alone.

    Correlated references: a policy that counts takes a burst for popularity.
    """

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        due: list[tuple[float, int]] = []
        trace: Keys = []
        for number in range(length):
            if due and due[0][0] <= number:
                trace.append(heapq.heappop(due)[1])
                continue
            key = draw.rank(rng)
            trace.append(key)
            for _ in range(_below(rng, 2 * size - 1)):
                heapq.heappush(due, (number + rng.random() * span, key))
        return trace

    return make


def database(
    length: int, rows: int, alpha: float, *, run: int, flood_every: int, flood: int
) -> Callable[[random.Random], Keys]:
    """Range reads from popular places, and a sequential read of the same large table now and then.

    Args:
        length: Requests.
        rows: Pages that range reads begin at.
        alpha: How unevenly popular they are.
        run: Longest range read, in pages.
        flood_every: Requests between two floods.
        flood: Pages of the table that is read whole.
    """

    def make(rng: random.Random) -> Keys:
        draw = Zipf(rows // run, alpha)
        places = _shuffled(rng, rows // run)
        trace: Keys = []
        following = flood_every
        while len(trace) < length:
            if len(trace) >= following:
                trace.extend(range(_APART, _APART + flood))
                following = len(trace) + flood_every
            start = places[draw.rank(rng)] * run
            trace.extend(range(start, start + 1 + _below(rng, run)))
        return trace[:length]

    return make


def reading(
    length: int, files: Sequence[tuple[int, int]], *, noise: float
) -> Callable[[random.Random], Keys]:
    """A program that reads files from begin to end, one after the other, over and over.

    Args:
        length: Requests.
        files: Of each its size and how many times in a row it is read.
        noise: Share of requests for one of a hundred other keys.
    """

    def make(rng: random.Random) -> Keys:
        trace: Keys = []
        while len(trace) < length:
            for file, (size, times) in enumerate(files):
                for key in list(range(file * _APART, file * _APART + size)) * times:
                    trace.append(-1 - _below(rng, 100) if rng.random() < noise else key)
        return trace[:length]

    return make


def compiling(length: int, *, headers: int, source: int) -> Callable[[random.Random], Keys]:
    """For each new source of up to `source` keys the same `headers` keys are read again."""

    def make(rng: random.Random) -> Keys:
        trace: Keys = []
        while len(trace) < length:
            fresh = _APART + len(trace)
            trace.extend(range(fresh, fresh + 1 + _below(rng, source)))
            trace.extend(range(headers))
        return trace[:length]

    return make


def phases(*parts: Callable[[random.Random], Keys]) -> Callable[[random.Random], Keys]:
    """One trace after the other, with keys of their own."""

    def make(rng: random.Random) -> Keys:
        return [
            key + number * 10 * _APART for number, part in enumerate(parts) for key in part(rng)
        ]

    return make


def together(
    slice_max: int, *parts: Callable[[random.Random], Keys]
) -> Callable[[random.Random], Keys]:
    """Traces side by side, like programs: a slice of one, then of another, until one is over."""

    def make(rng: random.Random) -> Keys:
        traces: list[Iterator[int]] = [
            iter([key + number * 10 * _APART for key in part(rng)])
            for number, part in enumerate(parts)
        ]
        merged: Keys = []
        while True:
            wanted = 1 + _below(rng, slice_max)
            got = list(islice(traces[_below(rng, len(traces))], wanted))
            merged.extend(got)
            if len(got) < wanted:
                return merged

    return make


_Row = tuple[str, tuple[int, ...], Callable[[random.Random], Keys]]


def _table(seed: int, usual: Sequence[_Row], hard: Sequence[_Row]) -> Sequence[Trace]:
    rows = [(False, row) for row in usual] + [(True, row) for row in hard]
    return tuple(
        Trace(name=name, is_hard=is_hard, capacities=capacities, make=make, seed=seed + number)
        for number, (is_hard, (name, capacities, make)) in enumerate(rows)
    )


TUNING: Sequence[Trace] = _table(
    1_000,
    usual=[
        ("zipf-flat", (200, 1000, 4000), zipf(250_000, 20_000, 0.8)),
        ("zipf-steep", (200, 1000, 4000), zipf(250_000, 30_000, 0.99)),
        ("zipf+scan", (200, 1000, 4000), scanned(250_000, 30_000, 0.99, scan=500, share=0.3)),
        ("zipf-shift", (200, 1000, 4000), shifting(250_000, 30_000, 0.99, period=50_000)),
        ("code-reading", (250, 500, 1000), reading(20_000, [(1400, 1)], noise=0.02)),
        (
            "text-search",
            (250, 500, 1000),
            reading(40_000, [(1150, 4), (400, 2), (900, 1)], noise=0.01),
        ),
        ("compiler", (50, 100, 500), compiling(20_000, headers=76, source=24)),
        ("joins", (250, 500, 1000), reading(40_000, [(290, 7), (1800, 1)], noise=0.03)),
        (
            "programs-two",
            (500, 1000, 2000),
            together(
                150,
                reading(40_000, [(1400, 1)], noise=0.02),
                compiling(40_000, headers=76, source=24),
            ),
        ),
        (
            "programs-three",
            (500, 1000, 2000),
            together(
                200,
                reading(40_000, [(1400, 1)], noise=0.02),
                compiling(40_000, headers=76, source=24),
                reading(40_000, [(290, 7), (1800, 1)], noise=0.03),
            ),
        ),
        (
            "programs-four",
            (500, 1000, 2000),
            together(
                100,
                compiling(40_000, headers=76, source=24),
                reading(40_000, [(1150, 4), (400, 2), (900, 1)], noise=0.01),
                reading(40_000, [(290, 7), (1800, 1)], noise=0.03),
                recency(40_000, fresh=0.1, scale=30, tail=1.0),
            ),
        ),
        (
            "recency",
            (200, 500, 1000),
            together(
                30, recency(90_000, fresh=0.03, scale=12, tail=2, run=40), zipf(90_000, 1_500, 1.0)
            ),
        ),
        ("pools", (250, 500, 1000), pools(100_000, 100, 10_000)),
        ("loop", (250, 500, 750), loop(60_000, 1_000)),
        (
            "web-day",
            (400, 800, 1500),
            together(20, echoing(60_000, fresh=0.35, reach=5_000), zipf(60_000, 3_000, 1.1)),
        ),
        (
            "web-month",
            (400, 800, 1500),
            together(20, echoing(60_000, fresh=0.15, reach=9_000), zipf(60_000, 4_000, 1.0)),
        ),
        (
            "database",
            (2000, 6000),
            together(
                30,
                database(100_000, 10_000, 1.1, run=8, flood_every=30_000, flood=3_000),
                recency(100_000, fresh=0.03, scale=300, tail=1.5),
            ),
        ),
    ],
    hard=[
        ("shift-quick", (300, 2000), shifting(100_000, 50_000, 1.0, period=10_000)),
        ("shift-flat", (500, 2000), shifting(200_000, 20_000, 0.9, period=50_000)),
        ("drift", (300, 1500), drifting(100_000, 20_000, 0.9, every=10)),
        ("zigzag", (300, 700), zigzag(50_000, 1_000)),
        ("bursts", (300, 1500), bursts(100_000, 30_000, 0.7, size=4, span=200)),
        ("recency-wide", (400, 1600), recency(100_000, fresh=0.05, scale=300, tail=1.3)),
        ("loop+zipf", (500, 1000), together(100, loop(100_000, 1_200), zipf(100_000, 20_000, 1.0))),
        (
            "floods",
            (500, 5000),
            database(100_000, 40_000, 0.9, run=16, flood_every=15_000, flood=6_000),
        ),
        (
            "all-at-once",
            (500, 2000),
            together(
                400,
                loop(100_000, 900),
                loop(100_000, 2_500),
                zipf(100_000, 5_000, 0.9),
                recency(100_000, fresh=0.02, scale=40, tail=0.9),
            ),
        ),
        (
            "phases",
            (400, 1200),
            phases(
                loop(33_000, 1_500),
                recency(33_000, fresh=0.05, scale=60, tail=0.8),
                zipf(33_000, 10_000, 0.9),
                loop(33_000, 600),
            ),
        ),
    ],
)
"""What the policy's constants were chosen on."""

QUOTED: Sequence[Trace] = _table(
    77_000,
    usual=[
        ("zipf-flat", (250, 1200, 4500), zipf(220_000, 25_000, 0.85)),
        ("zipf-steep", (150, 800, 3500), zipf(240_000, 40_000, 1.05)),
        ("zipf+scan", (250, 1300, 3800), scanned(230_000, 25_000, 0.95, scan=900, share=0.25)),
        ("zipf-shift", (250, 900, 3500), shifting(240_000, 25_000, 1.03, period=40_000)),
        ("code-reading", (300, 600, 1100), reading(22_000, [(1650, 1)], noise=0.03)),
        (
            "text-search",
            (300, 600, 1100),
            reading(45_000, [(1300, 5), (350, 3), (800, 1)], noise=0.02),
        ),
        ("compiler", (45, 110, 400), compiling(24_000, headers=92, source=30)),
        ("joins", (220, 450, 1100), reading(45_000, [(350, 6), (1500, 1)], noise=0.04)),
        (
            "programs-two",
            (400, 900, 1800),
            together(
                90,
                reading(45_000, [(1250, 1)], noise=0.03),
                compiling(45_000, headers=92, source=30),
            ),
        ),
        (
            "programs-three",
            (450, 1100, 1900),
            together(
                120,
                reading(45_000, [(1500, 1)], noise=0.03),
                compiling(45_000, headers=66, source=20),
                reading(45_000, [(330, 8), (1300, 1)], noise=0.04),
            ),
        ),
        (
            "programs-four",
            (600, 1200, 2200),
            together(
                160,
                compiling(45_000, headers=88, source=28),
                reading(45_000, [(1000, 4), (450, 2), (700, 1)], noise=0.02),
                reading(45_000, [(260, 9), (1600, 1)], noise=0.04),
                recency(45_000, fresh=0.08, scale=40, tail=1.2),
            ),
        ),
        (
            "recency",
            (150, 400, 1200),
            together(
                40,
                recency(85_000, fresh=0.04, scale=15, tail=2.3, run=30),
                zipf(85_000, 1_200, 1.1),
            ),
        ),
        ("pools", (300, 600, 900), pools(110_000, 120, 12_000)),
        ("loop", (200, 600, 1000), loop(66_000, 1_300)),
        (
            "web-day",
            (300, 900, 1600),
            together(30, echoing(65_000, fresh=0.3, reach=6_000), zipf(65_000, 5_000, 1.15)),
        ),
        (
            "web-month",
            (300, 700, 1700),
            together(30, echoing(65_000, fresh=0.18, reach=12_000), zipf(65_000, 3_000, 1.05)),
        ),
        (
            "database",
            (2400, 5500),
            together(
                45,
                database(110_000, 12_000, 1.05, run=10, flood_every=25_000, flood=3_500),
                recency(110_000, fresh=0.04, scale=260, tail=1.4),
            ),
        ),
    ],
    hard=[
        ("shift-quick", (250, 3500), shifting(100_000, 40_000, 1.05, period=8_000)),
        ("shift-flat", (600, 1800), shifting(200_000, 25_000, 0.85, period=40_000)),
        ("drift", (400, 1300), drifting(100_000, 15_000, 0.95, every=7)),
        ("zigzag", (400, 1100), zigzag(50_000, 1_500)),
        ("bursts", (250, 1200), bursts(100_000, 20_000, 0.8, size=5, span=300)),
        ("recency-wide", (500, 1300), recency(100_000, fresh=0.04, scale=400, tail=1.6)),
        ("loop+zipf", (400, 1400), together(60, loop(100_000, 1_000), zipf(100_000, 30_000, 0.9))),
        (
            "floods",
            (700, 5500),
            database(100_000, 50_000, 1.0, run=24, flood_every=12_000, flood=7_000),
        ),
        (
            "all-at-once",
            (600, 2200),
            together(
                250,
                loop(100_000, 700),
                loop(100_000, 3_000),
                zipf(100_000, 8_000, 1.0),
                recency(100_000, fresh=0.03, scale=60, tail=1.1),
            ),
        ),
        (
            "phases",
            (500, 1500),
            phases(
                zipf(33_000, 8_000, 1.0),
                loop(33_000, 1_900),
                recency(33_000, fresh=0.04, scale=90, tail=0.9),
                loop(33_000, 800),
                shifting(33_000, 9_000, 0.9, period=9_000),
            ),
        ),
    ],
)
"""What the figures are quoted from."""

TABLES = {"quoted": QUOTED, "tuning": TUNING}
"""Both tables by name."""
