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

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tools.evaluation.cache_patterns import (
    Keys,
    Make,
    bursts,
    compiling,
    database,
    drifting,
    echoing,
    loop,
    phases,
    pools,
    reading,
    recency,
    scanned,
    shifting,
    together,
    zigzag,
    zipf,
)

__all__ = ["QUOTED", "TABLES", "TUNING", "Trace"]


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
    make: Make
    seed: int

    def requests(self) -> Keys:
        """The requested keys, in order."""
        return self.make(random.Random(self.seed))  # noqa: S311 traffic, not secrets


_Row = tuple[str, tuple[int, ...], Make]


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
