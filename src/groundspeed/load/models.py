"""Who asks, and how often: load models, and the stages that a run goes through.

An open model's arrivals do not wait for answers, as those of a public service do not; a closed
model's users each wait for theirs, think, and ask again. The same target looks orders of magnitude
better under the second (Schroeder, Wierman, Harchol-Balter, Open versus closed, NSDI 2006), so that
the model belongs beside every percentile.
"""

import math
from typing import Literal, TypeAlias

import msgspec

from groundspeed.errors import UsageError

__all__ = [
    "RATE_MAX",
    "USERS_MAX",
    "Closed",
    "Model",
    "Open",
    "PartlyOpen",
    "Ramp",
    "Soak",
    "Spike",
    "Stage",
    "Steady",
    "describe_model",
    "level_of",
]

RATE_MAX = 1_000_000.0
USERS_MAX = 100_000
_DURATION_MAX_S = 7 * 24 * 3600.0


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """So many users, each of whom waits for the answer and thinks before asking again.

    Attributes:
        users: 1 to 100,000.
        think: Seconds between an answer and the next request; the mean where it is exponential.
        thinking: How the think time is spread.
    """

    users: int
    think: float = 0.0
    thinking: Literal["constant", "exponential"] = "constant"

    def __post_init__(self) -> None:
        _check_users("users", self.users)
        _check_think(self.think)


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """Arrivals at a rate, whether or not earlier ones were answered.

    Attributes:
        rate: Arrivals a second, above 0 and at most a million.
        arrivals: Independent of each other (`poisson`), or evenly spaced.
    """

    rate: float
    arrivals: Literal["poisson", "constant"] = "poisson"

    def __post_init__(self) -> None:
        _check_rate("rate", self.rate)


class PartlyOpen(msgspec.Struct, frozen=True, kw_only=True, tag="partly_open"):
    """Sessions arrive independently at a rate; within each, a step waits for the one before.

    Attributes:
        sessions: Sessions that begin a second, above 0 and at most a million.
        steps: Operations in each session, one after the other, at least 1.
        think: Seconds between an answer and the session's next step.
        arrivals: How sessions arrive.
    """

    sessions: float
    steps: int
    think: float = 0.0
    arrivals: Literal["poisson", "constant"] = "poisson"

    def __post_init__(self) -> None:
        _check_rate("sessions", self.sessions)
        if self.steps < 1:
            raise UsageError(f"steps: got {self.steps}, needed 1 or more operations in a session")
        _check_think(self.think)


Model: TypeAlias = Closed | Open | PartlyOpen


class Ramp(msgspec.Struct, frozen=True, kw_only=True, tag="ramp"):
    """The level moves evenly from one value to another; a level is a rate, or a number of users."""

    duration: float
    start: float
    end: float

    def __post_init__(self) -> None:
        _check_duration(self.duration)
        _check_level("start", self.start)
        _check_level("end", self.end)
        if self.start == self.end == 0.0:
            raise UsageError("ramp: got 0 to 0, needed a level above 0 at one end")


class Steady(msgspec.Struct, frozen=True, kw_only=True, tag="steady"):
    """One level for a time; None is the model's own."""

    duration: float
    level: float | None = None

    def __post_init__(self) -> None:
        _check_duration(self.duration)
        _check_level("level", self.level)


class Spike(msgspec.Struct, frozen=True, kw_only=True, tag="spike"):
    """A short stage at another level."""

    duration: float
    level: float

    def __post_init__(self) -> None:
        _check_duration(self.duration)
        _check_level("level", self.level)


class Soak(msgspec.Struct, frozen=True, kw_only=True, tag="soak"):
    """A long steady stage, after which a growing memory of the target is noted."""

    duration: float
    level: float | None = None

    def __post_init__(self) -> None:
        _check_duration(self.duration)
        _check_level("level", self.level)


Stage: TypeAlias = Ramp | Steady | Spike | Soak


def level_of(model: Model) -> float:
    """The model's own level: its rate, its sessions a second or its users."""
    match model:
        case Closed():
            return float(model.users)
        case Open():
            return model.rate
        case PartlyOpen():
            return model.sessions


def describe_model(model: Model) -> str:
    """The model for a reader: `open, 100/s, poisson`."""
    match model:
        case Closed():
            users = "1 user" if model.users == 1 else f"{model.users} users"
            return f"closed, {users}, think {model.think:g} s {model.thinking}"
        case Open():
            return f"open, {model.rate:g}/s, {model.arrivals}"
        case PartlyOpen():
            return (
                f"partly open, {model.sessions:g} sessions/s {model.arrivals} of {model.steps} "
                f"steps, think {model.think:g} s"
            )


def _check_rate(name: str, rate: float) -> None:
    if not 0.0 < rate <= RATE_MAX:
        raise UsageError(
            f"{name}: got {rate:g}, needed above 0 and at most {RATE_MAX:,.0f} a second; a "
            "generator process sends some ten thousands"
        )


def _check_users(name: str, users: int) -> None:
    if not 1 <= users <= USERS_MAX:
        raise UsageError(f"{name}: got {users}, needed 1 to {USERS_MAX:,}")


def _check_think(think: float) -> None:
    if not 0.0 <= think < math.inf:
        raise UsageError(f"think: got {think:g}, needed 0 or more seconds")


def _check_duration(duration: float) -> None:
    if not 0.0 < duration <= _DURATION_MAX_S:
        raise UsageError(
            f"duration: got {duration:g}, needed above 0 and at most a week of seconds"
        )


def _check_level(name: str, level: float | None) -> None:
    if level is not None and not 0.0 <= level <= RATE_MAX:
        raise UsageError(f"{name}: got {level:g}, needed 0 to {RATE_MAX:,.0f}")
