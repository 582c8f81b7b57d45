"""Frozen records: what was measured and what was decided.

Seconds and bytes throughout. A ratio above 1 means slower, or worse: it is candidate / base, and
base / candidate where more is better. A record holds facts only: what can be computed from others
(a ratio from seconds) is a property.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = [
    "CHECK_SCHEMA",
    "TIMES",
    "Acceptance",
    "AcceptanceState",
    "AcceptedEntry",
    "CheckRecord",
    "Commit",
    "Comparison",
    "Direction",
    "Failure",
    "Ignored",
    "LabelExchange",
    "Machine",
    "Metric",
    "Outcome",
    "PairSummary",
    "Row",
    "Settings",
    "Shard",
    "Side",
    "ValuePair",
    "Verdict",
    "log_ratio",
]

CHECK_SCHEMA = "groundspeed.check/1"

Side = Literal["base", "candidate"]

Direction = Literal["lower", "higher"]
"""Which way is better."""

Metric = Literal[
    "clean",
    "cpu",
    "wall",
    "timer",
    "instructions",
    "allocations",
    "peak_memory",
    "memory",
    "track",
    "recorded",
]
"""What is compared. Times: wall time without run-queue delay, CPU time, plain wall time, or the
benchmark's own timer. Others: instructions a call executes, bytes it has allocated at its peak, the
peak memory of its process, the size of what it returns, what it returns, and what a test recorded.
"""


TIMES: frozenset[Metric] = frozenset({"clean", "cpu", "wall", "timer"})
"""The metrics that are times."""


class Outcome(StrEnum):
    """What is known of one row in the end."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNDECIDED = "undecided"
    BROKEN = "broken"
    NO_BASELINE = "no baseline"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """The one word of a whole check."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    BLOCK = "block"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Row:
    """One benchmark at one combination of its parameters.

    Attributes:
        name: The benchmark's dotted name, as asv gives it.
        parameters: The parameters' representations, in order; empty without parameters.
        quantity: Which of the several that one run records, such as `latency_s_p99`; empty where a
            run gives one.
    """

    name: str
    parameters: tuple[str, ...] = ()
    quantity: str = ""

    @property
    def label(self) -> str:
        """The name a person reads, `module.time_x(10, 'a')`."""
        name = f"{self.name}({', '.join(self.parameters)})" if self.parameters else self.name
        return f"{name} {self.quantity}" if self.quantity else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a row, a file or a side could not be measured.

    Attributes:
        side: Which side it happened on.
        stage: What was being done: import, setup, setup_cache, calibration, sampling, teardown.
        kind: The exception's type, or `timeout`, `exit`, `signal`.
        message: One line for a person.
        traceback: The end of the traceback, empty when there is none.
    """

    side: Side
    stage: str
    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSummary:
    """One launch pair of one row: means of the faster half of the samples per call, in seconds.

    Attributes:
        pair: Which launch pair of the check, from 0.
        base_s: Seconds a call took on base, by the row's metric.
        candidate_s: The same for the candidate.
        base_wall_s: Plain wall time on base.
        candidate_wall_s: The same for the candidate.
        base_cpu_s: CPU time of all threads on base.
        candidate_cpu_s: The same for the candidate.
        samples: Samples per side.
        drift: How much longer the last quarter of them (one at least) took than the first, as a
            ratio, the geometric mean of both sides; None of a single one.
        base_slower_half_s: Mean of the slower half of the samples on base, by the row's metric;
            None in records from before it was kept.
        candidate_slower_half_s: The same for the candidate.
    """

    pair: int
    base_s: float
    candidate_s: float
    base_wall_s: float
    candidate_wall_s: float
    base_cpu_s: float
    candidate_cpu_s: float
    samples: int
    drift: float | None = None
    base_slower_half_s: float | None = None
    candidate_slower_half_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePair:
    """One launch pair of a row that is no time, in the comparison's unit.

    Attributes:
        pair: Which launch pair of the check, from 0.
        base: What base gave.
        candidate: What the candidate gave.
    """

    pair: int
    base: float
    candidate: float


