"""The page of the account service says what the service does: no more and no less."""

import re
from pathlib import Path

import pytest

from sergas.api._accounts import OPERATIONS
from sergas.api._failures import CODES
from sergas.api._metrics import Metrics
from sergas.api._service import service_operations
from sergas.api._tokens import Tokens

PAGE = "docs/reference/account-service.md"


@pytest.fixture
def table(pages: dict[str, str]) -> list[list[str]]:
    """The cells of each row of the page's tables."""
    lines = [line for line in pages[PAGE].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_variable_that_is_read_is_there(table: list[list[str]], root: Path) -> None:
    """And no other."""
    source = (root / "src/sergas/settings.py").read_text("utf-8")
    read = set(re.findall(r'"((?:SERGAS|DATABASE|REDIS)_[A-Z_]+)"', source))
    told = {name for row in table for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", row[0])}
    assert told == read


def test_every_operation_is_there(table: list[list[str]]) -> None:
    """With its method and path."""
    tokens = Tokens(b"s" * 32, {})
    metrics: Metrics = object()  # type: ignore[assignment] # nobody asks it
    operations = (*OPERATIONS, *service_operations(tokens, metrics, OPERATIONS))
    tokens.close()
    there = {(f"`{one.name}`", f"{one.method} `{one.path}`") for one in operations}
    told = {(row[0], row[1]) for row in table if re.match(r"(GET|POST|PATCH) ", row[1])}
    assert told == there


def test_every_error_is_there(table: list[list[str]]) -> None:
    """Each status, with its code; 401 has several."""
    told = {int(row[0]): row[1] for row in table if row[0].isdigit()}
    assert set(told) == set(CODES)
    assert {status: f"`{code}`" for status, code in CODES.items() if status != 401} == {
        status: code for status, code in told.items() if status != 401
    }
