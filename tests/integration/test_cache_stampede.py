"""The stampede evaluation counts what it should, and ours is as it should be."""

import json

import pytest
from tools.evaluation import stampede


def test_ours_loads_once_and_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Fifty misses are one load, and a cancelled first caller fails none of ten waiters."""
    assert stampede.main(["--repeats", "2"]) == 0
    out = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(out.out.splitlines()[-1])}
    assert rows["sergas"] == {
        "name": "sergas",
        "thread_loads": 1,
        "task_loads": 1,
        "cancelled_failed": 0,
        "cancelled_loads": 1,
    }
    assert len(rows) > 1 or "not installed" in out.err


def test_no_cache_at_all_is_seen_as_such() -> None:
    """A function without a cache is loaded for every caller, and its own cancel is its own."""
    bare = stampede.Contestant(name="none", sync=lambda f: f, asynchronous=lambda f: f)
    (row,) = stampede.run([bare], callers=10, repeats=1)
    assert (row.thread_loads, row.task_loads) == (10, 10)
    assert (row.cancelled_failed, row.cancelled_loads) == (0, 11)
