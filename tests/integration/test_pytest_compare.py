"""`--groundspeed-compare` in real runs of pytest, each on a project of its own.

What the tests of these projects time is counted by a clock of their own, which their work moves: so
every duration is exact, and the same on every machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

# By name, whether or not the distribution that is installed here has the entry point yet.
LOADED = ("-p", "no:groundspeed", "-p", "groundspeed.plugins.pytest_plugin")
BENCHMARK = ("-p", "pytest_benchmark.plugin", "--benchmark-quiet")

CLOCK = """\
import os, pytest

def pytest_benchmark_generate_machine_info():
    # pytest-benchmark's own way to name a machine; to look at the processor takes it seconds.
    return {"system": "Linux", "python_version": "3.13.1", "cpu": {"brand_raw": "A", "count": 2}}

NOW = [0.0]

def clock():
    NOW[0] += 1e-7  # its precision, which pytest-benchmark looks for
    return NOW[0]

@pytest.fixture
def work():
    # The same steps in every run, a little off from one to the next: as rounds are.
    steps = iter(range(10 ** 9))
    run = float(os.environ.get("RUN", "1"))
    def spend(seconds):
        NOW[0] += seconds * run * (1 + 0.002 * (next(steps) % 5))
    return spend
"""

TESTS = """\
import os
import pytest
from conftest import clock

pytestmark = pytest.mark.benchmark(timer=clock, max_time=1.0, min_time=0.001)
FACTOR = float(os.environ.get("FACTOR", "1"))

def test_changed(benchmark, work): benchmark(work, 0.01 * FACTOR)
def test_same(benchmark, work): benchmark(work, 0.02)
def test_third(benchmark, work): benchmark(work, 0.03)
def test_plain(): pass
"""

SCENARIO = """\
import os
import pytest
from conftest import clock

FACTOR = float(os.environ.get("FACTOR", "1"))

@pytest.mark.benchmark(timer=clock)
@pytest.mark.groundspeed(scenario=True, metrics={"latency_s_p99": "lower", "served": "higher"})
def test_load(benchmark):
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info.update(
        latency_s_p99=0.012 * FACTOR,
        served=900.0,
        noise=FACTOR,
        figures={"latency_s_p99": {"low": 0.0118 * FACTOR, "high": 0.0122 * FACTOR, "unit": "s"}},
        setting={"users": int(os.environ.get("USERS", "10"))},
    )
