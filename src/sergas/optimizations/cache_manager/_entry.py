"""An entry of level 1 and the one decision about it: what may be done with it now."""

import enum
import math
from collections.abc import Callable

from sergas.optimizations.cache_manager._options import Life
from sergas.optimizations.cache_manager._tags import Mark, is_current
from sergas.optimizations.cache_manager.policies import EntryNode

__all__ = ["Entry", "Freshness", "freshness"]

_EARLIEST_COSTS = 16.0
"""XFetch draws at most this many costs before the end; it would draw more once in e^16 calls."""


class Freshness(enum.Enum):
    """What may be done with an entry."""

    FRESH = "serve it"
    EARLY = "serve it and load a new one meanwhile"
    STALE = "serve it if a new one is not to be had in time"
    OVER = "never serve it"


class Entry(EntryNode):
    """A value and its times, on the clock of level 1.

    A reader without a lock sees an entry in one of two ways: it checks `fresh_until_s` and then
    reads `value`. So a writer sets `value` before `fresh_until_s`, and whoever drops an entry sets
    `fresh_until_s` to minus infinity and never touches `value`.

    Attributes:
        value: What was stored.
        fresh_until_s: Until when it is served without another thought.
        ends_s: When its time to live ends.
        deadline_s: When it must not be served in any case (from `EntryNode`).
        cost_s: Seconds its load took.
        beta: As in the options.
        tags: Its tags and their generations when it was made, None without tags.
        place: Where a decorated function finds it: the table and the key there.
    """

    __slots__ = ("beta", "cost_s", "ends_s", "fresh_until_s", "place", "tags", "value")

    key: str

    def __init__(self, key: str, value: object, weight: int) -> None:
        super().__init__(key, weight)
        self.value = value
        self.fresh_until_s = -math.inf
        self.ends_s = math.inf
        self.cost_s = 0.0
        self.beta = 0.0
        self.tags: tuple[Mark, ...] | None = None
        self.place: tuple[dict[object, Entry], object] | None = None

    def live(self, life: Life, now_s: float) -> None:
        """Begin a life now."""
        ends_s = math.inf if life.ttl_s is None else now_s + life.ttl_s
        self.cost_s = life.cost_s
        self.beta = life.beta
        self.ends_s = ends_s
        self.deadline_s = ends_s + life.stale_ttl_s
        self.fresh_until_s = ends_s - life.beta * life.cost_s * _EARLIEST_COSTS

    def revive(self, until_s: float) -> None:
        """Serve it without another attempt until then, though its time to live is over."""
        self.fresh_until_s = min(until_s, self.deadline_s)

    def drop(self) -> None:
        """Never serve it again."""
        self.fresh_until_s = self.ends_s = self.deadline_s = -math.inf
        if self.place is not None:
            table, at = self.place
            if table.get(at) is self:
                del table[at]


def freshness(entry: Entry, now_s: float, draw: Callable[[], float]) -> Freshness:
    """What may be done with `entry` now.

    Args:
        entry: The entry.
        now_s: The time on its clock.
        draw: Gives a number from [0, 1); asked only near the end of an entry with `beta` > 0, where
            XFetch loads anew if cost · beta · -ln(u) reaches to the end.
    """
    if now_s >= entry.deadline_s or (entry.tags is not None and not is_current(entry.tags)):
        return Freshness.OVER
    if now_s < entry.fresh_until_s:
        return Freshness.FRESH
    if now_s >= entry.ends_s:
        return Freshness.STALE
    gap_s = -entry.cost_s * entry.beta * math.log(1.0 - draw())
    return Freshness.EARLY if now_s + gap_s >= entry.ends_s else Freshness.FRESH
