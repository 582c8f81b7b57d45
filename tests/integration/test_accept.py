"""Rules, acceptances and notes on a toy project, so coarsely that no noise can decide."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GROUNDSPEED = [sys.executable, "-m", "groundspeed.cli"]
LABEL = "core.time_work"

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "toy"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["src/toy"]
[tool.groundspeed]
min-effect = "20%"
"""
SOURCE = "def work():\n    for _ in range({units}):\n        pass\n"
RULES = """
[[tool.groundspeed.rules]]
match = "time_work$"
ignore = true
reason = "its price is known"
until = 2999-12-31
[[tool.groundspeed.rules]]
match = "time_gone"
min-effect = 0.3
"""


class Project:
    """A toy project in a git repository, and groundspeed run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "benchmarks").mkdir(parents=True)
        (root / "src" / "toy").mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "asv.conf.json").write_text('{"version": 1, "project": "toy", "repo": "."}')
        (root / "benchmarks" / "core.py").write_text(
            "import toy\n\ndef time_work():\n    toy.work()\n"
        )
        self.commit(1000)

    def git(self, *arguments: str) -> str:
        """Run git with an identity of its own; what it says."""
        identity = ["-c", "user.name=Toy", "-c", "user.email=toy@example.invalid"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def work(self, units: int) -> None:
        """Let the working tree do so many units of work."""
        (self.root / "src" / "toy" / "__init__.py").write_text(SOURCE.format(units=units))

    def commit(self, units: int) -> str:
        """Commit everything, with so many units of work; the commit."""
        self.work(units)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"{units} units")
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run groundspeed to its end."""
        return subprocess.run(
            [*GROUNDSPEED, *arguments],
            cwd=self.root,
            env=os.environ
            | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p benchmark"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def judged(self, *arguments: str) -> tuple[int, str, dict[str, Any]]:
        """Check: the exit code, the report and the record."""
        path = self.root.parent / "record.json"
        done = self.run("check", *arguments, "--output", f"json:{path}")
        assert path.exists(), done.stderr
        return done.returncode, done.stdout, json.loads(path.read_text("utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One commit of 1000 units of work; its min-effect is 20 %."""
    return Project(tmp_path / "toy")


def test_an_accepted_slowdown_warns_until_it_grows_or_is_in_base(project: Project) -> None:
    """Block, accept, warn; slower still blocks again, and so does more of it on top."""
    base = project.git("rev-parse", "HEAD")
    accepted = project.commit(1500)
    assert project.judged(base)[0] == 1

    done = project.run("accept", LABEL, "--reason", "the answer is right now")
    assert (done.returncode, done.stderr) == (0, "")
    code, report, record = project.judged(base)
    assert (code, record["verdict"]) == (0, "warn"), report
    assert record["slower"] == [LABEL]
    assert not record["candidate"]["dirty"]
    assert record["comparisons"][0]["accepted"]["candidate"] == accepted
    assert [entry["state"] for entry in record["accepted"]] == ["in force"]
    assert "the answer is right now" in report

    project.commit(4000)
    code, _, record = project.judged(base)
    assert (code, record["verdict"]) == (1, "block")
    assert [entry["state"] for entry in record["accepted"]] == ["in force"]
    assert record["comparisons"][0]["accepted"] is None

    code, report, record = project.judged(accepted)
    assert (code, record["verdict"]) == (1, "block")
    assert [entry["state"] for entry in record["accepted"]] == ["spent"]
    assert f"spent  {LABEL}" in report


def test_an_ignored_row_is_shown_and_does_not_block(project: Project) -> None:
    """Slower as ever, with the reason; the project's default and a rule without rows are told."""
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(RULES)
    project.work(3000)
    code, report, record = project.judged("HEAD")
    assert (code, record["verdict"]) == (0, "warn"), report
    assert record["slower"] == [LABEL]
    assert record["settings"]["min_effect"] == 0.2
    assert record["comparisons"][0]["ignored"] == {
        "reason": "its price is known",
        "until": "2999-12-31",
    }
    assert "ignored until 2999-12-31: its price is known" in report
    assert "the rule for 'time_gone' matches no row of the suite" in report


def test_a_value_of_which_more_is_better_is_worse_when_it_falls(project: Project) -> None:
    """By a rule; the ratio is above 1 for the worse, and that can be accepted like a slowdown."""
    label, rules = "values.track_rate", project.root / "pyproject.toml"
    with rules.open("a") as file:
        file.write('[[tool.groundspeed.rules]]\nmatch = "track_rate"\ndirection = "higher"\n')
        file.write('[[tool.groundspeed.rules]]\nmatch = "time_work"\nmetric = "cpu"\n')
    (project.root / "benchmarks" / "values.py").write_text(
        "import toy\n\ndef track_rate():\n    return toy.RATE\n\ntrack_rate.unit = 'per s'\n"
    )
    core = project.root / "src" / "toy" / "__init__.py"
    for rate in (900, 400):
        project.work(1000)
        core.write_text(f"{core.read_text()}RATE = {rate}\n")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", f"{rate} per s")
    code, report, record = project.judged("HEAD~1")
    by_label = {c["row"]["name"]: c for c in record["comparisons"]}
    assert (code, record["slower"]) == (1, [label]), report
    assert (by_label[label]["direction"], by_label[label]["unit"]) == ("higher", "per s")
    assert by_label[label]["ratio"] == pytest.approx(900 / 400)
    assert by_label[LABEL]["metric"] == "cpu"
    assert project.run("accept", label, "--reason", "fewer and better").returncode == 0
    assert project.judged("HEAD~1")[0] == 0


NOTED = """
class Short:
    number = 1

    def setup(self):
        self.kept = []

    def time_short(self):
        self.kept.append(1)


class Growing:
    def setup(self):
        self.kept = []

    def time_growing(self):
        self.kept.extend(range(100))
        sum(self.kept)


def track_nothing():
    return toy.work() or 0
"""


def test_what_a_number_may_not_be_is_noted(project: Project) -> None:
    """Under the row and in the record, of unchanged rows too; the plain row has none."""
    with (project.root / "benchmarks" / "core.py").open("a") as file:
        file.write(NOTED)
    (project.root / "src" / "toy" / "__init__.py").write_text("def work():\n    return 7\n")
    _, report, record = project.judged("HEAD", "--min-effect", "30%", "--budget", "60")
    notes = {c["row"]["name"].rpartition("_")[2]: c["notes"] for c in record["comparisons"]}
    assert [len(notes[name]) for name in ("short", "growing", "nothing")] == [1, 1, 1], notes
    assert "reading the clocks" in notes["short"][0]
    assert "it changes its own work between calls" in notes["growing"][0]
    assert "base gives 0 in 8 of 8 launch pairs" in notes["nothing"][0]
    assert "reading the clocks" in report
    assert "worse  " in report


SCENARIO = """
import pytest
import toy


@pytest.mark.groundspeed(scenario=True, direction="higher", metrics={"depth": "lower"})
def test_day(benchmark):
    benchmark.pedantic(toy.work)
    benchmark.extra_info.update(rate=toy.RATE, depth=3)
    if toy.RATE > 500:
        benchmark.extra_info["odd"] = 7


@pytest.mark.groundspeed(ignore=True, reason="known", until="2999-12-31", metric="cpu")
def test_work(benchmark):
    benchmark(toy.work)
"""


def test_markers_say_what_rules_do(project: Project) -> None:
    """Which way is better, what is ignored; what one side does not record ends no check."""
    tests = project.root / "tests"
    tests.mkdir()
    (tests / "test_toy.py").write_text(SCENARIO)
    core = project.root / "src" / "toy" / "__init__.py"
    core.write_text(f"{SOURCE.format(units=300_000)}RATE = 900\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "rate")
    core.write_text(core.read_text().replace("900", "400"))
    code, report, record = project.judged("HEAD", "--suite", "pytest", "--min-effect", "90%")
    day = "tests/test_toy.py::test_day"
    rows = {(c["row"]["name"], c["row"]["quantity"]): c for c in record["comparisons"]}
    assert (code, record["slower"]) == (1, [f"{day} rate"]), report
    assert rows[day, "rate"]["direction"] == "higher"
    assert rows[day, "depth"]["direction"] == rows[day, "time_s"]["direction"] == "lower"
    assert rows["tests/test_toy.py::test_work", ""]["ignored"]["reason"] == "known"
    assert rows["tests/test_toy.py::test_work", ""]["metric"] == "cpu"
    assert rows[day, "odd"]["outcome"] == "skipped"
    (warning,) = [w for w in record["warnings"] if w.startswith(f"{day} odd: ")]
    assert warning.endswith("is not recorded in every run of both sides; not compared")


def test_a_rule_and_an_option_give_the_minimum_effect(project: Project) -> None:
    """What is typed wins over the default and not over the rule of a row."""
    with (project.root / "pyproject.toml").open("a") as file:
        file.write('[[tool.groundspeed.rules]]\nmatch = "time_work"\nmin-effect = 0.9\n')
    project.work(1500)
    code, report, record = project.judged("HEAD", "--min-effect", "10%")
    assert code != 1, report
    assert record["settings"]["min_effect"] == 0.1
    assert record["comparisons"][0]["min_effect"] == 0.9


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("pyproject.toml", "[tool.groundspeed]\nmin-efect = 1", "did you mean min-effect?"),
        ("pyproject.toml", "[tool.groundspeed", "is not valid TOML"),
        ("results/accepted.toml", "[[accepted]]", "accepted, number 1: ratio-high is missing"),
    ],
)
def test_a_mistake_in_a_file_is_said_before_anything_is_measured(
    project: Project, name: str, text: str, complaint: str
) -> None:
    """Exit 2 and one message that names the file."""
    path = project.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    done = project.run("check", "HEAD")
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert path.name in done.stderr
    assert "Traceback" not in done.stderr
