"""What became of one item."""

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

__all__ = ["Outcome"]

ResultT_co = TypeVar("ResultT_co", covariant=True)


# Not frozen: there is one for each item, and setting a frozen one up takes three times as long.
@dataclass(slots=True)
class Outcome(Generic[ResultT_co]):
    """What became of one item: a value, which may be None, or an error.

    Attributes:
        index: The item's place in the input, from 0.
        value: What the function returned; None if it did not.
        error: What the function raised, or what ended it; None if it returned.
        attempts: How often the function was called with the item, >= 0: 0 if it never was, because
            the item could not travel to a worker or its result was in a checkpoint.
        elapsed_s: Seconds spent inside the function at the last attempt, >= 0.
    """

    index: int
    value: ResultT_co | None = None
    error: BaseException | None = None
    attempts: int = 1
    elapsed_s: float = 0.0

    def result(self) -> ResultT_co:
        """The value.

        Raises:
            BaseException: The error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("ResultT_co", self.value)
