import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from groundspeed.check.ledger import Ledger
from groundspeed.model import Row
from groundspeed.stats import Conclusion, GateRule

OPEN = Conclusion.OPEN
RULE = GateRule(looks=(2, 4, 7), shares=(0.2, 0.3, 0.5))


class LedgerMachine(RuleBasedStateMachine):
    """Launch pairs come in, rows break, the budget may end at any time."""

    @initialize(
        effects=st.lists(st.sampled_from([0.0, 0.02, 0.2, -0.1]), max_size=5),
        families=st.lists(st.integers(0, 2), min_size=5, max_size=5),
    )
    def open(self, effects: list[float], families: list[int]) -> None:
        """Begin with some rows, each with an effect and a family of its own."""
        self.effects = {Row(name=f"r{i}"): effect for i, effect in enumerate(effects)}
        family = dict(zip(self.effects, families, strict=False))
        self.ledger = Ledger(self.effects, RULE, families=family)
        self.given: dict[Row, list[float]] = {row: [] for row in self.effects}
        self.settled: dict[Row, Conclusion] = {}
        self.aside: set[Row] = set()
        self.dropped: set[Row] = set()
        self.closed = False

    @precondition(lambda self: not self.closed and not self.ledger.finished)
    @rule(noise=st.lists(st.floats(-0.01, 0.01), min_size=5, max_size=5))
    def add(self, noise: list[float]) -> None:
        """Give every open row one more launch pair."""
        rows = self.ledger.open_rows
        due = self.ledger.pairs_to_next_look == 1
        differences = {row: self.effects[row] + off for row, off in zip(rows, noise, strict=False)}
        assert self.ledger.add_pair(differences) is due
        for row, difference in differences.items():
            self.given[row].append(difference)

    @precondition(lambda self: not self.closed and self.ledger.open_rows)
    @rule(chosen=st.integers(0, 4))
    def drop(self, chosen: int) -> None:
        """An open row breaks."""
        rows = self.ledger.open_rows
        row = rows[chosen % len(rows)]
        self.ledger.drop(row)
        self.dropped.add(row)

    @rule(chosen=st.sets(st.integers(0, 4), max_size=2))
    def set_aside(self, chosen: set[int]) -> None:
        """The budget does not reach for some rows; for settled and dropped ones it is too late."""
        rows = [Row(name=f"r{i}") for i in chosen]
        self.aside |= set(rows) & set(self.ledger.open_rows)
        self.ledger.set_aside(rows)

    @rule()
    def close(self) -> None:
        """The budget ends; what had no look yet stays open, and closing twice judges once."""
        too_early = self.closed or self.ledger.pairs_done < RULE.looks[0]
        before = self.ledger.open_rows
        self.ledger.close()
        self.closed = True
        assert not too_early or self.ledger.open_rows == before

    @invariant()
    def settled_rows_never_return(self) -> None:
        """A conclusion, once drawn, stays; a settled or dropped row is never open again."""
        for row in set(self.effects) - self.dropped:
            conclusion = self.ledger.conclusion(row)
            assert self.settled.get(row, conclusion) is conclusion
            if conclusion is not OPEN:
                self.settled[row] = conclusion
        assert not set(self.ledger.open_rows) & (set(self.settled) | self.dropped)

    @invariant()
    def no_pair_is_lost(self) -> None:
        """Each row has the pairs it was given, in order; an open one has all there were."""
        for row, pairs in self.given.items():
            assert self.ledger.differences(row) == tuple(pairs)
        for row in self.ledger.open_rows:
            assert len(self.given[row]) == self.ledger.pairs_done

    @invariant()
    def rows_set_aside_end_undecided(self) -> None:
        """They are never open again and never concluded."""
        for row in self.aside - self.dropped:
            assert self.ledger.conclusion(row) is OPEN
        assert not self.aside & set(self.ledger.open_rows)

    @invariant()
    def doubt_is_about_the_open_rows(self) -> None:
        """All of them, once, and no row more suspect than one before it."""
        doubted = self.ledger.doubt()
        assert sorted(doubted) == sorted(self.ledger.open_rows)
        estimates = [self.ledger.estimate(row) for row in doubted]
        p = [math.inf if e is None else e.p_slower for e in estimates]
        assert p == sorted(p)

    @invariant()
    def estimates_come_with_the_first_look(self) -> None:
        """Before it there are none; after it an estimate lies inside its own interval."""
        for row in set(self.effects) - self.dropped:
            estimate = self.ledger.estimate(row)
            if self.ledger.pairs_done < RULE.looks[0]:
                assert estimate is None
            if estimate is not None:
                assert 0 < estimate.ratio_low <= estimate.ratio <= estimate.ratio_high
                assert estimate.detectable >= 0

    @invariant()
    def it_ends(self) -> None:
        """There is no launch pair after the last look, and then none is asked for."""
        assert self.ledger.pairs_done <= RULE.looks[-1]
        assert self.ledger.finished == (self.ledger.pairs_to_next_look == 0)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


@settings(deadline=None, max_examples=50)
@given(
    effects=st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=6),
    wiggle=st.floats(1e-4, 5e-3),
    pairs=st.integers(2, 7),
)
def test_exchanging_the_sides_exchanges_slower_and_faster(
    effects: list[float], wiggle: float, pairs: int
) -> None:
    """What base is to the candidate the candidate is to base, row by row."""
    assume(all(abs(abs(e) - math.log1p(RULE.min_effect)) > 1e-6 for e in effects))
    forward, backward = (concluded(effects, wiggle, pairs, sign=sign) for sign in (1, -1))
    mirror = {Conclusion.SLOWER: Conclusion.FASTER, Conclusion.FASTER: Conclusion.SLOWER}
    assert backward == [mirror.get(conclusion, conclusion) for conclusion in forward]


def concluded(effects: list[float], wiggle: float, pairs: int, *, sign: int) -> list[Conclusion]:
    """The conclusions after so many launch pairs, then the end of the budget."""
    rows = {Row(name=f"r{i}"): effect for i, effect in enumerate(effects)}
    ledger = Ledger(rows, RULE)
    for number in range(pairs):
        off = wiggle * math.cos(number)
        ledger.add_pair({row: sign * (rows[row] + off) for row in ledger.open_rows})
    ledger.close()
    return [ledger.conclusion(row) for row in rows]
