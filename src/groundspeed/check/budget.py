"""The time a check may take, and what to do with what is left of it."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from groundspeed.check.ledger import Ledger
from groundspeed.model import Row

__all__ = ["Budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds until a deadline.

    Attributes:
        clock: Monotonic seconds.
        deadline_s: On that clock; None without limit.
        lanes: How many rows are measured at once.
    """

    clock: Callable[[], float]
    deadline_s: float | None
    lanes: int

    def left_s(self) -> float:
        """Seconds until the deadline, 0 or more; infinite without one."""
        if self.deadline_s is None:
            return math.inf
        return max(0.0, self.deadline_s - self.clock())

    def has_time(self, cost_s: float = 0.0) -> bool:
        """Whether something that takes `cost_s` seconds would end before the deadline."""
        left_s = self.left_s()
        return left_s > 0.0 and cost_s <= left_s

    def fit(self, ledger: Ledger, cost: Callable[[Row], tuple[Hashable, float]]) -> None:
        """Set aside what the time left does not reach for, those least likely slower first.

        Args:
            ledger: With the open rows.
            cost: What a row is measured with, and the seconds that takes in one launch pair.
        """
        if self.deadline_s is None:
            return
        left_s = self.left_s() * self.lanes
        kept: set[Hashable] = set()
        for row in ledger.doubt():
            unit, cost_s = cost(row)
            if unit in kept:
                continue
            left_s -= cost_s * ledger.pairs_to_next_look
            if left_s < 0.0:
                break
            kept.add(unit)
        ledger.set_aside(row for row in ledger.open_rows if cost(row)[0] not in kept)
