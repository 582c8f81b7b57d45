"""The self-check in small, and what is kept of it."""

from pathlib import Path

import pytest

from groundspeed.load import StallPlan, selfcheck
from groundspeed.load.selfchecking import Check, Selfcheck
from groundspeed.store.calibrations import STATE_VARIABLE

# One freeze, whole within a run that begins up to 1.6 s after the server's process.
_SHORT = StallPlan(stall_s=0.4, every_s=60.0, phase_s=1.6, duration_s=2.0, rate_per_s=200.0)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own, and short runs."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("groundspeed.load.selfchecking._PACING_S", 0.2)
    monkeypatch.setattr("groundspeed.load.selfchecking._CAPACITY_S", 0.2)
    return tmp_path


def test_the_self_check_asks_everything_and_keeps_nothing_of_another_plan(
    state: Path,
) -> None:
    """A freezing server is reported as it is, and every other check has a figure."""
    found = selfcheck(plan=_SHORT)
    assert [check.name for check in found.checks] == [
        "stall, constant",
        "stall, poisson",
        "stall, closed, corrected",
        "lag p99 at 1,000/s",
        "CPU a request",
        "recording a sample",
    ]
    assert all(check.value > 0 for check in found.checks)
    assert found.requests_per_s > 500
    assert list(state.iterdir()) == []
    for check in found.checks[:3]:
        assert check.value < 0.15, check


def test_what_was_kept_for_the_machine_is_given_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is asked afresh; a file that is no self-check is made anew."""
    asked: list[StallPlan] = []

    def short(plan: StallPlan) -> tuple[()]:
        asked.append(plan)
        return ()

    monkeypatch.setattr("groundspeed.load.selfchecking.stall_test", short)
    (state / "load").mkdir()
    first = selfcheck()
    (kept,) = (state / "load").iterdir()
    assert selfcheck() == first
    assert asked == [StallPlan()]
    kept.write_bytes(b"{}")
    assert selfcheck().fingerprint == first.fingerprint
    assert asked == [StallPlan()] * 2


def test_it_holds_only_when_every_check_does() -> None:
    """At the limit it does."""
    good = Check(name="a", value=1.0, limit=1.0, unit="s")
    bad = Check(name="b", value=1.1, limit=1.0, unit="s")
    kept = {"fingerprint": "f", "tool_version": "0", "requests_per_s": 1.0}
    assert Selfcheck(checks=(good,), **kept).holds  # type: ignore[arg-type]
    assert not Selfcheck(checks=(good, bad), **kept).holds  # type: ignore[arg-type]
