"""What pytest says, keeps and ends with where tests are held to service levels."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import pytest

LEVELS = """\
[[level]]
title = "Calls"
metric = "calls_count"
target = 2
critical = 4
tests = ["test_it.py::*"]
"""

CONFTEST = """\
from pathlib import Path

import pytest

from groundspeed.load.level_table import read_levels
from groundspeed.plugins.measured_fixture import measured

@pytest.fixture
def service_levels():
    return read_levels(Path(__file__).with_name("levels.toml"))
"""

TESTS = """\
import pytest

from groundspeed.load import Figure

def test_met(measured):
    measured.times(int, rounds=3)
    measured.count("calls_count", 1)
    measured.judge()

def test_missed(measured):
    measured.times(int, rounds=3)
    measured.count("calls_count", 3)
    measured.judge()

def test_wide(measured):
    measured.times(int, rounds=3)
    measured.keep(Figure(metric="calls_count", value=2.0, low=1.0, high=5.0))
    measured.judge()

def test_critical(measured):
    measured.times(int, rounds=3)
    measured.count("calls_count", 9)
    measured.judge()

def test_wrong(measured):
    measured.times(int, rounds=3)
    assert 1 + 1 == 3

def test_not_judged(measured):
    measured.times(int, rounds=3)

def test_nothing_there(measured):
    pytest.skip("no server")

@pytest.fixture
def leaving_a_mess(measured):
    yield
    pytest.fail("a mess", pytrace=False)

def test_messy(measured, leaving_a_mess):
    measured.times(int, rounds=3)
    measured.count("calls_count", 1)
    measured.judge()
"""

WIDE = (
    "Calls is undecided at 2 (1 to 5), needed < 2, at worst 4: the target and the critical value"
    " lies within the interval; measure longer"
)
SOUND = ("test_met", "test_missed", "test_wide")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run of pytest ended, what it said, and what it left."""

    code: int
    text: str
    cases: dict[str, ET.Element]
    rows: dict[str, dict[str, Any]]

    def words(self) -> dict[str, list[str]]:
        """What the verbose lines say of each test."""
        found: dict[str, list[str]] = {}
        for name, word in re.findall(r"^test_it\.py::(\w+) ([A-Z]+)", self.text, re.MULTILINE):
            found.setdefault(name, []).append(word)
        return found

    def section(self) -> list[str]:
        """The lines under `service levels`."""
        text = re.split(r"^=+ service levels =+\n", self.text, flags=re.MULTILINE)[1]
        lines = text.partition("\n==")[0].splitlines()
        return [line for line in lines if re.match(r"[A-Z]+ test_it\.py::", line)]

    def properties(self, name: str) -> dict[str, str]:
        """Of a test in JUnit's file."""
        found = self.cases[name].iterfind("properties/property")
        return {each.attrib["name"]: each.attrib["value"] for each in found}


RunIt = Callable[..., Run]
# By name, whether or not the distribution that is installed here has the entry point yet.
PLUGIN = ("-p", "no:groundspeed", "-p", "groundspeed.plugins.pytest_plugin")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunIt:
    """Runs the tests of a name, all without one, with more arguments."""

    def started(
        *names: str,
        levels: str = LEVELS,
        arguments: tuple[str, ...] = (),
        plugin: tuple[str, ...] = PLUGIN,
    ) -> Run:
        folder = tmp_path_factory.mktemp("judged")
        for name, text in {
            "levels.toml": levels,
            "conftest.py": CONFTEST,
            "test_it.py": TESTS,
            "pytest.ini": "[pytest]\n",
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "benchmark", *plugin, "-v"),
                *("-p", "no:cacheprovider", "--junit-xml=junit.xml", "--benchmark-json=kept.json"),
                *(*arguments, *(f"test_it.py::{name}" for name in names)),
            ],
            cwd=folder,
            env=inherited | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        xml, kept = folder / "junit.xml", folder / "kept.json"
        cases = ET.parse(xml).iter("testcase") if xml.exists() else ()  # noqa: S314 - ours
        rows = json.loads(kept.read_text("utf-8"))["benchmarks"] if kept.exists() else []
        return Run(
            code=done.returncode,
            text=done.stdout + done.stderr,
            cases={case.attrib["name"]: case for case in cases},
            rows={row["name"]: row for row in rows},
        )

    return started


@pytest.fixture(scope="module")
def whole(run: RunIt) -> Run:
    """All of them, as by default."""
    return run()


def test_each_test_has_its_word(whole: Run) -> None:
    """Warned and undecided beside pytest's own; one that was not judged is undecided."""
    assert whole.words() == {
        "test_met": ["PASSED"],
        "test_missed": ["WARNED"],
        "test_wide": ["UNDECIDED"],
        "test_critical": ["FAILED"],
        "test_wrong": ["FAILED"],
        "test_not_judged": ["UNDECIDED"],
        "test_nothing_there": ["SKIPPED"],
        "test_messy": ["PASSED", "ERROR"],
    }
    parts = {"2 failed", "2 passed", "1 skipped", "1 warned", "2 undecided", "1 error"}
    [last] = re.findall(r"^=+ (.*) in [\d.]+s =+$", whole.text, re.MULTILINE)
    assert set(last.split(", ")) == parts
    assert whole.code == pytest.ExitCode.TESTS_FAILED


