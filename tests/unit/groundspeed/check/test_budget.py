import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.budget import Budget
from groundspeed.check.ledger import Ledger
from groundspeed.model import Row
from groundspeed.stats import GateRule

ROWS = [Row(name=f"time_{number}") for number in range(6)]
COSTS_S = st.lists(st.floats(0.001, 10.0), min_size=len(ROWS), max_size=len(ROWS))


def budget(left_s: float | None, *, lanes: int = 1) -> Budget:
    """A budget of which so much is left."""
    return Budget(
        clock=lambda: 100.0, deadline_s=None if left_s is None else 100.0 + left_s, lanes=lanes
    )


def test_without_a_deadline_there_is_time_for_anything() -> None:
    """No limit, no end."""
    unlimited = budget(None)
    assert unlimited.left_s() == math.inf
    assert unlimited.has_time(1e9)


@pytest.mark.parametrize(("cost_s", "fits"), [(0.0, True), (2.0, True), (2.1, False)])
def test_what_would_end_too_late_is_not_begun(*, cost_s: float, fits: bool) -> None:
    """A row whose launch pair would overrun the budget waits for another check."""
    assert budget(2.0).has_time(cost_s) is fits
    assert not budget(-1.0).has_time()


@given(COSTS_S, st.floats(0.0, 100.0), st.integers(1, 4))
def test_the_rows_that_are_kept_fit_into_the_time(
    costs_s: list[float], left_s: float, lanes: int
) -> None:
    """All launch pairs up to the next look of the rows that stay open end in time, side by side."""
    ledger = Ledger(ROWS, GateRule())
    cost = dict(zip(ROWS, costs_s, strict=True))
    pairs = ledger.pairs_to_next_look
    budget(left_s, lanes=lanes).fit(ledger, lambda row: (row, cost[row]))
    assert sum(cost[row] for row in ledger.open_rows) * pairs <= left_s * lanes * (1 + 1e-9)
    assert ledger.open_rows == ROWS[: len(ledger.open_rows)]


@given(COSTS_S)
def test_without_a_deadline_no_row_is_set_aside(costs_s: list[float]) -> None:
    """Every row is measured to its end."""
    ledger = Ledger(ROWS, GateRule())
    budget(None).fit(ledger, lambda row: (row, costs_s[ROWS.index(row)]))
    assert ledger.open_rows == ROWS
