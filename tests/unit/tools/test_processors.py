"""The comparison of parallel maps: what it says without its peers, and its measuring."""

import json
import sys

import pytest
from tools.evaluation import processors


def test_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings it, before anything is measured."""
    monkeypatch.setitem(sys.modules, "pebble", None)
    with pytest.raises(SystemExit, match=r"groundspeed\[test,peers\]"):
        processors.peer("pebble")


def test_contestants_take_turns_and_are_all_reported() -> None:
    """Each runs once to warm up and once a turn."""
    calls: list[str] = []
    contestants = {name: (lambda _, name=name: calls.append(name)) for name in "ab"}
    table = processors.timed_in_turns(contestants, count=10, turns=3)  # type: ignore[arg-type]
    assert "".join(calls) == "ab" + "ababab"
    assert all(row["us_best"] <= row["us_median"] <= row["us_worst"] for row in table.values())


def test_a_stream_is_followed_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Through the command itself."""
    assert processors.main(["--tables", "stream", "--items", "20000"]) == 0
    told = json.loads(capsys.readouterr().out)["stream"]
    assert len(told["mib"]) == 10
    assert min(told["mib"]) > 1


def test_an_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With those there are."""
    with pytest.raises(SystemExit):
        processors.main(["--tables", "colour"])
    assert "there are overhead, faults, speed, stream" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "primes"), [(10, 4), (100, 25)])
def test_the_computation_is_one(size: int, primes: int) -> None:
    """What is timed has a right answer."""
    assert processors.compute(size) == primes