def test_the_last_section_says_why(whole: Run) -> None:
    """What failed first, then what is undecided, then what is warned of; nothing else."""
    assert whole.section() == [
        "FAILED test_it.py::test_critical: Calls is critical at 9, needed < 2, at worst 4",
        "FAILED test_it.py::test_wrong: AssertionError: assert (1 + 1) == 3",
        "ERROR test_it.py::test_messy: Failed: a mess",
        f"UNDECIDED test_it.py::test_wide: {WIDE}",
        "UNDECIDED test_it.py::test_not_judged: it was not judged; end it by measured.judge()",
        "WARNED test_it.py::test_missed: Calls is missed at 3, needed < 2, at worst 4",
    ]


def test_junit_s_file_has_verdicts_and_reasons(whole: Run) -> None:
    """As properties; a failure and a skip have the reason as their message, too."""
    told = {name: whole.properties(name) for name in whole.cases}
    assert {name: found.get("verdict") for name, found in told.items()} == {
        "test_met": "passed",
        "test_missed": "warned",
        "test_wide": "undecided",
        "test_critical": "failed",
        "test_wrong": "failed",
        "test_not_judged": "undecided",
        "test_nothing_there": None,
        "test_messy": "failed",
    }
    assert told["test_missed"]["reason"] == "Calls is missed at 3, needed < 2, at worst 4"
    assert "reason" not in told["test_met"]
    failure = whole.cases["test_critical"].find("failure")
    assert failure is not None
    assert "Calls is critical at 9, needed < 2, at worst 4" in failure.attrib["message"]
    skipped = whole.cases["test_wide"].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == f"undecided: {WIDE}"
    assert whole.cases["test_missed"].find("skipped") is None


def test_the_benchmarks_kept_have_verdict_reason_and_levels(whole: Run) -> None:
    """Of each test that timed something, whatever came of it."""
    kept = {name: row["extra_info"] for name, row in whole.rows.items()}
    assert {name: info["verdict"] for name, info in kept.items()} == {
        "test_met": "passed",
        "test_missed": "warned",
        "test_wide": "undecided",
        "test_critical": "failed",
        "test_wrong": "failed",
        "test_not_judged": "undecided",
        "test_messy": "failed",
    }
    assert kept["test_met"]["reason"] == ""
    assert kept["test_messy"]["reason"] == "Failed: a mess"
    [level] = kept["test_critical"]["levels"]
    assert (level["title"], level["standing"], level["value"]) == ("Calls", "critical", 9)
    assert kept["test_critical"]["calls_count"] == 9
    assert whole.rows["test_met"]["stats"]["rounds"] == 3


@pytest.mark.parametrize(
    ("mode", "names", "words", "code"),
    [
        ("critical", SOUND, "PASSED WARNED UNDECIDED", 0),
        ("target", SOUND, "PASSED FAILED UNDECIDED", 1),
        ("target", ("test_met", "test_wide"), "PASSED UNDECIDED", 0),
        ("report", (*SOUND, "test_critical"), "PASSED WARNED UNDECIDED WARNED", 0),
        ("report", ("test_wrong",), "FAILED", 1),
    ],
)
def test_words_and_exit_code_follow_the_mode(
    run: RunIt, mode: str, names: tuple[str, ...], words: str, code: int
) -> None:
    """Undecided fails no run; in `report` no level does, and a wrong answer still does."""
    told = run(*names, arguments=(f"--sla={mode}",))
    assert told.words() == {name: [word] for name, word in zip(names, words.split(), strict=True)}
    assert told.code == code
    assert [told.properties(name)["verdict"].upper() for name in names] == words.split()


def test_another_mode_is_an_error_of_usage(run: RunIt) -> None:
    """With those that there are."""
    told = run(arguments=("--sla=strict",))
    assert told.code == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"invalid choice: 'strict' \(choose from '?report'?, '?target'?", told.text)


def test_a_wrong_table_is_told_by_its_place(run: RunIt) -> None:
    """The tests that need it err before they measure."""
    told = run("test_met", levels=LEVELS.replace("target", "tarjet"))
    assert told.words() == {"test_met": ["ERROR"]}
    assert "levels.toml, level 1: Object contains unknown field `tarjet`" in told.text


def test_with_timing_turned_off_the_tests_run_through(run: RunIt) -> None:
    """What needs no time is judged all the same."""
    told = run(*SOUND, arguments=("--benchmark-disable",))
    assert told.code == 0
    assert [*told.words().values()] == [["PASSED"], ["WARNED"], ["UNDECIDED"]]


def test_without_the_plugin_nothing_is_judged(run: RunIt) -> None:
    """Figures are kept as plain numbers, as `groundspeed check` wants them."""
    names = (*SOUND, "test_critical")
    told = run(*names, plugin=("-p", "no:groundspeed"))
    assert told.words() == {name: ["PASSED"] for name in names}
    assert (told.code, "service levels" in told.text) == (0, False)
    assert told.rows["test_critical"]["extra_info"] == {"calls_count": 9}
    assert told.properties("test_critical") == {}
