"""The pages on performance tests: the example works, and the tables are those of the code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from groundspeed.load.level_table import _Row
from groundspeed.plugins.measured import Measured, Mode, Verdict

EXAMPLE = "docs/how-to/add-a-performance-test.md"
REFERENCE = "docs/reference/pytest.md"
# By name, whether or not the distribution that is installed here has the entry point yet.
PLUGIN = ("-p", "benchmark", "-p", "no:groundspeed", "-p", "groundspeed.plugins.pytest_plugin")


def _first_cells(page: str, heading: str) -> list[str]:
    section = re.split(r"^#+ ", page.partition(f"{heading}\n")[2], flags=re.MULTILINE)[0]
    return [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]


def test_the_example_runs_as_it_stands(blocks: list[tuple[str, str, str]], tmp_path: Path) -> None:
    """It passes where the machine lets it, and keeps what the page says."""
    shown = [(kind, content) for page, kind, content in blocks if page == EXAMPLE]
    table, conftest, test = (content for kind, content in shown if kind in {"toml", "python"})
    (tmp_path / "service_levels.toml").write_text(table, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_encoding.py").write_text(test, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    [command] = (content.split() for kind, content in shown if kind == "bash")
    assert command[0] == "pytest"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", *command[1:]],
        cwd=tmp_path,
        env=inherited | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"test_encoding (PASSED|WARNED|UNDECIDED)", done.stdout)
    [row] = json.loads((tmp_path / "kept.json").read_text("utf-8"))["benchmarks"]
    figures = row["extra_info"]["figures"]
    assert {"encoding_s_p50", "encoding_s_p95", "indent_ratio"} <= set(figures)
    assert [level["metric"] for level in row["extra_info"]["levels"]] == [
        "encoding_s_p95",
        "indent_ratio",
    ]


def test_every_key_of_a_level_is_documented(pages: dict[str, str]) -> None:
    """And no other."""
    told = _first_cells(pages[REFERENCE], "### The fixture `service_levels`")
    assert {cell.strip(" `") for cell in told} == set(_Row.__struct_fields__)


def test_every_call_of_measured_is_documented(pages: dict[str, str]) -> None:
    """And no other."""
    told = "".join(_first_cells(pages[REFERENCE], "### The fixture `measured`"))
    known = {name for name in vars(Measured) if not name.startswith("_")}
    assert set(re.findall(r"(\w+)\(", told)) == known - {"conclude"}  # the plugin's own


def test_verdicts_and_modes_are_those_of_the_code(pages: dict[str, str]) -> None:
    """And no other."""
    cells = _first_cells(pages[REFERENCE], "### Verdicts")
    told = {cell.strip().partition(" (")[0].strip("`") for cell in cells}
    assert told - {"--sla"} == {*Verdict, *get_args(Mode)}
