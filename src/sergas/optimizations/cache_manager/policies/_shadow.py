"""Small copies of the cache, without values, that each try another setting on a sample of the keys.

A key is in the sample or is not, so every copy sees all uses of the keys it sees at all, and a
copy of a k-th of the capacity on a k-th of the keys hits about as often as the whole cache would
(Waldspurger, Saemundsson, Ahmad, Park 2017, miniature simulations).
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sergas.optimizations.cache_manager.policies._choice import Choice
from sergas.optimizations.cache_manager.policies._sketch import COUNT_MAX

__all__ = ["PROTECTED_SHARE", "SAMPLE_PERIOD", "Setting", "Shadows"]

PROTECTED_SHARE = 0.8
"""Share of the main part for what was used again while it was there."""

SAMPLE_PERIOD = 10
"""Uses for each entry of the capacity after which all counts are halved."""

_PERIODS_PER_CAPACITY = 2
"""How often in as many uses as a copy has entries the settings are compared."""

_ENTRIES_MIN = 128
"""A copy is at least this large, or as large as the cache: what smaller ones see is noise."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How the capacity is shared and how hard it is to enter the main part.

    Attributes:
        window: Share of the capacity for newcomers, in (0, 1]; 1 is LRU.
        margin: By how many uses a newcomer must exceed whom it replaces, beyond one.
    """

    window: float
    margin: int


class _Shadow:
    """Keys in a window and the two segments of a main part, with a setting of their own."""

    __slots__ = (
        "_main_max",
        "_margin",
        "_probation",
        "_protected",
        "_protected_max",
        "_window",
        "_window_max",
        "hits",
    )

    def __init__(self, setting: Setting, capacity: int) -> None:
        self._margin = setting.margin
        self._window_max = max(1, int(capacity * setting.window))
        self._main_max = capacity - self._window_max
        self._protected_max = int(self._main_max * PROTECTED_SHARE)
        self._window: OrderedDict[int, None] = OrderedDict()
        self._probation: OrderedDict[int, None] = OrderedDict()
        self._protected: OrderedDict[int, None] = OrderedDict()
        self.hits = 0

    def use(self, key: int, counts: dict[int, int]) -> None:
        """A use of `key`, whose count is in `counts` already."""
        window = self._window
        if key in window:
            window.move_to_end(key)
            self.hits += 1
        elif key in self._protected:
            self._protected.move_to_end(key)
            self.hits += 1
        elif key in self._probation:
            self._promote(key)
            self.hits += 1
        else:
            window[key] = None
            if len(window) > self._window_max:
                self._leave_window(window.popitem(last=False)[0], counts)

    def take_hits(self) -> int:
        """The hits since the last call."""
        hits = self.hits
        self.hits = 0
        return hits

    def _promote(self, key: int) -> None:
        del self._probation[key]
        self._protected[key] = None
        if len(self._protected) > self._protected_max:
            self._probation[self._protected.popitem(last=False)[0]] = None

    def _leave_window(self, key: int, counts: dict[int, int]) -> None:
        probation = self._probation
        protected = self._protected
        if len(probation) + len(protected) < self._main_max:
            probation[key] = None
            return
        main = probation or protected
        if main:
            victim = next(iter(main))
            if counts.get(key, 0) > counts.get(victim, 0) + self._margin:
                del main[victim]
                probation[key] = None


class Shadows:
    """One small copy for each setting, fed with the same keys, and the choice between them.

    Args:
        settings: What is tried, at least one.
        capacity: Entries of the cache, >= 1.
        start: Index of the setting to begin with.

    Attributes:
        capacity: The capacity it was made for.
        mask: A key is in the sample if its spread hash has none of these bits.
    """

    __slots__ = (
        "_choice",
        "_counts",
        "_entries",
        "_period",
        "_settings",
        "_shadows",
        "_until_compared",
        "_uses",
        "capacity",
        "mask",
    )

    def __init__(self, settings: Sequence[Setting], capacity: int, *, start: int) -> None:
        self.capacity = capacity
        one_in = 1
        while capacity >= 2 * one_in * _ENTRIES_MIN:
            one_in *= 2
        self.mask = one_in - 1
        self._entries = capacity // one_in
        self._settings = settings
        self._shadows = [_Shadow(setting, self._entries) for setting in settings]
        self._choice = Choice(len(settings), start)
        self._period = max(1, self._entries // _PERIODS_PER_CAPACITY)
        self._until_compared = self._period
        # Exact, because it is small: what is halved to nothing is forgotten.
        self._counts: dict[int, int] = {}
        self._uses = 0

    @property
    def chosen(self) -> int:
        """Index of the setting to follow now."""
        return self._choice.chosen

    def use(self, key: int) -> None:
        """A use of a key of the sample, by its spread hash; O(1) for each setting."""
        counts = self._counts
        count = counts.get(key, 0)
        if count < COUNT_MAX:
            counts[key] = count + 1
        self._uses += 1
        if self._uses >= SAMPLE_PERIOD * self._entries:
            self._uses //= 2
            self._counts = counts = {key: n >> 1 for key, n in counts.items() if n > 1}
        for shadow in self._shadows:
            shadow.use(key, counts)
        self._until_compared -= 1
        if not self._until_compared:
            self._until_compared = self._period
            self._choice.observe([shadow.take_hits() for shadow in self._shadows])
