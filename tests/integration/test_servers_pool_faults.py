"""The comparison of pools under faults, run for real on our own pool, in short."""

import json

import pytest
from tools.evaluation.pool_faults import main


def test_our_pool_survives_what_the_comparison_does_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A restart costs no query an error, and after each outage every client is served again."""
    assert main(["--pools", "sergas", "--repeats", "1", "--outage-s", "0.3"]) == 0
    results = {
        each["scenario"]: each for each in json.loads(capsys.readouterr().out.splitlines()[-1])
    }
    assert list(results) == ["asked while down", "outage, cut", "outage, stop", "restart"]
    assert (results["restart"]["calls"], results["restart"]["errors"]) == (12, 0)
    assert results["asked while down"]["errors"] == 0
    assert all(each["all_answered_s"] is not None for each in results.values())
    for name in ("outage, cut", "outage, stop"):
        assert results[name]["attempts"] > 0
