"""`groundspeed check --suite pytest` on a test that runs load, as a user meets it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("launch twins need fork", allow_module_level=True)

CHECK = [sys.executable, "-m", "groundspeed.cli", "check", "--suite", "pytest"]
FILES = {
    ".gitignore": "__pycache__\nresults\n",
    "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n',
    "conftest.py": 'pytest_plugins = ["groundspeed.plugins.load_fixture"]\n',
    "toy.py": "import time\n\ndef answer(): time.sleep(0.001)\n",
    "test_load.py": """\
import pytest, toy
from groundspeed.load import Open

@pytest.mark.groundspeed(scenario=True, min_effect="50%")
def test_load(load_test_harness, benchmark):
    model = Open(rate=200.0, arrivals="constant")
    load_test_harness.run(toy.answer, name="answers", model=model, duration=0.2, warm_up=0.0)
""",
}


def test_figures_of_load_are_rows(
    tmp_path: Path,
    run_command: Callable[..., subprocess.CompletedProcess[str]],
    new_repository: Callable[[Path, Mapping[str, str]], None],
) -> None:
    """An answer that takes eight times as long: the median of the load shows it.

    In the seconds that a test may take there are launch pairs enough to see it, not to decide it.
    """
    project = tmp_path / "project"
    new_repository(project, FILES)
    (project / "toy.py").write_text(FILES["toy.py"].replace("0.001", "0.008"), encoding="utf-8")
    done = run_command(project, *CHECK, "--output", "json:check.json", "--budget", "8")
    record = json.loads((project / "check.json").read_text("utf-8"))
    rows = {row["row"]["quantity"]: row for row in record["comparisons"]}
    median = rows["answers.latency_s_p50"]
    assert median["values"], done.stdout
    assert all(pair["candidate"] > 3.0 * pair["base"] for pair in median["values"])
    assert median["direction"] == rows["answers.error_rate"]["direction"] == "lower"
    assert rows["answers.throughput_per_s"]["direction"] == "higher"
    assert "answers.latency_s_p95" not in rows  # 40 samples are too few
    assert all(row["outcome"] not in {"broken", "skipped"} for row in rows.values()), done.stdout