def log_ratio(base: float, candidate: float, direction: Direction = "lower") -> float:
    """Give the logarithm of one pair's ratio, above 0 where the candidate is worse.

    Equal values give 0, also two zeros. A value of 0 against another is infinitely far, either
    way; values of which one is negative have no ratio, which is NaN.
    """
    if base == candidate:
        return 0.0
    if base < 0.0 or candidate < 0.0:
        return math.nan
    worse, better = (candidate, base) if direction == "lower" else (base, candidate)
    if better == 0.0:
        return math.inf
    # The log of the quotient would not change its sign alone when the sides are exchanged.
    return math.log(worse) - math.log(better) if worse > 0.0 else -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Why a row does not count, and for how long; see `[[tool.groundspeed.rules]]`.

    Attributes:
        reason: What the project says about it.
        until: The last day it holds, `2027-01-31`.
    """

    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A slowdown that somebody accepted: one entry of `results/accepted.toml`.

    Attributes:
        label: The row's label.
        ratio_high: The most that is accepted, candidate / base; the upper end of the interval in
            the check that it was accepted from.
        base: The base of that check, a full commit.
        candidate: Its candidate; None where that was a working tree with changes.
        date: When it was accepted, `2026-11-22`.
        reason: Why.
    """

    label: str
    ratio_high: float
    base: str
    candidate: str | None = None
    date: str
    reason: str


