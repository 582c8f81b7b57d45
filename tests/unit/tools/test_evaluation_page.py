"""The page that says how sure a verdict is, made of an evaluation of which everything is known."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tools.evaluation.figures import charts_of
from tools.evaluation.how_sure import main
from tools.evaluation.pools import Condition, pooled
from tools.evaluation.reading import rules_of
from tools.evaluation.records import (
    SCHEMA,
    TOOLS,
    Evaluation,
    EvaluationError,
    Reading,
    Run,
    Setting,
    Tool,
    save,
)
from tools.evaluation.tally import PAIRED
from tools.evaluation.toy import CASES, Case
from tools.evaluation.workloads import KINDS, SLOWED

TURNS = 10
WALL_S: dict[Tool, float] = {
    "groundspeed": 40.0,
    "groundspeed-pytest": 44.0,
    "asv": 80.0,
    "pytest-benchmark": 110.0,
}
SVG = "{http://www.w3.org/2000/svg}"


def setting(busy: int, *, tools: tuple[Tool, ...] = TOOLS) -> Setting:
    """A machine with this many competing loops."""
    return Setting(
        cpu="cpu <1>",
        cpus=2,
        system="Linux 6",
        python="CPython 3.12",
        versions={"groundspeed": "1", "asv": "2"},
        groundspeed_sha256="0123456789abcdef0123",
        commits={"base": "1a2b3c4d5e6f7a8b"},
        tools=tools,
        kinds=tuple(KINDS),
        affinity=(0, 1),
        busy=busy,
    )


def reading(rule: str, case: Case, turn: int) -> Reading:
    """The first tool finds all and never alarms; every other rule finds half and alarms once."""
    if case.factor == 1:
        alarmed = turn == 0 and not rule.startswith("groundspeed")
        return Reading(rule=rule, slower=("loops.grid",) if alarmed else ())
    found = tuple(sorted(SLOWED)) if rule == "groundspeed" or turn % 2 else ()
    return Reading(rule=rule, slower=found)


def runs(tools: tuple[Tool, ...], busy: int) -> Iterator[Run]:
    """Ten turns of every case, in which a busy machine takes twice as long."""
    for case in CASES.values():
        for turn in range(TURNS):
            for place, tool in enumerate(tools):
                yield Run(
                    case=case.name,
                    turn=turn,
                    tool=tool,
                    place=place,
                    started_at=f"2026-01-{turn + 1:02}T00:00:00+00:00",
                    wall_s=WALL_S[tool] * (2 if busy else 1),
                    cpu_s=WALL_S[tool] / 2,
                    foreign_cpu_s=float(busy),
                    load_1m=0.5 + busy,
                    exit_code=0,
                    rows=50,
                    readings=tuple(reading(rule, case, turn) for rule in rules_of(tool)),
                )


def evaluation(busy: int = 0, *, tools: tuple[Tool, ...] = TOOLS) -> Evaluation:
    """A whole evaluation, quiet or busy."""
    return Evaluation(
        schema=SCHEMA,
        setting=setting(busy, tools=tools),
        preparation_s={"build": 12.0},
        runs=tuple(runs(tools, busy)),
    )


def written(folder: Path, *evaluations: Evaluation) -> str:
    """The page that the command writes of these evaluations."""
    folders = []
    for number, one in enumerate(evaluations):
        (folder / str(number)).mkdir()
        save(one, folder / str(number) / "runs.json")
        folders.append(str(folder / str(number)))
    assert main([*folders, "--out", str(folder / "docs" / "how-sure.md")]) == 0
    return (folder / "docs" / "how-sure.md").read_text()


def parsed(drawn: str) -> ET.Element:
    """The drawing that this text is."""
    return ET.fromstring(drawn)  # noqa: S314 - it was written a moment ago, by us


def cells(page: str, *begin: str) -> list[str]:
    """The rest of the one table row that begins with these cells."""
    head = "| " + " | ".join(begin) + " | "
    found = [line for line in page.splitlines() if line.startswith(head)]
    assert found, head
    return found[0].removeprefix(head).removesuffix(" |").split(" | ")


def test_page_counts_what_the_runs_say(tmp_path: Path) -> None:
    """Alarms, finds, kinds and times are those of the runs, under each condition."""
    page = written(tmp_path, evaluation(0), evaluation(2))

    assert cells(page, "groundspeed", "quiet")[:2] == ["0/10 (0..28 %)", "3000"]
    assert cells(page, "asv 1.05", "busy, 2 loops")[0] == "1/10 (2..40 %)"
    found = page.partition("## Slowdowns found")[2]
    assert cells(found, "groundspeed", "quiet")[0] == "110/110 (97..100 %)"
    assert cells(found, "groundspeed-pytest", "quiet")[0] == "55/110 (41..59 %)"
    kinds = page.partition("### Kinds found by asv 1.1")[2]
    assert cells(kinds, "threads") == ["5/10 · 5/10"] * 5
    cost = page.partition("## What a verdict costs")[2]
    assert cells(cost, "asv", "an asv suite", "quiet")[:2] == ["60", "80.0 [80.0..80.0]"]
    assert cells(cost, "groundspeed / asv", "busy, 2 loops")[0] == "0.50 [0.50..0.50]"
    assert "480 verdicts" in page
    assert "asv 1.1**, quiet: alarms in 1 of 10 checks of identical code; rows found: 50%" in page
    assert "+1 % with `--min-effect 0.5%`" in page


def test_page_says_where_when_and_by_which_command(tmp_path: Path) -> None:
    """Whoever reads it can make the same evaluation."""
    page = written(tmp_path, evaluation(2, tools=("groundspeed", "asv")))

    assert cells(page, "machine") == ["cpu <1>, 2 CPUs, kept on CPU 0, 1"]
    assert cells(page, "from, to") == ["2026-01-01T00:00:00+00:00, 2026-01-10T00:00:00+00:00"]
    assert (
        "python -m tools.evaluation.against_peers --out FOLDER --tools groundspeed,asv "
        "--cases aa,plus1,plus2,plus3,plus5,plus20 --repeats 10 --busy 2 --cpu-affinity 0,1\n"
    ) in page
    assert "pytest" not in page.replace("tools.evaluation", "")


def test_every_chart_of_the_page_is_there_and_is_svg(tmp_path: Path) -> None:
    """Each image the page names is a drawing in words of its own, and no other was written."""
    page = written(tmp_path, evaluation(0), evaluation(2))

    named = set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", page))
    there = {path.name for path in (tmp_path / "docs").glob("*.svg")}
    assert named == there == {f"how-sure-{chart}.svg" for chart in ("alarms", "power", "wall")}
    for path in (tmp_path / "docs").glob("*.svg"):
        drawing = parsed(path.read_text())
        assert drawing.get("aria-label")
        assert "prefers-color-scheme: dark" in (drawing.findtext(f"{SVG}style") or "")
        assert {text.text for text in drawing.iter(f"{SVG}text")} >= {"quiet", "busy, 2 loops"}


def test_nothing_is_drawn_outside_the_picture() -> None:
    """Every line, bar, point and text begins within the picture."""
    for drawn in charts_of(pooled([evaluation(0), evaluation(2)])).values():
        drawing = parsed(drawn)
        width, height = float(drawing.get("width", 0)), float(drawing.get("height", 0))
        for shape in drawing.iter():
            for axis, most in (("x", width), ("y", height)):
                values = [shape.get(name) for name in (axis, f"{axis}1", f"{axis}2", f"c{axis}")]
                assert all(0 <= float(value) <= most for value in values if value is not None)


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    """An evaluation of identical code alone has no power chart and no empty table of it."""
    whole = evaluation(tools=("asv",))
    alone = replace(whole, runs=tuple(run for run in whole.runs if run.case == "aa"))

    page = written(tmp_path, alone)

    assert "- **asv 1.1**, quiet: alarms in 1 of 10 checks of identical code.\n" in page
    assert "## Slowdowns found" not in page
    assert "how-sure-power.svg" not in page
    assert not (tmp_path / "docs" / "how-sure-power.svg").exists()


def test_a_peer_that_saw_identical_code_alone_has_no_part_in_what_was_found(
    tmp_path: Path,
) -> None:
    """No row of dashes, no empty table of kinds and no name in the chart's legend."""
    peer = evaluation(tools=("asv",))
    peer = replace(peer, runs=tuple(run for run in peer.runs if run.case == "aa"))

    page = written(tmp_path, evaluation(tools=("groundspeed",)), peer)

    found = page.partition("## Slowdowns found")[2].partition("## What a verdict costs")[0]
    assert cells(found, "groundspeed", "quiet")[0] == "110/110 (97..100 %)"
    assert "asv 1.1" not in found
    assert "asv 1.1" in page
    assert "asv 1.1" not in (tmp_path / "docs" / "how-sure-power.svg").read_text("utf-8")


