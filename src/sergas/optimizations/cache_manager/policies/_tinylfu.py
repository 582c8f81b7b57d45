"""Adaptive W-TinyLFU: newcomers must have been wanted more often than whom they replace.

A new entry comes into a small *window*, ordered by recency. When the cache is full, the coldest of
the window and the coldest of the *main* part are compared by how often their keys were wanted
lately, and the loser goes (Einziger, Friedman, Manes 2017). The main part has two segments: entries
that were hit there are *protected*, the others on *probation*, and these go first. Counts are
halved after ten uses for each entry, so that former popularity fades.

What frequency is worth depends on the traffic: loops and scans call for a tiny window that is hard
to leave, traffic that wants what was wanted a moment ago for plain LRU, which is a window as large
as the cache. Einziger, Eytan, Friedman and Manes (2018) climb to a window by its hit ratio; here
small copies of the cache try a few settings side by side on a sample of the keys, and the cache
follows the best of them (see `_shadow` and `_choice`).

While an entry is held, its count is kept exactly in its node; only what is not held is counted in
the sketch. So a hit touches no sketch, and a put costs one look and one note there.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from sergas.optimizations.cache_manager.policies._bounded import Bounded
from sergas.optimizations.cache_manager.policies._node import EntryNode, NodeList
from sergas.optimizations.cache_manager.policies._shadow import (
    PROTECTED_SHARE,
    SAMPLE_PERIOD,
    Setting,
    Shadows,
)
from sergas.optimizations.cache_manager.policies._sketch import COUNT_MAX, FrequencySketch

__all__ = ["TinyLfuPolicy"]

_SETTINGS = (
    Setting(window=0.01, margin=2),
    Setting(window=0.05, margin=0),
    Setting(window=0.3, margin=0),
    Setting(window=1.0, margin=0),
)
_START = 0

_WINDOW, _PROBATION, _PROTECTED = 1, 2, 3

_MOVES_MAX = 8
"""Most nodes that one call moves to the next segment after a change of setting."""

_HALVED_AFTER_MIN = 160

_MIX = 0x9E3779B97F4A7C15
_BITS = (1 << 64) - 1


class TinyLfuPolicy(Bounded):
    """Adaptive W-TinyLFU, the default: keeps what is wanted often or lately, as the traffic has it.

    Every step is O(1) but for the halving of all counts, once in ten uses for each entry: it runs
    through the 16 to 32 bytes that the sketch has for each, at memory speed.

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.
        seed: Any integer: decides which keys are sampled and which share counters. A secret one
            keeps those who choose the keys from choosing collisions.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = (
        "_epoch",
        "_fitted",
        "_margin",
        "_probation",
        "_protected",
        "_protected_count",
        "_protected_entries_max",
        "_protected_weight",
        "_protected_weight_max",
        "_seed",
        "_setting",
        "_shadows",
        "_sketch",
        "_uses",
        "_window",
        "_window_count",
        "_window_entries_max",
        "_window_weight",
        "_window_weight_max",
    )

    def __init__(self, *, entries_max: int, weight_max: int | None = None, seed: int = 0) -> None:
        super().__init__(entries_max=entries_max, weight_max=weight_max)
        self._seed = seed & _BITS
        self._window = NodeList()
        self._probation = NodeList()
        self._protected = NodeList()
        self._window_count = self._window_weight = 0
        self._protected_count = self._protected_weight = 0
        self._sketch = FrequencySketch()
        self._epoch = 0
        self._uses = 0
        self._fitted = 0
        self._shadows = Shadows(_SETTINGS, entries_max, start=_START)
        self._follow(_START)

    def __iter__(self) -> Iterator[EntryNode]:
        """The nodes held: window, probation, protected, coldest first in each."""
        return chain(self._window, self._probation, self._protected)

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Take a new node into the window, or count a use of one that was written again.

        Returns:
            The nodes that had to go; the node itself if it weighs more than all may weigh, or if
            it left the window at once and was wanted less often than others.
        """
        if node.segment:
            self._reweigh(node)
            self.touch((node,))
            if self._is_too_heavy(node):
                return (self._drop(node),)
        else:
            spread = self._spread(node)
            node.frequency = min(self._sketch.count(spread) + 1, COUNT_MAX)
            if self._is_too_heavy(node):
                self._sketch.raise_to(spread, node.frequency)
                return (node,)
            node.epoch = self._epoch
            node.spread = spread
            self._book(node, _WINDOW)
            self._window.append(node)
            self._window_count += 1
            self._window_weight += node.weight
            self._count_uses(1)
            if not spread & self._shadows.mask:
                self._use_shadows(spread)
        return self._settle()

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Count a use of each node, in turn, and make it the hottest of its segment."""
        epoch = self._epoch
        mask = self._shadows.mask
        uses = 0
        for node in nodes:
            segment = node.segment
            if not segment:
                continue
            uses += 1
            if node.epoch != epoch:
                node.frequency >>= epoch - node.epoch
                node.epoch = epoch
            if node.frequency < COUNT_MAX:
                node.frequency += 1
            if segment == _WINDOW:
                self._window.move_to_end(node)
            elif segment == _PROTECTED and self._setting.window < 1:
                self._protected.move_to_end(node)
            else:
                self._promote(node)
            if not node.spread & mask:
                self._use_shadows(node.spread)
        self._count_uses(uses)

    def remove(self, node: EntryNode) -> None:
        """Forget a node that was deleted or has expired; its count is remembered."""
        if node.segment:
            self._drop(node)

    def resize(self, *, entries_max: int, weight_max: int | None) -> Sequence[EntryNode]:
        """Change the bounds; the nodes that are no longer held."""
        self._set_bounds(entries_max, weight_max)
        self._follow(self._shadows.chosen)
        self._start_shadows(entries_max)
        return self._settle()

    def clear(self) -> None:
        """Forget every node and every count."""
        for node in self:
            self._unlink(node)
        self._sketch.clear()
        self._uses = 0
        self._start_shadows(self._shadows.capacity)

    # What a node is worth

    def _spread(self, node: EntryNode) -> int:
        """The key's hash with all 64 bits as good as random."""
        mixed = ((hash(node.key) ^ self._seed) * _MIX) & _BITS
        return mixed ^ mixed >> 32

    def _frequency(self, node: EntryNode) -> int:
        """The node's count, as if it had been halved with all the others."""
        return node.frequency >> self._epoch - node.epoch

    def _count_uses(self, uses: int) -> None:
        """Halve all counts now and then; those in nodes when they are next looked at."""
        self._uses += uses
        if self._uses >= _HALVED_AFTER_MIN and self._uses >= SAMPLE_PERIOD * self._count:
            self._uses //= 2
            self._epoch += 1
            self._sketch.halve()

    # Which setting to follow

    def _use_shadows(self, spread: int) -> None:
        self._shadows.use(spread)
        if _SETTINGS[self._shadows.chosen] is not self._setting:
            self._follow(self._shadows.chosen)

    def _follow(self, index: int) -> None:
        """Share the capacity by a setting; nodes move to their new places with the next puts."""
        self._setting = setting = _SETTINGS[index]
        self._margin = setting.margin
        self._window_entries_max = max(1, int(self._entries_max * setting.window))
        main = self._entries_max - self._window_entries_max
        self._protected_entries_max = int(main * PROTECTED_SHARE)
        weight_max = self._weight_max
        if weight_max is not None:
            self._window_weight_max = max(1, int(weight_max * setting.window))
            main = weight_max - self._window_weight_max
            self._protected_weight_max = int(main * PROTECTED_SHARE)

    def _start_shadows(self, capacity: int) -> None:
        self._shadows = Shadows(_SETTINGS, capacity, start=self._shadows.chosen)

    # Where a node is

    def _promote(self, node: EntryNode) -> None:
        """Move a node of the main part, which was used, to the protected segment or the window."""
        self._unlink_main(node)
        if self._setting.window < 1:
            node.segment = _PROTECTED
            self._protected.append(node)
            self._protected_count += 1
            self._protected_weight += node.counted
            self._demote()
        else:
            node.segment = _WINDOW
            self._window.append(node)
            self._window_count += 1
            self._window_weight += node.counted

    def _demote(self) -> None:
        """Bring the protected segment down towards its share, coldest first."""
        for _ in range(_MOVES_MAX):
            if self._protected_count <= self._protected_entries_max and (
                self._weight_max is None or self._protected_weight <= self._protected_weight_max
            ):
                return
            node = self._protected.root.after
            self._unlink_main(node)
            node.segment = _PROBATION
            self._probation.append(node)

    def _unlink_main(self, node: EntryNode) -> None:
        if node.segment == _PROTECTED:
            self._protected.unlink(node)
            self._protected_count -= 1
            self._protected_weight -= node.counted
        else:
            self._probation.unlink(node)

    def _unlink_window(self, node: EntryNode) -> None:
        self._window.unlink(node)
        self._window_count -= 1
        self._window_weight -= node.counted

    def _unlink(self, node: EntryNode) -> None:
        if node.segment == _WINDOW:
            self._unlink_window(node)
        else:
            self._unlink_main(node)
        self._strike(node)

    def _drop(self, node: EntryNode) -> EntryNode:
        """Let go of a node and note how often its key was wanted."""
        self._sketch.raise_to(node.spread, self._frequency(node))
        self._unlink(node)
        return node

    def _reweigh(self, node: EntryNode) -> None:
        more = node.weight - node.counted
        if not more:
            return
        node.counted = node.weight
        self._weight += more
        if node.segment == _WINDOW:
            self._window_weight += more
        elif node.segment == _PROTECTED:
            self._protected_weight += more

    # Who goes

    def _is_window_over(self) -> bool:
        return self._window_count > self._window_entries_max or (
            self._weight_max is not None and self._window_weight > self._window_weight_max
        )

    def _settle(self) -> Sequence[EntryNode]:
        """Bring the whole within its bounds, and the window down towards its share."""
        dropped: Sequence[EntryNode] = ()
        if self._is_over():
            dropped = self._evict()
            if self._count != self._fitted:
                self._fit()
        if self._is_window_over():
            self._shrink_window()
        return dropped

    def _evict(self) -> list[EntryNode]:
        """Let the coldest of window and main part compete until the bounds hold."""
        dropped = []
        while True:
            main = self._probation or self._protected
            victim = main.root.after
            if self._is_window_over():
                candidate = self._window.root.after
                if victim is main.root or (
                    self._frequency(candidate) <= self._frequency(victim) + self._margin
                ):
                    victim = candidate
                else:
                    self._leave_window(candidate)
            dropped.append(self._drop(victim))
            if not self._is_over():
                return dropped

    def _shrink_window(self) -> None:
        """Bring the window down towards its share, coldest first."""
        for _ in range(_MOVES_MAX):
            self._leave_window(self._window.root.after)
            if not self._is_window_over():
                return

    def _leave_window(self, node: EntryNode) -> None:
        self._unlink_window(node)
        node.segment = _PROBATION
        self._probation.append(node)

    def _fit(self) -> None:
        """Size sketch and shadows for as many nodes as fit, which weights decide too."""
        self._fitted = self._count
        self._sketch.fit(self._count)
        assumed = self._shadows.capacity
        if not assumed <= 2 * self._count <= 4 * assumed:
            self._start_shadows(self._count)