class AcceptanceState(StrEnum):
    """What an acceptance means for one check; see decision 9."""

    IN_FORCE = "in force"
    SPENT = "spent"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEntry:
    """An acceptance and what it means for this check."""

    acceptance: Acceptance
    state: AcceptanceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that is known of one row.

    Attributes:
        row: Which benchmark.
        outcome: What was decided.
        metric: What its samples are; None when nothing was sampled.
        loops: Calls per sample, the same on both sides.
        ratio: Candidate / base, or base / candidate where more is better; None when nothing was
            measured.
        ratio_low: Lower end of the ratio's interval at `confidence`.
        ratio_high: Upper end.
        confidence: Coverage of the interval, for example 0.98.
        p_slower: One-sided p-value of "not slower", before the suite's correction.
        p_faster: One-sided p-value of "not faster".
        detectable: The smallest slowdown (0.02 is 2 %) these pairs would show 19 times in 20.
        pairs: Every launch pair's summary, of a row that is a time.
        values: Every launch pair's values, of any other row.
        unit: Of the values: `s`, `bytes`, `instructions`, or what the benchmark states.
        direction: Which way is better.
        notes: What a reader should know of this row, a sentence each.
        failures: Why it is broken, skipped or has no baseline.
        min_effect: The smallest change worth reporting of this row, where a rule states one; None
            means that of the settings.
        ignored: Why it takes no part in the verdict; None where it does.
        accepted: What makes a slower row warn instead of block; None where nothing does.
    """

    row: Row
    outcome: Outcome
    metric: Metric | None = None
    loops: int | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    confidence: float | None = None
    p_slower: float | None = None
    p_faster: float | None = None
    detectable: float | None = None
    pairs: tuple[PairSummary, ...] = ()
    values: tuple[ValuePair, ...] = ()
    unit: str = "s"
    direction: Direction = "lower"
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    min_effect: float | None = None
    ignored: Ignored | None = None
    accepted: Acceptance | None = None

    @property
    def timed(self) -> bool:
        """Whether it compares a time, as it would a row of which nothing was measured."""
        return self.metric is None or self.metric in TIMES

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """The log ratio of every launch pair, above 0 where the candidate is worse."""
        times = [(pair.base_s, pair.candidate_s) for pair in self.pairs]
        values = [(pair.base, pair.candidate) for pair in self.values]
        return tuple(log_ratio(*sides, self.direction) for sides in times or values)

    @property
    def blocking(self) -> bool:
        """Whether it is slower and nothing excuses that."""
        return self.outcome is Outcome.SLOWER and self.ignored is None and self.accepted is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One side of a check.

    Attributes:
        name: As the user named it, or `working tree`.
        sha: The full commit; of the working tree, the commit it is based on.
        subject: First line of the commit message.
        dirty: Whether it differs from `sha`.
    """

    name: str
    sha: str
    subject: str
    dirty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured.

    Attributes:
        fingerprint: Changes when the hardware, kernel or interpreter does.
        cpu: Model name.
        cpus: CPUs this process may use.
        measuring_cpus: Those the samples were taken on; empty when not pinned.
        memory_bytes: Installed memory.
        system: Kernel name and release.
        python: Implementation and version of the measured interpreter.
        load_average_1m: When the check began; None where there is none.
        schedstat: Whether run-queue delay could be read.
    """

    fingerprint: str
    cpu: str
    cpus: int
    measuring_cpus: tuple[int, ...]
    memory_bytes: int
    system: str
    python: str
    load_average_1m: float | None
    schedstat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides, written down so that a check can be repeated.

    Attributes:
        false_alarms: Share of checks of unchanged code that may raise any alarm.
        min_effect: The smallest change worth reporting (0.01 is 1 %).
        margin: `same` means: surely within this (0.03 is 3 %).
        looks: Launch pairs after which the rows are judged.
        budget_s: Seconds the check may measure; None without limit.
        selection: The `-b` expressions.
        seed: Of every random choice.
        environment: `overlay` or `wheel`.
        environment_reason: Why that one.
        suite: Whose benchmarks: `asv` or `pytest`.
        metric: What is compared of timed rows: `time`, or a `Metric` that was asked for.
        lanes: Rows measured at once, each on a CPU of its own.
    """

    false_alarms: float
    min_effect: float
    margin: float
    looks: tuple[int, ...]
    budget_s: float | None
    selection: tuple[str, ...]
    seed: int
    environment: str
    environment_reason: str
    suite: str = "asv"
    metric: str = "time"
    lanes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which part of a check's rows a record holds.

    Attributes:
        index: From 1.
        count: How many parts there are.
        rows: Rows of the whole suite.
    """

    index: int
    count: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelExchange:
    """How often the recorded launch pairs alarm when base and candidate are exchanged at random.

    Exchanging the labels of whole launch pairs makes a check of unchanged code out of this one, so
    the share of alarms estimates the false-alarm rate on this machine, in this hour. Five pairs
    have only 32 exchanges: with few pairs it is coarse.

    Attributes:
        exchanges: How many were tried.
        alarmed: In how many any row was called slower.
        rate_low: Lower end of the 95 % interval (Wilson) of alarmed / exchanges.
        rate_high: Upper end.
        cut_short: Share of rows that an exchange left open when their recorded pairs ended; above
            0 the rate is a lower bound.
    """

    exchanges: int
    alarmed: int
    rate_low: float
    rate_high: float
    cut_short: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """A whole check, as it is kept and as programs read it.

    Attributes:
        schema: Name and version of this shape.
        tool_version: The groundspeed that wrote it.
        started_at: ISO 8601, UTC.
        duration_s: From the command to the verdict.
        measuring_s: Of that, spent in launch pairs.
        verdict: The one word.
        exit_code: What the process exits with (before `--exit-zero`).
        reasons: Why that verdict, most important first.
        warnings: What a reader should know beside it.
        base: The commit compared with.
        candidate: The commit or working tree judged.
        machine: Where.
        settings: How.
        comparisons: Every row.
        file_failures: Benchmark files that could not be imported.
        accepted: Every entry of `results/accepted.toml`, in its order.
        exchange: The false-alarm rate of its own launch pairs; None when too few were taken.
        shard: Which part of the rows these are; None for all.
    """

    schema: str
    tool_version: str
    started_at: str
    duration_s: float
    measuring_s: float
    verdict: Verdict
    exit_code: int
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    base: Commit
    candidate: Commit
    machine: Machine
    settings: Settings
    comparisons: tuple[Comparison, ...]
    file_failures: tuple[Failure, ...] = ()
    accepted: tuple[AcceptedEntry, ...] = ()
    exchange: LabelExchange | None = None
    shard: Shard | None = None

    def with_outcome(self, outcome: Outcome) -> tuple[Comparison, ...]:
        """The rows that ended so, in suite order."""
        return tuple(c for c in self.comparisons if c.outcome is outcome)
