"""What is known of a row before it is measured, and what measuring gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundspeed.measure.lockstep import SuiteRow
from groundspeed.measure.rows.plan import SamplePlan
from groundspeed.model import Direction, Failure, Metric, PairSummary, Side, ValuePair

__all__ = ["TIMED", "Calibration", "Measured", "Method", "Quantity", "RowContext", "Trial"]

Method = Literal["timed", "valued", "allocations", "scenario"]
"""How a row is measured: samples of a time in turns, one value a process, the allocations of one
call, or one whole run with all that it records."""

TIMED: Sequence[Metric] = ("clean", "cpu", "wall", "timer")

Measured = Mapping[str, PairSummary | ValuePair]
"""What one launch pair gave of a row, by the name of the quantity; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something that a run of a row gives.

    Attributes:
        metric: What it is.
        unit: Of its values.
        direction: Which way is better; None if nobody said, so that it cannot be judged.
    """

    metric: Metric
    unit: str = "s"
    direction: Direction | None = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What a row needs to run.

    Attributes:
        sides: Its two descriptions.
        method: How it is measured.
        timeout_s: Seconds that one answer may take.
        caches: The folder of each side's setup_cache; None without one.
        wanted: The metric that was asked for; None for the best there is.
    """

    sides: Mapping[Side, SuiteRow]
    method: Method
    timeout_s: float
    caches: Mapping[Side, Path | None]
    wanted: Metric | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is decided once, on base, and imposed on both sides of every launch pair.

    Attributes:
        quantities: What a run gives, by name.
        loops: Calls per sample; 1 where a row is no time.
        renew: Whether setup runs again before each sample (a call uses up what setup made).
        threads: How the delays of several threads are counted; None for a row of one thread.
        plan: How many samples; None where a row is no time.
        closer_plan: The same in launch pairs after the first look.
        sample_s: What one sample took.
        clocks_s: What a sample takes in which nothing is called: the clocks' own time.
    """

    quantities: Mapping[str, Quantity]
    loops: int = 1
    renew: bool = False
    threads: Mapping[str, bool] | None = None
    plan: SamplePlan | None = None
    closer_plan: SamplePlan | None = None
    sample_s: float = 0.0
    clocks_s: float = 0.0

    def plan_for(self, *, closer: bool) -> SamplePlan | None:
        """The plan of a launch pair, before or after the first look."""
        return self.closer_plan if closer else self.plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How calibrating a row went.

    Attributes:
        calibration: None if base could not be calibrated.
        skipped: Sides whose setup raised NotImplementedError or whose parameters are skipped.
        failures: Sides that failed.
    """

    calibration: Calibration | None
    skipped: frozenset[Side]
    failures: tuple[Failure, ...]
