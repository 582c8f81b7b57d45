"""Fills a store with made-up accounts, the same rows for the same seed on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

from sergas.accounts._seed_rows import COLUMNS, Block, owner_rows, rows_of
from sergas.accounts.store import AccountStore
from sergas.errors import AccountValueError
from sergas.optimizations.parallel_processor import ParallelProcessor

__all__ = ["AS_OF", "SeedPlan", "Seeded", "seed"]

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
"""The day that seeded rows are told from, unless another one is asked for."""

_BLOCK = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEW = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """What to fill in.

    Attributes:
        accounts: How many, 1 to 10,000,000.
        owners: How many people look after them, 1 to 999.
        seed: Chooses the rows.
        as_of: The day that the rows are told from.

    Raises:
        AccountValueError: If a number is out of its range.
    """

    accounts: int = 5_000
    owners: int = 50
    seed: int = 1
    as_of: datetime = AS_OF

    def __post_init__(self) -> None:
        if not 1 <= self.accounts <= 10_000_000:  # noqa: PLR2004 said above
            raise AccountValueError(
                f"seeding: got {self.accounts} accounts, needed 1 to 10,000,000"
            )
        if not 1 <= self.owners <= 999:  # noqa: PLR2004 said above
            raise AccountValueError(f"seeding: got {self.owners} owners, needed 1 to 999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """How many rows each table got."""

    owners: int
    accounts: int
    deals: int
    activities: int
    recommendations: int


def seed(
    store: AccountStore, plan: SeedPlan | None = None, *, workers: int | None = None
) -> Seeded:
    """Fill an empty store, all or none of each block of a hundred accounts.

    Rows are made by worker processes while this one writes them; a few are made right here.

    Args:
        store: Its tables have to be there and to be empty.
        plan: What to fill in.
        workers: Processes that make rows, None for one a usable processor; 1 makes them here.

    Raises:
        AccountValueError: If the store has accounts already.
        StoreError: If the database fails.
    """
    plan = plan or SeedPlan()
    there = store.counts()["accounts"]
    if there:
        raise AccountValueError(
            f"seeding: the store has {there:,} accounts already, needed an empty one; "
            "name another database"
        )
    made = dict.fromkeys(COLUMNS, 0)
    made["owners"] = store.fill("owners", COLUMNS["owners"], owner_rows(plan.owners))
    backend: Literal["serial", "process"] = (
        "serial" if plan.accounts <= _FEW or workers == 1 else "process"
    )
    with ParallelProcessor(workers, backend=backend) as processor:
        for rows in processor.imap(rows_of, _blocks(plan)):
            for table, part in rows.items():
                made[table] += store.fill(table, COLUMNS[table], part)
    store.optimize()
    return Seeded(**made)


def _blocks(plan: SeedPlan) -> Iterator[Block]:
    block = partial(
        Block,
        seed=plan.seed,
        owners=plan.owners,
        as_of_us=(plan.as_of - _EPOCH) // timedelta(microseconds=1),
    )
    for start in range(0, plan.accounts, _BLOCK):
        yield block(start=start, stop=min(start + _BLOCK, plan.accounts))
