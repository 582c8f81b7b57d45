"""The comparison of pools: what it says without its peers, and its measuring."""

import sys

import pytest
from tools.evaluation import pool_checkout

from sergas.optimizations.connection_pool import ConnectionPool


def test_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings it, before anything is measured."""
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    with pytest.raises(SystemExit, match=r"groundspeed\[test,peers\]"):
        pool_checkout.peer("psycopg_pool")


def test_help_needs_no_peer(capsys: pytest.CaptureFixture[str]) -> None:
    """What it does can be read anywhere."""
    with pytest.raises(SystemExit, match="0"):
        pool_checkout.main(["--help"])
    assert "--slices" in capsys.readouterr().out


def test_contestants_take_turns_and_are_all_reported() -> None:
    """Each loop runs once to warm up and once for each slice."""
    calls: list[str] = []

    def loop(name: str) -> pool_checkout.Loop:
        return lambda _loans: calls.append(name)

    loops = {name: loop(name) for name in "ab"}
    table = pool_checkout.slices_of(loops, slices=3, loans=1)
    assert "".join(calls) == "ab" + "ababab"
    assert all(row["cpu_us_best"] <= row["cpu_us_median"] for row in table.values())


def test_contention_counts_every_thread() -> None:
    """Sixteen threads get about the same from a fair pool."""
    with ConnectionPool(pool_checkout.BARE, min_size=4) as pool:
        row = pool_checkout._contend(pool.connection, 0.2)
    assert row["least"] > 0
    assert row["loans"] >= 16 * row["least"]
