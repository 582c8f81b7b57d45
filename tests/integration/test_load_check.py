"""`groundspeed check --suite pytest` on a test that runs load, as a user meets it."""

import json
import os
import subprocess
import sys
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


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A program in a folder, with an author for git and a cache of its own."""
    identity = {
        f"GIT_{who}_{what}": "toy@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    environment = inherited | identity | {"XDG_CACHE_HOME": str(folder.parent / "cache")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_figures_of_load_are_rows(tmp_path: Path) -> None:
    """An answer that takes eight times as long: the median of the load shows it.

    In the seconds that a test may take there are launch pairs enough to see it, not to decide it.
    """
    project = tmp_path / "project"
    project.mkdir()
    for name, text in FILES.items():
        (project / name).write_text(text, encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "first"]):
        assert run(project, "git", *command).returncode == 0
    (project / "toy.py").write_text(FILES["toy.py"].replace("0.001", "0.008"), encoding="utf-8")
    done = run(project, *CHECK, "--output", "json:check.json", "--budget", "8")
    record = json.loads((project / "check.json").read_text("utf-8"))
    rows = {row["row"]["quantity"]: row for row in record["comparisons"]}
    median = rows["answers.latency_s_p50"]
    assert median["values"], done.stdout
    assert all(pair["candidate"] > 3.0 * pair["base"] for pair in median["values"])
    assert median["direction"] == rows["answers.error_rate"]["direction"] == "lower"
    assert rows["answers.throughput_per_s"]["direction"] == "higher"
    assert "answers.latency_s_p95" not in rows  # 40 samples are too few
    assert all(row["outcome"] not in {"broken", "skipped"} for row in rows.values()), done.stdout
