"""The cancellation campaign in small; tools/evaluation/pool_cancellation.py runs it at length."""

import json

import pytest
from tools.evaluation import pool_cancellation

from sergas.optimizations.connection_pool import AsyncConnectionPool


def test_cancels_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No connection, no place, no cancel, in five hundred schedules that hit every suspension."""
    assert pool_cancellation.main(["--schedules", "500"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["delivered"] > 500
    assert {"start", "turn", "body", "commit", "rollback", "reset", "check"} <= told["hit"].keys()


def test_systematic_half_cancels_each_task_at_each_step() -> None:
    """Of one schedule after the other, as many as there are to be."""
    plans = list(pool_cancellation.plans(400, seed=3))
    assert [cancel_at for _, cancel_at in plans[:200]] == [None] * 200
    steps = pool_cancellation.run_schedule(3, (0, -1)).steps
    whole = [cancel_at for seed, cancel_at in plans[200:] if seed == 3]
    assert whole == [(task, step) for step in range(steps) for task in range(6)][: len(whole)]
    assert len(plans) == 400


def test_seed_decides_everything() -> None:
    """A schedule that fails can be run again."""
    assert pool_cancellation.run_schedule(7) == pool_cancellation.run_schedule(7)


def test_losses_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that forgets what a cancelled waiter was given is found out."""
    monkeypatch.setattr(AsyncConnectionPool, "_recover", lambda _self, _owner: None)
    outcomes = [pool_cancellation.run_schedule(seed) for seed in range(30)]
    assert any(outcome.lost_places for outcome in outcomes)
