"""The hit-ratio table: its sums, what it refuses, and the floor that the default policy keeps."""

import json
import os
import subprocess
import sys

import pytest
from tools.evaluation.cache_hit_ratio import Row, main, summary


def _row(name: str, *, is_hard: bool, optimum: int, ours: int, lru: int) -> Row:
    return Row(
        name=name,
        is_hard=is_hard,
        requests=1000,
        optimum=optimum,
        hits={"ours": ours, "lru": lru},
    )


def test_summary_tells_mean_share_and_worst_row() -> None:
    """The share is averaged over rows, not over requests; the worst row is named."""
    rows = [
        _row("a@1", is_hard=False, optimum=500, ours=500, lru=100),
        _row("b@1", is_hard=False, optimum=100, ours=50, lru=80),
        _row("c@1", is_hard=True, optimum=800, ours=400, lru=400),
    ]
    found = summary(rows, ["ours", "lru"])
    assert found["usual"]["ours"] == {"share": 0.75, "worst": -3.0, "worst_row": "b@1"}
    assert found["hard"]["ours"] == {"share": 0.5, "worst": 0.0, "worst_row": "c@1"}
    assert found["all"]["lru"]["share"] == pytest.approx((0.2 + 0.8 + 0.5) / 3, abs=1e-4)
    assert set(summary(rows[2:], ["ours"])) == {"hard", "all"}


def test_prints_a_table_and_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One row of the real table, through the cache manager; the last line is for programs."""
    arguments = ["--contestants", "ours", "--rows", "compiler@[0-9][0-9]"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["row", "optimum", "ours", "lru"]
    assert lines[1].split()[0] == "compiler@45"
    found = json.loads(lines[-1])
    assert found["rows"] == 1
    assert found["summary"]["usual"]["ours"]["share"] > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--contestants", "ours,ehcache"], "no contestant ehcache; there are ours, lru"),
        (["--contestants", "ours", "--rows", "none"], "no row is called 'none'"),
    ],
)
def test_refuses_what_it_does_not_know(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong name ends with usage, before anything is replayed."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_says_which_extra_a_peer_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that is not installed is named together with the extra that holds it."""
    monkeypatch.setitem(sys.modules, "theine", None)
    assert main(["--contestants", "theine"]) == 2
    assert "pip install 'groundspeed[peers]'" in capsys.readouterr().err


FLOORS = {
    "code-reading@600": 0.82,
    "text-search@600": 0.78,
    "compiler@45": 0.82,
    "joins@1100": 0.93,
    "recency@400": 0.75,
    "zigzag@1100": 0.93,
}
"""Shares of Belady's hits; each is a little below the least that was measured.

The hashes of strings differ between processes. Of 41 of them 37 gave code-reading 0.929 to 0.936,
four 0.846 to 0.869: there the sample of keys led the policy astray.
"""


REPLAY = """
import json, sys
from tools.evaluation import cache_hit_ratio
rows = [cache_hit_ratio._replay(job) for job in cache_hit_ratio._jobs("quoted", ["ours", "lru"])
        if job.row in sys.argv[1:]]
print(json.dumps({row.name: [row.share("ours"), row.points_over_lru("ours")] for row in rows}))
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_default_policy_keeps_its_floors(seed: str) -> None:
    """Through the real memory level: its share, and never 3 points under LRU.

    Keys are strings, so each process would try other hashes, and one in many has bad luck.
    """
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, *FLOORS],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found.keys() == FLOORS.keys()
    for name, (share, points) in found.items():
        assert share >= FLOORS[name], name
        assert points > -3, name


def test_quoted_hashes_give_what_is_quoted() -> None:
    """With the hashes that figures are quoted with, a row keeps what it was quoted with."""
    command = [sys.executable, "-m", "tools.evaluation.cache_hit_ratio"]
    done = subprocess.run(
        [*command, "--contestants", "ours", "--rows", "code-reading@600"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["summary"]["usual"]["ours"]["share"] >= 0.93
