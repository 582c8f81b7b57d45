"""Patterns of requests, each for one kind of traffic, drawn from a generator that is passed in.

Each function gives a `Make`: it makes the keys, numbers, from a generator. Only `random()` is drawn
from, whose sequence Python guarantees.
"""

import heapq
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice

__all__ = [
    "Keys",
    "Make",
    "Zipf",
    "bursts",
    "compiling",
    "database",
    "drifting",
    "echoing",
    "loop",
    "phases",
    "pools",
    "reading",
    "recency",
    "scanned",
    "shifting",
    "together",
    "zigzag",
    "zipf",
]

Keys = list[int]

Make = Callable[[random.Random], Keys]
"""Makes the requested keys, in order."""

_APART = 1_000_000_000
"""Parts of one trace number their keys this far apart."""


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


def zipf(length: int, keys: int, alpha: float) -> Make:
    """Independent requests for keys of fixed popularity: the ideal of every counting policy."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        return [draw.rank(rng) for _ in range(length)]

    return make


def scanned(length: int, keys: int, alpha: float, *, scan: int, share: float) -> Make:
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


def shifting(length: int, keys: int, alpha: float, *, period: int) -> Make:
    """`zipf` whose keys all change places every `period` requests: what was counted misleads."""

    def make(rng: random.Random) -> Keys:
        draw = Zipf(keys, alpha)
        trace: Keys = []
        while len(trace) < length:
            places = _shuffled(rng, keys)
            trace.extend(places[draw.rank(rng)] for _ in range(period))
        return trace[:length]

    return make


def drifting(length: int, keys: int, alpha: float, *, every: int) -> Make:
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


def loop(length: int, size: int) -> Make:
    """The same keys in the same order over and over: LRU never hits below `size`."""
    return lambda _: [number % size for number in range(length)]


def zigzag(length: int, size: int) -> Make:
    """The same keys to and fro."""
    there = list(range(size))
    both = there + there[-2:0:-1]
    return lambda _: [both[number % len(both)] for number in range(length)]


def recency(length: int, *, fresh: float, scale: float, tail: float, run: int = 1) -> Make:
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


def echoing(length: int, *, fresh: float, reach: float) -> Make:
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


def pools(length: int, index: int, data: int) -> Make:
    """An index page and a data page in turns, each drawn evenly from its pool (O'Neil 1993)."""

    def make(rng: random.Random) -> Keys:
        return [
            _APART + _below(rng, data) if number % 2 else _below(rng, index)
            for number in range(length)
        ]

    return make


def bursts(length: int, keys: int, alpha: float, *, size: int, span: int) -> Make:
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
) -> Make:
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


def reading(length: int, files: Sequence[tuple[int, int]], *, noise: float) -> Make:
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


def compiling(length: int, *, headers: int, source: int) -> Make:
    """For each new source of up to `source` keys the same `headers` keys are read again."""

    def make(rng: random.Random) -> Keys:
        trace: Keys = []
        while len(trace) < length:
            fresh = _APART + len(trace)
            trace.extend(range(fresh, fresh + 1 + _below(rng, source)))
            trace.extend(range(headers))
        return trace[:length]

    return make


def phases(*parts: Make) -> Make:
    """One trace after the other, with keys of their own."""

    def make(rng: random.Random) -> Keys:
        return [
            key + number * 10 * _APART for number, part in enumerate(parts) for key in part(rng)
        ]

    return make


def together(slice_max: int, *parts: Make) -> Make:
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
