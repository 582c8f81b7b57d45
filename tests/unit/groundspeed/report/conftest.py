"""Records of checks that were never run, for the reports to tell."""

from collections.abc import Callable
from typing import Any

import pytest

from groundspeed.check.verdict import decide
from groundspeed.model import (
    CHECK_SCHEMA,
    CheckRecord,
    Commit,
    Comparison,
    Failure,
    Machine,
    Outcome,
    PairSummary,
    Row,
    Settings,
)

BASE = Commit(
    name="v1.4.0", sha="0f1e2d3c4b5a69788796a5b4c3d2e1f001122334", subject="Release 1.4.0"
)
TREE = Commit(
    name="working tree", sha="8899aabbccddeeff00112233445566778899aabb", subject="Tidy", dirty=True
)
MACHINE = Machine(
    fingerprint="0123456789ab",
    cpu="Example CPU",
    cpus=8,
    measuring_cpus=(7,),
    memory_bytes=2**34,
    system="Linux 6.1",
    python="CPython 3.12.4",
    load_average_1m=0.5,
    schedstat=True,
)
SETTINGS = Settings(
    false_alarms=0.01,
    min_effect=0.01,
    margin=0.03,
    looks=(5, 8, 12, 17, 24, 34),
    budget_s=None,
    selection=(),
    seed=42,
    environment="overlay",
    environment_reason="both versions are pure Python",
)


def compared(
    label: str,
    outcome: Outcome,
    ratio: float,
    *,
    base_s: float = 12.8e-6,
    pairs: int = 8,
    **more: Any,
) -> Comparison:
    """A row that was measured, its interval half a percent wide on either side."""
    name, _, parameters = label.removesuffix(")").partition("(")
    return Comparison(
        row=Row(name=name, parameters=tuple(filter(None, parameters.split(", ")))),
        outcome=outcome,
        loops=80,
        ratio=ratio,
        ratio_low=ratio * 0.995,
        ratio_high=ratio * 1.005,
        confidence=0.98,
        p_slower=0.5,
        p_faster=0.5,
        pairs=tuple(pair(number, base_s, base_s * ratio) for number in range(pairs)),
        **{"metric": "clean", "detectable": 0.012, **more},
    )


def pair(number: int, base_s: float, candidate_s: float) -> PairSummary:
    """A launch pair without any noise."""
    return PairSummary(
        pair=number,
        base_s=base_s,
        candidate_s=candidate_s,
        base_wall_s=base_s,
        candidate_wall_s=candidate_s,
        base_cpu_s=base_s,
        candidate_cpu_s=candidate_s,
        samples=16,
    )


def failed(label: str, outcome: Outcome, *failures: Failure) -> Comparison:
    """A row that could not be compared."""
    return Comparison(row=Row(name=label), outcome=outcome, failures=failures)


def checked(*comparisons: Comparison, **changes: Any) -> CheckRecord:
    """A check of these rows; `changes` are fields of the record."""
    file_failures = changes.pop("file_failures", ())
    decision = decide(comparisons, file_failures)
    facts: dict[str, Any] = {
        "schema": CHECK_SCHEMA,
        "tool_version": "0.1.0",
        "started_at": "2026-03-01T12:00:00+00:00",
        "duration_s": 48.2,
        "measuring_s": 45.9,
        "warnings": (),
        "base": BASE,
        "candidate": TREE,
        "machine": MACHINE,
        "settings": SETTINGS,
    }
    return CheckRecord(
        **(facts | changes),
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        reasons=decision.reasons,
        comparisons=comparisons,
        file_failures=file_failures,
    )


@pytest.fixture
def check() -> Callable[..., CheckRecord]:
    """Make a record of comparisons."""
    return checked


@pytest.fixture
def row() -> Callable[..., Comparison]:
    """Make a measured row."""
    return compared


@pytest.fixture
def broken_row() -> Callable[..., Comparison]:
    """Make a row that could not be compared."""
    return failed
