"""What a day at the account service asks of its store: the queries by their names, with weights.

The parameters are drawn from a seeded generator, so that two runs ask the same. Index advice,
benchmarks and load tests take their statements from here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeAlias

from sergas.accounts.model import AccountFilter, AccountPatch, AccountSort, NewActivity
from sergas.accounts.seeding import SeedPlan
from sergas.accounts.store import AccountStore
from sergas.errors import VersionConflictError

__all__ = ["OPERATIONS", "Draw", "Operation", "ask"]


@dataclass(frozen=True, slots=True)
class Draw:
    """Parameters for the operations, on a store seeded by `plan`."""

    chance: Random
    plan: SeedPlan

    def account_id(self) -> str:
        """One of the accounts."""
        return f"acc_{self.chance.randrange(self.plan.accounts):06d}"

    def owner_id(self) -> str:
        """One of the owners."""
        return f"own_{self.chance.randrange(self.plan.owners) + 1:03d}"

    def word(self) -> str:
        """A word that some texts have."""
        return self.chance.choice(("renewal", "pricing", "outage", "security", "invoicing"))

    @property
    def as_of(self) -> datetime:
        """The day the rows are told from."""
        return self.plan.as_of


Call: TypeAlias = Callable[[AccountStore, Draw], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that is asked.

    Attributes:
        name: Q1 to Q13 as in `AccountStore`, or what is written.
        weight: How many of a thousand requests it is.
        call: Does it.
    """

    name: str
    weight: int
    call: Call


def _list_page(store: AccountStore, draw: Draw) -> object:
    where = draw.chance.choice(
        (
            AccountFilter(),
            AccountFilter(owner_id=draw.owner_id()),
            AccountFilter(status="active", risk_level="critical"),
            AccountFilter(health_score_min=80),
        )
    )
    sorts: tuple[AccountSort, ...] = ("name", "updated_at", "health_score")
    sort = draw.chance.choice(sorts)
    return store.page(where, sort=sort, number=draw.chance.randrange(1, 4))


def _list_after(store: AccountStore, draw: Draw) -> object:
    where = draw.chance.choice((AccountFilter(), AccountFilter(owner_id=draw.owner_id())))
    first = store.page_after(where, sort="updated_at", is_descending=True)
    if first.next is None:
        return first
    return store.page_after(where, sort="updated_at", is_descending=True, token=first.next)


def _activity_pages(store: AccountStore, draw: Draw) -> object:
    account_id = draw.account_id()
    first = store.activities(account_id)
    return store.activities(account_id, token=first.next) if first.next else first


def _change(store: AccountStore, draw: Draw) -> object:
    account = store.get(draw.account_id())
    if account is None:
        return None
    patch = AccountPatch(version=account.version, health_score=draw.chance.randrange(101))
    try:
        return store.update(account.id, patch, actor="workload")
    except VersionConflictError:
        return None  # somebody else was faster


def _note(store: AccountStore, draw: Draw) -> object:
    new = NewActivity(type="call", subject="call about pricing", created_by=draw.owner_id())
    return store.add_activity(draw.account_id(), new)


OPERATIONS: tuple[Operation, ...] = (
    Operation(name="Q1", weight=480, call=lambda store, draw: store.get(draw.account_id())),
    Operation(
        name="Q2",
        weight=80,
        call=lambda store, draw: store.get_many([draw.account_id() for _ in range(50)]),
    ),
    Operation(name="Q3", weight=60, call=_list_page),
    Operation(name="Q3 by key", weight=60, call=_list_after),
    Operation(name="Q4", weight=40, call=lambda store, draw: store.portfolio(draw.owner_id())),
    Operation(name="Q5", weight=2, call=lambda store, _draw: store.deal_totals()),
    Operation(name="Q6", weight=2, call=lambda store, _draw: store.industries()),
    Operation(name="Q7", weight=4, call=lambda store, _draw: store.pipeline()),
    Operation(name="Q8", weight=2, call=lambda store, _draw: store.win_rates()),
    Operation(name="Q9", weight=5, call=lambda store, draw: store.at_risk(draw.as_of)),
    Operation(name="Q10", weight=80, call=lambda store, draw: store.brief(draw.account_id())),
    Operation(
        name="Q11",
        weight=20,
        call=lambda store, draw: store.usage(
            draw.account_id(), draw.as_of, days=draw.chance.choice((30, 90))
        ),
    ),
    Operation(name="Q12", weight=5, call=lambda store, _draw: store.stale()),
    Operation(name="Q13", weight=60, call=_activity_pages),
    Operation(
        name="context",
        weight=10,
        call=lambda store, draw: store.context(draw.account_id(), draw.as_of),
    ),
    Operation(
        name="search in account",
        weight=20,
        call=lambda store, draw: store.search(draw.word(), account_id=draw.account_id()),
    ),
    Operation(name="search", weight=10, call=lambda store, draw: store.search(draw.word())),
    Operation(name="change", weight=40, call=_change),
    Operation(name="note", weight=20, call=_note),
)


def ask(store: AccountStore, plan: SeedPlan, *, requests: int, seed: int = 1) -> Iterator[str]:
    """Ask the store so many things, chosen by their weights; yields what each was, after it.

    Args:
        store: Seeded by `plan`.
        plan: What it was seeded with.
        requests: How many, >= 0.
        seed: Chooses the operations and their parameters.
    """
    chance = Random(seed)  # noqa: S311 parameters to test with, not secrets
    draw = Draw(chance, plan)
    weights = [operation.weight for operation in OPERATIONS]
    for operation in chance.choices(OPERATIONS, weights, k=requests):
        operation.call(store, draw)
        yield operation.name