def test_a_run_without_a_verdict_is_named_and_not_counted(tmp_path: Path) -> None:
    """A tool that failed is neither silent nor right."""
    whole = evaluation(tools=("asv",))
    first, *rest = whole.runs
    silent = replace(first, problem="no verdict; see its log", readings=(), exit_code=2)

    page = written(tmp_path, replace(whole, runs=(silent, *rest)))

    assert "- asv, aa, turn 0, exit 2: no verdict; see its log" in page
    assert cells(page, "asv 1.1", "quiet")[0] == "0/9 (0..30 %)"


def test_suites_measured_apart_make_one_page(tmp_path: Path) -> None:
    """A folder per suite gives the same figures as one folder with all tools."""
    apart = [evaluation(tools=pair) for pair in PAIRED]
    page = written(tmp_path, *apart)

    findings = pooled(apart)

    assert findings.conditions == (Condition(busy=0),)
    assert findings.tools == TOOLS
    assert charts_of(findings) == charts_of(pooled([evaluation()]))
    assert "### Evaluation 2: quiet" in page


def test_runs_of_other_sources_are_not_pooled() -> None:
    """What groundspeed's source decides is pooled only where that is the same."""
    changed = replace(evaluation(), setting=replace(setting(0), groundspeed_sha256="f"))

    with pytest.raises(EvaluationError, match="groundspeed_sha256"):
        pooled([evaluation(), changed])


def test_peers_do_not_depend_on_our_source() -> None:
    """Runs of asv stay what they are, whatever groundspeed was meanwhile."""
    alone = evaluation(tools=("asv",))
    changed = replace(alone, setting=replace(alone.setting, groundspeed_sha256="f"))

    pool = pooled([alone, changed]).pool("asv", Condition(busy=0))

    assert pool is not None
    assert len(pool.runs) == 2 * len(alone.runs)


def test_nothing_measured_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without runs there is nothing to say, and nothing is written."""
    save(replace(evaluation(), runs=()), tmp_path / "runs.json")

    assert main([str(tmp_path), "--out", str(tmp_path / "page.md")]) == 5

    assert "hold no runs" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
