"""The replay: the rule finds what is there in recorded launches, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.launches import read_recording
from tools.evaluation.replay import Plan, draw_pairs, main, replay

from groundspeed.stats import GateRule

ROOT = Path(__file__).parents[3]
SLOWDOWNS = ["1", "2", "3", "5", "10"]
FEW = ["--suites", "4", "--suite-rows", "8", "--trials", "8"]


def record(path: Path, *, groups: int = 40, versions: Sequence[str] = ("0b", *SLOWDOWNS)) -> Path:
    """Write launch groups of three benchmarks with 0.3 % noise and the true ratios of the names."""
    rng = np.random.default_rng(7)
    lines = []
    for name in ("alpha", "beta", "gamma") * groups:
        rec = {}
        for version in ("0", *versions):
            ratio = 1.0 if version == "0b" else 1.0 + int(version) / 100.0
            times = 2e6 * ratio * (1.0 + rng.normal(0.0, 0.003)) * (1.0 + rng.random(6) / 1000.0)
            rec[version] = [[[time, time, 0, 0] for time in times]]
        lines.append(json.dumps({"kind": "rr", "b": name, "rec": rec}))
    path.write_text("\n".join(lines))
    return path


def plan(**changes: Any) -> Plan:
    """Plan a small replay."""
    settings: dict[str, Any] = {"suites": 3, "suite_rows": 6, "trials": 5, "seed": 1}
    return Plan(**({"rule": GateRule()} | settings | changes))


def test_ten_percent_are_always_found_and_identical_code_never(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of launches whose truth is known, the table and the line of JSON tell the truth."""
    assert main([str(record(tmp_path / "launches")), *FEW, "--seed", "3"]) == 0

    shown = capsys.readouterr().out
    result = json.loads(shown.splitlines()[-1])
    assert list(result) == ["alarms_per_suite", "power", "pairs"]
    assert list(result["power"]) == SLOWDOWNS
    assert result["alarms_per_suite"] == 0.0
    assert [result["power"][slowdown] for slowdown in ("3", "5", "10")] == [1.0, 1.0, 1.0]
    assert 5.0 <= result["pairs"] < 6.0
    assert "seed 3" in shown
    titles = [line.split(" | ")[0] for line in shown.splitlines() if line.startswith("| ")]
    assert titles[2:9] == ["| 0 by label exchange", "| 0 raw", *(f"| {s} %" for s in SLOWDOWNS)]


def test_what_is_not_recorded_has_no_power(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that the file lacks is null, and the others are told as ever."""
    path = record(tmp_path / "launches", groups=9, versions=["0b", "10"])

    assert main([str(path), *FEW]) == 0

    shown = capsys.readouterr().out
    power = json.loads(shown.splitlines()[-1])["power"]
    assert power == {"1": None, "2": None, "3": None, "5": None, "10": 1.0}
    assert "| 3 % | not recorded |" in shown


def test_the_same_seed_gives_the_same_replay(tmp_path: Path) -> None:
    """Chance comes from the seed alone, and more of one kind changes no other kind."""
    recording = read_recording(record(tmp_path / "launches"), groups_min=5)
    first = replay(recording, plan())

    assert replay(recording, plan()) == first
    assert replay(recording, plan(suites=4)).slowed == first.slowed
    assert replay(recording, plan(suites=4)).raw[:3] == first.raw
    assert replay(recording, plan(seed=2)) != first


def test_every_benchmark_has_its_share_of_the_rows(tmp_path: Path) -> None:
    """Rows are spread over the benchmarks as evenly as their number allows."""
    recording = read_recording(record(tmp_path / "launches"), groups_min=5)
    result = replay(recording, plan(suite_rows=7, trials=9))

    for suite in (*result.exchanged, *result.raw):
        names = [row.benchmark for row in suite]
        assert sorted(names.count(name) for name in ("alpha", "beta", "gamma")) == [2, 2, 3]
    for rows in result.slowed.values():
        assert [row.benchmark for row in rows].count("beta") == 3


def test_repeated_launch_groups_are_counted(tmp_path: Path) -> None:
    """A row longer than the recording says by how much; with enough groups nothing is said."""
    enough = read_recording(record(tmp_path / "enough", groups=96), groups_min=5)
    short = read_recording(record(tmp_path / "short", groups=5), groups_min=5)
    # Nothing is ever settled at so small a margin, so that every row takes all pairs.
    rule = GateRule(min_effect=1e-9, false_alarms=1e-9)
    repeated = {
        len(recording.benchmarks[0].differences["0b"]): {
            row.repeated for suite in replay(recording, plan(rule=rule)).exchanged for row in suite
        }
        for recording in (enough, short)
    }

    assert repeated == {96: {0}, 5: {91}}


@given(st.integers(1, 40), st.integers(1, 90), st.integers(0, 2**32))
def test_no_launch_group_comes_again_before_all_have_come(
    groups: int, count: int, seed: int
) -> None:
    """How often any two groups were drawn differs by one at most."""
    drawn = draw_pairs(np.arange(groups, dtype=np.float64), count, np.random.default_rng(seed))
    often = np.bincount(drawn.astype(int), minlength=groups)
    assert drawn.size == count
    assert often.max() - often.min() <= 1


@pytest.mark.parametrize("content", ["", "no launches\n", '{"kind": "long"}\n'])
def test_a_file_without_launches_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """Exit code 2, one line on standard error, nothing on standard output."""
    (tmp_path / "file").write_text(content)

    assert main([str(tmp_path / "file")]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"replay: {tmp_path / 'file'}")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-effect", "5%", "--margin", "3%"], "margin"),
        (["--false-alarms", "0.6"], "false_alarms"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """What the rule refuses is told as the rule tells it."""
    assert main([str(tmp_path / "file"), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--suites", "0"], ["--seed", "-1"], ["--trials", "x"], ["--min-effect", "0"]]
)
def test_bad_options_are_usage_errors(tmp_path: Path, options: list[str]) -> None:
    """A mistyped option exits 2 before the file is opened."""
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "file"), *options])

    assert ended.value.code == 2


@pytest.mark.parametrize(
    "command",
    [["tools/evaluation/replay.py"], ["-m", "tools.evaluation.replay"]],
    ids=["by path", "as a module"],
)
def test_it_runs_by_path_and_as_a_module(tmp_path: Path, command: list[str]) -> None:
    """Both commands print the same kind of last line from the root of the repository."""
    path = record(tmp_path / "launches", groups=6)

    done = subprocess.run(
        [
            sys.executable,
            *command,
            str(path),
            "--suites",
            "1",
            "--suite-rows",
            "3",
            "--trials",
            "2",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stderr == ""
    assert json.loads(done.stdout.splitlines()[-1])["power"]["10"] == 1.0
