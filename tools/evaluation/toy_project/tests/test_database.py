# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""SQLite."""

import sqlite3

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from toy import database


@pytest.fixture(scope="module")
def filled() -> dict[int, sqlite3.Connection]:
    """One table in memory per size."""
    return {size: database.filled(size) for size in database.SIZES}


def test_fetch(benchmark: BenchmarkFixture, filled: dict[int, sqlite3.Connection]) -> None:
    """A few accounts fetched, statement by statement."""
    benchmark(database.fetch, filled[100])


def test_insert(benchmark: BenchmarkFixture, filled: dict[int, sqlite3.Connection]) -> None:
    """Accounts inserted, and taken back."""
    benchmark(database.insert, filled[100])


@pytest.mark.parametrize("size", database.SIZES)
def test_query(
    benchmark: BenchmarkFixture, filled: dict[int, sqlite3.Connection], size: int
) -> None:
    """Accounts fetched by key."""
    benchmark(database.query, filled[size], size)


@pytest.mark.parametrize("size", database.SIZES)
def test_aggregate(
    benchmark: BenchmarkFixture, filled: dict[int, sqlite3.Connection], size: int
) -> None:
    """Balances summed up by region."""
    benchmark(database.aggregate, filled[size])
