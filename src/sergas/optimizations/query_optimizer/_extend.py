"""Which indexes for a whole workload: the Extend algorithm, with no query made worse.

Extend (Schlosser, Kossmann, Boissier: Efficient Scalable Multi-attribute Index Selection Using
Recursive Strategies, ICDE 2019; compared with seven others by Kossmann et al., PVLDB 13(11) 2020)
begins with nothing and takes the best step again and again: a new index, or one more column for an
index already chosen. The best step is the one that saves most for each byte that it adds.

Three things are added. A step after which a reading query would be worse than with no advice at
all is not taken. Indexes that answer a query without its table are tried at full width, because
they help only once they are complete. And at the end an index without which nothing gets noticeably
worse is dropped, until there is none; the room that this makes is filled again.

Nothing here knows a database or has a clock or chance: the same costs give the same advice.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sergas.optimizations.query_optimizer._bench import Bench, Cost
from sergas.optimizations.query_optimizer._index import Index

__all__ = ["Ledger", "Limits", "candidates", "chosen", "confirmed"]

_ROUNDS_MAX = 4
_POWERS = (1.0, 0.5)
"""A step's worth is its saving in its bytes to this power: Extend's is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the advice has to keep to.

    Attributes:
        budget_bytes: All indexes together, at most.
        width_max: Columns in one index, at most.
        saving_min: Share of its cost that an index has to save at least one query, in (0, 1].
        worse_max: Share by which a reading query may get more expensive, >= 0.
    """

    budget_bytes: int
    width_max: int
    saving_min: float
    worse_max: float


@dataclass(slots=True)
class Ledger:
    """Costs of the bench, each asked for once.

    A cost is filed under the query and those of the indexes that could matter to it, so a step on
    one table asks nothing about queries on others.

    Attributes:
        bench: Who is asked.
        worse_max: See `Limits`.
        calls: How often it was asked.
    """

    bench: Bench
    worse_max: float
    calls: int = 0
    _filed: dict[tuple[int, frozenset[Index]], Cost] = field(default_factory=dict)

    def cost(self, question: int, indexes: frozenset[Index]) -> Cost:
        """What the statement costs with these indexes."""
        may_use = self.bench.questions[question].may_use
        relevant = frozenset(index for index in indexes if may_use(index))
        found = self._filed.get((question, relevant))
        if found is None:
            limit = self.limit(question) if relevant else math.inf
            self.calls += 1
            found = self.bench.cost(question, relevant, limit)
            self._filed[question, relevant] = found
        return found

    def limit(self, question: int) -> float:
        """What a reading statement may cost at most; writes pay for what others gain."""
        if self.bench.questions[question].is_write:
            return math.inf
        return self.cost(question, frozenset()).value * (1 + self.worse_max)

    def total(self, indexes: frozenset[Index]) -> float:
        """What the workload costs with these indexes, their upkeep included."""
        return math.fsum(
            question.weight * self.cost(number, indexes).value
            for number, question in enumerate(self.bench.questions)
        ) + math.fsum(map(self.bench.upkeep, indexes))

    def is_harmless(self, indexes: frozenset[Index]) -> bool:
        """Whether no reading statement gets worse than it may."""
        return all(self.is_fine(number, indexes) for number in range(len(self.bench.questions)))

    def is_fine(self, question: int, indexes: frozenset[Index]) -> bool:
        """Whether one statement costs no more than it may."""
        return self.cost(question, indexes).value <= self.limit(question)

    def size_bytes(self, indexes: Iterable[Index]) -> float:
        """All of them together; infinite if one of them cannot be."""
        sizes = [self.bench.size_bytes(index) for index in indexes]
        return math.inf if None in sizes else sum(size for size in sizes if size is not None)


def candidates(bench: Bench, width_max: int, *, pairs: bool) -> tuple[Index, ...]:
    """Where indexes can begin: every column that is sought by, and what spares a query its table.

    Sorted, and without those that an existing index begins with.

    Args:
        bench: Its questions are what indexes are for.
        width_max: Columns in one index, at most.
        pairs: Whether to begin with two columns that one query seeks by, too.
    """
    found: set[Index] = set()
    for question in bench.questions:
        for table, need in question.needs.items():
            for first in need.seeking:
                rest = sorted(need.read - {first})
                found.add(Index(table, (first,)))
                if 1 <= len(rest) < width_max:
                    found.add(Index(table, (first, *rest)))
                if pairs and width_max > 1:
                    found.update(Index(table, (first, second)) for second in need.seeking - {first})
    return tuple(sorted(index for index in found if not _is_redundant(index, bench.existing)))


def chosen(ledger: Ledger, limits: Limits, *, thorough: bool) -> frozenset[Index]:
    """The indexes to have, by the law described above.

    Args:
        ledger: Whom to ask.
        limits: What to keep to.
        thorough: Whether to begin with pairs of sought columns too, and to search a second time
            with less regard for size, and take what saves more. It asks several times as often.
    """
    starts = candidates(ledger.bench, limits.width_max, pairs=thorough)
    found = [
        _Search(ledger, limits, starts, power).filled()
        for power in (_POWERS if thorough else _POWERS[:1])
    ]
    return min(found, key=lambda indexes: (ledger.total(indexes), sorted(indexes)))


def confirmed(ledger: Ledger, limits: Limits, indexes: frozenset[Index]) -> frozenset[Index]:
    """Those of `indexes` that hold by another ledger, as after a search on fewer rows.

    While they are too large, the one goes whose bytes are missed least.
    While a reading statement is worse than it may be, one of the indexes in its plan goes: the one
    without which the fewest are worse, then the one that is missed least.
    """
    while indexes and ledger.size_bytes(indexes) > limits.budget_bytes:
        indexes = min(
            (indexes - {index} for index in sorted(indexes)),
            key=lambda fewer: (
                (ledger.total(fewer) - ledger.total(indexes))
                / max(ledger.size_bytes(indexes - fewer), 1.0),
                sorted(fewer),
            ),
        )
    while worse := _worse(ledger, indexes):
        suspects = {index for number in worse for index in ledger.cost(number, indexes).used}
        indexes = min(
            (indexes - {suspect} for suspect in sorted(suspects or indexes)),
            key=lambda fewer: (len(_worse(ledger, fewer)), ledger.total(fewer), sorted(fewer)),
        )
    return _Search(ledger, limits).pruned(indexes)


def _worse(ledger: Ledger, indexes: frozenset[Index]) -> list[int]:
    numbers = range(len(ledger.bench.questions))
    return [number for number in numbers if not ledger.is_fine(number, indexes)]


@dataclass(frozen=True, slots=True)
class _Search:
    ledger: Ledger
    limits: Limits
    starts: tuple[Index, ...] = ()
    power: float = 1.0

    def filled(self) -> frozenset[Index]:
        """Grow and prune in turns until nothing changes."""
        indexes: frozenset[Index] = frozenset()
        for _ in range(_ROUNDS_MAX):
            grown = self.grown(indexes)
            kept = self.pruned(grown)
            if kept in (grown, indexes):
                return kept
            indexes = kept
        return indexes

    def grown(self, indexes: frozenset[Index]) -> frozenset[Index]:
        """Take the best step until there is none.

        What a step was worth when it was last looked at is taken for the most it can be worth
        now, so most steps need no second look; before the search ends, all get one.
        """
        worth_last: dict[Index, float] = {}
        while True:
            best: tuple[float, Index, frozenset[Index]] | None = None
            moves = [(-worth_last.get(move[0], math.inf), *move) for move in self._moves(indexes)]
            for most, index, replaced in sorted(moves, key=lambda move: move[:2]):
                if best is not None and most >= best[0]:
                    break
                after = (indexes - replaced) | {index}
                worth = worth_last[index] = self._worth(indexes, after)
                if worth > 0 and (best is None or (-worth, index) < best[:2]):
                    best = (-worth, index, after)
            if best is None:
                return indexes
            indexes = best[2]

    def pruned(self, indexes: frozenset[Index]) -> frozenset[Index]:
        """Without those that nothing misses, the most expensive first."""
        while True:
            for index in sorted(indexes, key=self._drop_order):
                fewer = indexes - {index}
                if not self._helps(fewer, indexes) and self.ledger.is_harmless(fewer):
                    indexes = fewer
                    break
            else:
                return indexes

    def _drop_order(self, index: Index) -> tuple[float, Index]:
        return -self.ledger.size_bytes([index]), index

    def _moves(self, indexes: frozenset[Index]) -> Iterator[tuple[Index, frozenset[Index]]]:
        """New indexes, and what each takes the place of."""
        offered = set(self.starts)
        for index in indexes:
            if len(index.columns) < self.limits.width_max:
                offered.update(index.widened(column) for column in self._further(index))
        for index in sorted(offered):
            if not _is_redundant(index, indexes | self.ledger.bench.existing):
                yield index, frozenset(other for other in indexes if other.begins(index))

    def _further(self, index: Index) -> set[str]:
        """Columns that some query which may use the index reads besides."""
        columns: set[str] = set()
        for question in self.ledger.bench.questions:
            if question.may_use(index):
                columns |= question.needs[index.table].read
        return columns - set(index.columns)

    def _worth(self, before: frozenset[Index], after: frozenset[Index]) -> float:
        """Saving for what it adds in size; 0 if the step may not be taken."""
        ledger = self.ledger
        if ledger.size_bytes(after) > self.limits.budget_bytes:
            return 0.0
        if not ledger.is_harmless(after) or not self._helps(before, after):
            return 0.0
        saving = ledger.total(before) - ledger.total(after)
        more = ledger.size_bytes(after) - ledger.size_bytes(before)
        return saving / math.pow(max(more, 1.0), self.power)

    def _helps(self, before: frozenset[Index], after: frozenset[Index]) -> bool:
        """Whether the step saves in all, and some query a share worth having."""
        ledger = self.ledger
        share = 1 - self.limits.saving_min
        return ledger.total(after) < ledger.total(before) and any(
            ledger.cost(number, after).value <= ledger.cost(number, before).value * share
            for number in range(len(ledger.bench.questions))
            if ledger.cost(number, before).value > 0
        )


def _is_redundant(index: Index, others: Iterable[Index]) -> bool:
    return any(index.begins(other) for other in others)
