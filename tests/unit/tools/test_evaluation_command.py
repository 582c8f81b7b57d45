"""The command: what it refuses, what it keeps, and what it shows again."""

from dataclasses import replace
from pathlib import Path

import pytest
from tools.evaluation.against_peers import main
from tools.evaluation.records import (
    SCHEMA,
    Evaluation,
    EvaluationError,
    Reading,
    Run,
    Setting,
    load,
    save,
)

KEPT = Evaluation(
    schema=SCHEMA,
    setting=Setting(
        cpu="another cpu",
        cpus=64,
        system="Linux",
        python="CPython 3.12",
        versions={"groundspeed": "1", "asv": "2"},
        groundspeed_sha256="0",
        commits={"base": "1a2b"},
        tools=("groundspeed", "asv"),
        kinds=("loops", "text"),
        affinity=(0, 1),
        busy=2,
    ),
    preparation_s={"asv: base": 10.0},
    runs=(
        Run(
            case="plus5",
            turn=0,
            tool="groundspeed",
            place=0,
            started_at="2026-01-01T00:00:00+00:00",
            wall_s=9.5,
            cpu_s=7.0,
            foreign_cpu_s=0.25,
            load_1m=None,
            exit_code=1,
            rows=8,
            readings=(Reading(rule="groundspeed", slower=("text.parse",)),),
        ),
    ),
)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Saving and loading loses nothing."""
    save(KEPT, tmp_path / "runs.json")

    assert load(tmp_path / "runs.json") == KEPT


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}'])
def test_another_file_is_no_evaluation(tmp_path: Path, text: str) -> None:
    """A damaged or foreign file is told, not taken for an empty evaluation."""
    (tmp_path / "runs.json").write_text(text)

    with pytest.raises(EvaluationError, match="choose another --out"):
        load(tmp_path / "runs.json")


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """What another version wrote may mean something else."""
    save(replace(KEPT, schema="groundspeed.evaluation/1"), tmp_path / "runs.json")

    with pytest.raises(EvaluationError, match="schema"):
        load(tmp_path / "runs.json")


def test_tables_of_what_is_kept_need_no_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--tables shows another machine's evaluation without touching it."""
    save(KEPT, tmp_path / "runs.json")

    assert main(["--out", str(tmp_path), "--tables"]) == 0

    shown = capsys.readouterr().out
    assert "another cpu, 64 CPUs" in shown
    assert "== +5 % in 2 rows: 1 turn of 8 rows" in shown
    assert "1/2 (9..91 %)" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.json"]


def test_a_kept_evaluation_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --resume a second start in the same folder is refused."""
    save(KEPT, tmp_path / "runs.json")

    assert main(["--out", str(tmp_path)]) == 5

    assert "add --resume" in capsys.readouterr().err
    assert load(tmp_path / "runs.json") == KEPT


def test_runs_of_another_setting_are_not_counted_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--resume on another machine, or with other sources, is refused and says what differs."""
    save(KEPT, tmp_path / "runs.json")

    assert main(["--out", str(tmp_path), "--resume"]) == 5

    told = capsys.readouterr().err
    assert "cpu was 'another cpu'" in told
    assert "busy was 2, is 0" in told
    assert load(tmp_path / "runs.json") == KEPT


def test_nothing_is_measured_when_no_turns_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No turns left means no environments are built either."""
    assert main(["--out", str(tmp_path / "out"), "--repeats", "0"]) == 0

    assert "competing CPU loops: 0" in capsys.readouterr().out
    assert not (tmp_path / "out" / "home").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cases", "aa,plus7"],
        ["--tools", "groundspeed,hyperfine"],
        ["--kinds", ""],
        ["--repeats", "-1"],
        ["--cpu-affinity", "a"],
        ["--busy", "x"],
    ],
)
def test_bad_options_are_usage_errors(tmp_path: Path, arguments: list[str]) -> None:
    """A mistyped option exits 2 before anything is written."""
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "out"), *arguments])

    assert ended.value.code == 2
    assert not (tmp_path / "out").exists()
