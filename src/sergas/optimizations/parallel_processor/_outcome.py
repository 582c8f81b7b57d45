"""What became of one item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from sergas.clock import Clock

__all__ = ["Outcome", "outcome_of"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[ResultT_co]):
    """What became of one item: a value, which may be None, or an error.

    Attributes:
        index: The item's place in the input, from 0.
        value: What the function returned; None if it raised.
        error: What the function raised; None if it returned.
        elapsed_s: Seconds spent inside the function; 0 if it was never entered or never left.
    """

    index: int
    value: ResultT_co | None = None
    error: BaseException | None = None
    elapsed_s: float = 0.0

    def result(self) -> ResultT_co:
        """The value.

        Raises:
            BaseException: The error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("ResultT_co", self.value)


def outcome_of(
    function: Callable[[ItemT], ResultT], item: ItemT, index: int, clock: Clock
) -> Outcome[ResultT]:
    """Call `function` on one item and keep whatever comes of it."""
    began_s = clock.monotonic_s()
    try:
        value = function(item)
    except BaseException as error:  # noqa: BLE001 - an item's error is its own, whatever it is
        return Outcome(index=index, error=error, elapsed_s=clock.monotonic_s() - began_s)
    return Outcome(index=index, value=value, elapsed_s=clock.monotonic_s() - began_s)