"""


class Project:
    """A git repository with tests, and runs of pytest in it."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.write({".gitignore": ".benchmarks\n__pycache__\n*.xml\n", **files})

    def write(self, files: Mapping[str, str]) -> None:
        """Make or replace files."""
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """What git writes."""
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """A commit of everything there is; its hash."""
        if not (self.folder / ".git").exists():
            self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def pytest(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A run of pytest in these variables of the environment."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        alone = {"COLUMNS": "200", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            [sys.executable, "-m", "pytest", *LOADED, *BENCHMARK, *arguments],
            cwd=self.folder,
            env={**inherited, **alone, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def store(self, runs: Sequence[float] = (1.0, 1.01, 0.99)) -> None:
        """Store runs that differ by these factors from one another."""
        for run in runs:
            done = self.pytest("-q", "--benchmark-save=base", RUN=str(run))
            assert done.returncode == 0, done.stdout + done.stderr

    @property
    def stored(self) -> list[Path]:
        """The files that pytest-benchmark keeps."""
        return sorted((self.folder / ".benchmarks").glob("*/*.json"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with three stored runs of its first commit, and a second commit."""
    folder = tmp_path_factory.mktemp("shared") / "project"
    project = Project(folder, {"conftest.py": CLOCK, "test_it.py": TESTS})
    project.commit("first")
    project.git("tag", "v1")
    project.store()
    project.commit("second")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the test's own, with nothing stored."""
    return Project(tmp_path / "own", {"conftest.py": CLOCK, "test_it.py": TESTS})


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All that a run wrote, which is never a traceback of groundspeed's."""
    text = done.stdout + done.stderr
    assert "INTERNALERROR" not in text, text
    assert "src/groundspeed" not in text, text
    return text


def table(text: str) -> list[str]:
    """The lines of the summary's table, without its headings."""
    _, _, after = text.partition("verdict ")
    lines = after.partition("compared:")[0].splitlines()[1:]
    return [line for line in lines if "x]" in line]


def test_identical_code_does_not_fail(shared: Project) -> None:
    """Every test is listed with its ratio, its interval and a verdict."""
    done = shared.pytest("--groundspeed-compare")
    text = said(done)
    assert done.returncode == 0, text
    assert "groundspeed: comparing with 0003 of commit" in text
    assert "(3 runs)" in text
    assert len(table(text)) == 3
    assert "slower " not in "".join(line for line in table(text) if line.startswith("slower"))


def test_a_slower_test_fails_alone_and_says_why(shared: Project) -> None:
    """Ratio, interval, what is allowed, both medians, and the command that measures closer."""
    done = shared.pytest("--groundspeed-compare", "--junit-xml=out.xml", FACTOR="2")
    text = said(done)
    sha = shared.git("rev-parse", "--short=7", "v1")
    assert done.returncode == 1, text
    assert "1 failed, 3 passed" in text
    assert f"slower than 0003 of commit {sha} (3 runs): time 2.00x [" in text
    assert "allowed 1.10x; base median 10.0 ms, now 20.1 ms" in text
    assert rf"groundspeed check {sha} --suite pytest -b 'test_it\.py::test_changed'" in text
    assert table(text)[0].startswith("slower")
    assert table(text)[0].endswith("test_it.py::test_changed")


def test_junit_says_so(shared: Project) -> None:
    """The failure is that of the one test case, with the whole message."""
    shared.pytest("--groundspeed-compare", "--junit-xml=cases.xml", FACTOR="2")
    cases = ET.parse(shared.folder / "cases.xml").getroot().iter("testcase")  # noqa: S314 - ours
    failures = {case.get("name"): case.find("failure") for case in cases}
    assert {name for name, failure in failures.items() if failure is not None} == {"test_changed"}
    failure = failures["test_changed"]
    assert failure is not None
    assert "slower than 0003 of commit" in str(failure.get("message"))
    assert "time 2.00x [" in str(failure.text)


@pytest.mark.parametrize("reference", ["0003", "v1", "HEAD~1", "short", "file", "0001_"])
def test_a_run_is_named_in_many_ways(shared: Project, reference: str) -> None:
    """A number, a prefix, a tag, what git calls a commit, a part of its hash, a file."""
    names = {"short": shared.git("rev-parse", "v1")[:10], "file": str(shared.stored[0])}
    done = shared.pytest(f"--groundspeed-compare={names.get(reference, reference)}", FACTOR="2")
    assert done.returncode == 1, said(done)
    runs = "(1 run)" if reference == "file" else "(3 runs)"
    assert runs in said(done)


def test_the_newest_run_of_another_commit_is_compared_with(project: Project) -> None:
    """Runs of the present commit are passed over; without others they are what there is."""
    project.commit("first")
    project.store([1.0, 1.01])
    assert "comparing with 0002" in said(project.pytest("--groundspeed-compare"))
    project.commit("second")
    project.store([1.0])
    assert "comparing with 0002" in said(project.pytest("--groundspeed-compare"))


def test_uncommitted_changes_are_another_state(project: Project) -> None:
    """An edit is compared with the commit it stands on, not with an earlier edit."""
    project.commit("first")
    project.store([1.0])
    project.write({"test_it.py": f"{TESTS}\n"})
    project.store([1.0])
    text = said(project.pytest("--groundspeed-compare"))
    assert "comparing with 0001 of commit" in text
    assert "with changes" not in text


def test_without_version_control_the_newest_run_counts_alone(project: Project) -> None:
    """Nobody knows whether the others are of the same code; named together they count together."""
    project.store([1.0, 1.01])
    parent = {"GIT_CEILING_DIRECTORIES": str(project.folder.parent)}
    alone = said(project.pytest("--groundspeed-compare", **parent))
    assert "comparing with 0002 of no known commit (1 run)" in alone
    both = said(project.pytest("--groundspeed-compare=000", **parent))
    assert "comparing with 0002 of no known commit (2 runs)" in both


def test_a_figure_of_a_scenario_fails_it(project: Project) -> None:
    """What the marker names is compared with its own direction, and nothing else."""
    project.write({"test_it.py": SCENARIO})
    project.commit("first")
    project.store([1.0, 1.0, 1.0])
    project.commit("second")
    done = project.pytest("--groundspeed-compare", FACTOR="3")
    text = said(done)
    assert done.returncode == 1, text
    assert "latency_s_p99 3.00x [" in text
    assert "allowed 1.20x; base 12.0 ms, now 36.0 ms" in text
    assert len(table(text)) == 2
    assert "test_load served" in text
    assert "test_load noise" not in text


def test_another_setting_is_shown_and_not_judged(project: Project) -> None:
    """Ten times the users are no slower code."""
    project.write({"test_it.py": SCENARIO})
    project.commit("first")
    project.store([1.0])
    done = project.pytest("--groundspeed-compare", FACTOR="9", USERS="100")
    assert done.returncode == 0, said(done)
    assert "another setting: users was 10, is 100" in said(done)


def test_runs_of_another_machine_are_shown_and_never_fail(project: Project) -> None:
    """The ratio is there, the verdict is not, and the reason names what differs."""
    project.commit("first")
    project.store([1.0])
    (path,) = project.stored
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["machine_info"]["cpu"]["brand_raw"] = "Another Processor"
    path.write_text(json.dumps(stored), encoding="utf-8")
    done = project.pytest("--groundspeed-compare", FACTOR="50")
    text = said(done)
    assert done.returncode == 0, text
    assert "stored on another machine: cpu brand_raw Another Processor there" in text
    assert any("50.0" in line and line.startswith("not judged") for line in table(text))


def test_a_marker_says_what_is_allowed(project: Project) -> None:
    """Its smallest effect holds whatever the option says; an ignored test is only listed."""
    marks = {
        "test_changed": '@pytest.mark.groundspeed(min_effect="95%")',
        "test_same": '@pytest.mark.groundspeed(ignore=True, reason="known", until="2999-01-01")',
    }
    text = TESTS.replace("benchmark(work, 0.02)", "benchmark(work, 0.02 * FACTOR)")
    for name, mark in marks.items():
        text = text.replace(f"def {name}", f"{mark}\ndef {name}")
    project.write({"test_it.py": text})
    project.commit("first")
    project.store()
    project.commit("second")
    done = project.pytest("--groundspeed-compare", "--groundspeed-min-effect=2%", FACTOR="1.9")
    assert done.returncode == 0, said(done)
    assert "1.95x" in said(done)
    assert "(known)" in said(done)


def test_an_option_says_what_is_allowed(shared: Project) -> None:
    """The same slowdown fails or not."""
    done = shared.pytest("--groundspeed-compare", "--groundspeed-min-effect=99%", FACTOR="1.9")
    assert done.returncode == 0, said(done)
    assert "1.99x" in said(done)


def test_a_failing_test_keeps_its_own_failure(project: Project) -> None:
    """And is told as not compared."""
    text = f"{TESTS}\ndef test_wrong(benchmark, work):\n    benchmark(work, 0.01 * FACTOR)\n"
    project.write({"test_it.py": f"{text}    assert FACTOR == 1, 'its own'\n"})
    project.commit("first")
    project.store([1.0])
    done = project.pytest("--groundspeed-compare", "-k", "wrong", FACTOR="50")
    assert done.returncode == 1
    assert "AssertionError: its own" in said(done)
    assert "slower than" not in said(done)
    assert "not compared, for they failed" in said(done)


def test_a_new_test_has_no_baseline(shared: Project) -> None:
    """It is listed and does not fail."""
    new = "from conftest import clock\nimport pytest\n@pytest.mark.benchmark(timer=clock)\n"
    path = shared.folder / "test_new.py"
    path.write_text(f"{new}def test_new(benchmark, work): benchmark(work, 1.0)\n", "utf-8")
    done = shared.pytest("--groundspeed-compare=", "test_new.py")
    path.unlink()
    assert done.returncode == 0
    assert "no baseline: 1\n  test_new.py::test_new" in said(done)
    assert "nothing was compared" in said(done)


def test_pytests_own_options_hold(project: Project) -> None:
    """The first failure ends a run with -x; --lf runs it again; -k leaves others out."""
    project.commit("first")
    project.store()
    first = project.pytest("--groundspeed-compare=0003", "-x", FACTOR="3")
    assert "1 failed in" in said(first)
    again = project.pytest("--groundspeed-compare=0003", "--lf", FACTOR="3")
    assert "1 failed in" in said(again)
    others = project.pytest("--groundspeed-compare=0003", "-k", "not changed", FACTOR="3")
    assert others.returncode == 0
    assert "2 compared" in said(others)


def test_an_expected_failure_stays_one(project: Project) -> None:
    """A test that is marked xfail may be slower."""
    text = TESTS.replace("def test_changed", "@pytest.mark.xfail(strict=False)\ndef test_changed")
    project.write({"test_it.py": text})
    project.commit("first")
    project.store()
    done = project.pytest("--groundspeed-compare=0003", FACTOR="3")
    assert done.returncode == 0
    assert "1 xfailed" in said(done)


def test_the_machines_own_pace_is_stored_beside_each_benchmark(project: Project) -> None:
    """By the clock of the test: one that real work does not move sees no time pass."""
    real = "def test_real(benchmark): benchmark.pedantic(sum, args=([1],), rounds=3)\n"
    project.write({"test_real.py": real})
    project.commit("first")
    project.store([1.0])
    (path,) = project.stored
    stored = json.loads(path.read_text("utf-8"))["benchmarks"]
    kept = {bench["name"]: bench.get("groundspeed") for bench in stored}
    assert kept["test_changed"]["reference_s"] == pytest.approx([1e-7, 1e-7])
    assert all(0 < seconds < 10 for seconds in kept["test_real"]["reference_s"])
    done = project.pytest("--groundspeed-compare=0001", "test_real.py")
    assert "1 compared" in said(done)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--groundspeed-compare=9999"], "neither a run in"),
        (["--groundspeed-compare=-x"], "neither a run in"),
        (["--groundspeed-compare=a/b/c"], "neither a run in"),
        (["--groundspeed-compare=HEAD"], "is stored in"),
        (["--groundspeed-compare", "test_it.py"], "this is a test path"),
        (["--groundspeed-compare", "--benchmark-disable"], "--benchmark-enable"),
        (["--groundspeed-compare", "--benchmark-skip"], "leave one of them out"),
        (["--groundspeed-compare", "--groundspeed-min-effect=2x"], "got '2x', needed a share"),
    ],
)
def test_bad_input_ends_with_what_is_needed(
    shared: Project, arguments: list[str], text: str
) -> None:
    """Exit code 4, before a test runs."""
    done = shared.pytest(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, said(done)
    assert text in said(done)


def test_without_pytest_benchmark_it_says_how_to_install_it(project: Project) -> None:
    """There is nothing to compare."""
    command = [sys.executable, "-m", "pytest", *LOADED, "-p", "no:benchmark"]
    done = subprocess.run(
        [*command, "--groundspeed-compare"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, said(done)
    assert "pip install pytest-benchmark" in said(done)


def test_nothing_stored_says_how_to_store(project: Project) -> None:
    """It is an error of usage: a comparison with nothing would pass in silence."""
    done = project.pytest("--groundspeed-compare")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest --benchmark-autosave" in said(done)


@pytest.mark.parametrize("text", ["{", "[]", '{"benchmarks": 3}', "\xff"])
def test_a_broken_file_is_named(project: Project, text: str) -> None:
    """Whatever is in it."""
    project.commit("first")
    project.store([1.0])
    project.stored[0].write_text(text, encoding="latin-1")
    for reference in ("", str(project.stored[0])):
        done = project.pytest(f"--groundspeed-compare={reference}")
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert "is no run that pytest-benchmark stored" in said(done)


def test_tests_spread_by_xdist_are_refused(project: Project) -> None:
    """pytest-benchmark turns itself off there, so nothing could be compared."""
    option = "def pytest_addoption(parser): parser.addoption('--dist', default='load')\n"
    project.write({"conftest.py": f"{CLOCK}\n{option}"})
    done = project.pytest("--groundspeed-compare")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "add -n 0" in said(done)


def test_git_is_not_needed_for_a_number(project: Project, tmp_path: Path) -> None:
    """Without the program commits are not known by name, and the message says what there is."""
    project.commit("first")
    project.store([1.0])
    nowhere = {"PATH": str(tmp_path)}
    assert project.pytest("--groundspeed-compare=0001", **nowhere).returncode == 0
    done = project.pytest("--groundspeed-compare=main", **nowhere)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "neither a run in" in said(done)


def test_nothing_changes_without_the_option(project: Project) -> None:
    """No line, no verdict."""
    project.commit("first")
    project.store([1.0])
    assert "groundspeed:" not in said(project.pytest(FACTOR="50"))
