# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""SQLite."""

from typing import ClassVar

from toy import database

_FILLED = {size: database.filled(size) for size in database.SIZES}


def time_fetch() -> None:
    """A few accounts fetched, statement by statement."""
    database.fetch(_FILLED[100])


def time_insert() -> None:
    """Accounts inserted, and taken back."""
    database.insert(_FILLED[100])


class Table:
    """One table in memory per size, filled when this file is imported."""

    params: ClassVar = sorted(_FILLED)
    param_names: ClassVar = ["size"]

    def time_query(self, size: int) -> None:
        """Accounts fetched by key."""
        database.query(_FILLED[size], size)

    def time_aggregate(self, size: int) -> None:
        """Balances summed up by region."""
        database.aggregate(_FILLED[size])
