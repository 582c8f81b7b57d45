"""The cost of a hit: a short run of our own, and what is refused."""

import json
import sys

import pytest
from tools.evaluation.cache_hit_cost import main


def test_prints_costs_of_sync_async_and_mixed_traffic(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any peer it measures our own; the last line is for programs."""
    assert main(["--contestants", "ours,functools,lru", "--rounds", "3"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])["cpu_ns"]
    assert {kind: sorted(costs) for kind, costs in found.items()} == {
        "sync": ["functools", "ours"],
        "async": ["ours"],
        "mixed": ["lru", "ours"],
    }
    assert all(cost > 0 for costs in found.values() for cost, _ in costs.values())


def test_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name ends with usage."""
    assert main(["--contestants", "ehcache"]) == 2
    assert "there are only" in capsys.readouterr().err


def test_says_which_extra_a_peer_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that is not installed is named together with the extra that holds it."""
    monkeypatch.setitem(sys.modules, "cashews", None)
    assert main(["--contestants", "cashews"]) == 2
    assert "cashews is not installed" in capsys.readouterr().err
