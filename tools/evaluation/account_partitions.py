"""The share of accounts that move when partitions are added, by our hashing and PostgreSQL's.

    python -m tools.evaluation.account_partitions [--accounts 5000]

PostgreSQL is asked where its own hash partitions would put each account, by
`satisfies_hash_partition`.
"""

import argparse
from typing import Any

import psycopg

from sergas.accounts.partitions import moved_share
from sergas.servers import start_postgres

__all__ = ["main"]

_STEPS = ((1, 2), (2, 4), (4, 5), (4, 8), (8, 9), (16, 17))
_PLACES = (
    "SELECT key, part FROM unnest(%s::text[]) AS key, generate_series(0, {count} - 1) AS part"
    " WHERE satisfies_hash_partition('accounts'::regclass, {count}, part, key)"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5_000)
    keys = [f"acc_{number:06d}" for number in range(parser.parse_args().accounts)]
    with start_postgres() as server, server.new_database() as dsn, psycopg.connect(dsn) as asked:
        asked.execute("CREATE TABLE accounts (id text) PARTITION BY HASH (id)")
        print("partitions   needed   rendezvous   PostgreSQL's hash")
        for before, after in _STEPS:
            places = [_places(asked, keys, count) for count in (before, after)]
            moved = sum(places[0][key] != places[1][key] for key in keys) / len(keys)
            ours = moved_share(keys, before=before, after=after)
            needed = (after - before) / after
            print(f"{before:>3} -> {after:<3} {needed:>9.1%} {ours:>12.1%} {moved:>19.1%}")


def _places(asked: "psycopg.Connection[Any]", keys: list[str], count: int) -> dict[str, int]:
    return dict(asked.execute(_PLACES.format(count=count).encode(), (keys,)).fetchall())


if __name__ == "__main__":
    main()
