import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# By name, whether or not the distribution that is installed here has the entry point yet.
LOADED = ("-p", "benchmark", "-p", "no:groundspeed", "-p", "groundspeed.plugins.pytest_plugin")

TESTS = """\
import asyncio, functools
import pytest

async def work(): return 1

class Callable:
    async def __call__(self): return 1

def test_plain(benchmark): assert benchmark(sum, [1]) == 1

def test_run_to_its_end(benchmark): assert benchmark(lambda: asyncio.run(work())) == 1

def test_pedantic(benchmark): assert benchmark.pedantic(sum, args=([1],), rounds=2) == 1

@pytest.fixture
def mine(benchmark): return benchmark

def test_through_a_fixture(mine): mine(sum, [1])

def test_coroutine_function(benchmark): benchmark(work)

def test_partial(benchmark): benchmark(functools.partial(work))

def test_object(benchmark): benchmark(Callable())

def test_lambda(benchmark): benchmark(lambda: work())

def test_pedantic_coroutine(benchmark): benchmark.pedantic(work)

def test_coroutine_through_a_fixture(mine): mine(work)

@pytest.mark.groundspeed(scenario=True, metrics={"p99_s": "lower"})
def test_marked(): pass
"""

QUICK = "--benchmark-max-time=0.001"

RIGHT = {"test_plain", "test_run_to_its_end", "test_pedantic", "test_through_a_fixture"}
RIGHT |= {"test_marked"}


def run(
    folder: Path, files: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """A run of pytest with the plugin, strict about markers and settings."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *LOADED, "-p", "no:cacheprovider"),
            *("--strict-markers", "--strict-config", "-q"),
            *arguments,
        ],
        cwd=folder,
        env=inherited | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """How each of `TESTS` ended in an ordinary run, and what it said."""
    folder = tmp_path_factory.mktemp("ordinary")
    conftest = """\
import json, pytest
ENDINGS = {}
def pytest_runtest_logreport(report):
    if report.when == "call": ENDINGS[report.head_line] = (report.outcome, report.longreprtext)
def pytest_sessionfinish():
    with open("endings.json", "w") as file: json.dump(ENDINGS, file)
"""
    run(folder, {"test_it.py": TESTS, "conftest.py": conftest}, "-W", "ignore", QUICK)
    found: dict[str, tuple[str, str]] = json.loads((folder / "endings.json").read_text("utf-8"))
    return found


def test_what_measures_its_work_passes(endings: dict[str, tuple[str, str]]) -> None:
    """Nothing else about a benchmark changes."""
    assert {name for name, (outcome, _) in endings.items() if outcome == "passed"} == RIGHT


def test_what_would_time_the_making_of_a_coroutine_fails(
    endings: dict[str, tuple[str, str]],
) -> None:
    """Each of them, and the error says how it is done right."""
    failed = {name: text for name, (outcome, text) in endings.items() if outcome == "failed"}
    assert len(failed) == 6
    for text in failed.values():
        assert "CoroutineNotAwaitedError" in text
        assert "asyncio.run(" in text
        assert "groundspeed check --suite pytest" in text


def test_a_setting_lets_coroutines_be(tmp_path: Path) -> None:
    """Somebody may want to know what making one costs."""
    text = "async def work(): pass\ndef test_making(benchmark): benchmark(work).close()\n"
    files = {"test_it.py": text, "pytest.ini": "[pytest]\ngroundspeed_allow_coroutines = true\n"}
    done = run(tmp_path, files, "-W", "ignore", QUICK)
    assert done.returncode == 0, done.stdout


def test_other_benchmark_fixtures_are_left_alone(tmp_path: Path) -> None:
    """Without pytest-benchmark the name may be anybody's."""
    text = """\
import pytest
@pytest.fixture
def benchmark(): return lambda function: function()
async def work(): return 1
def test_it(benchmark): benchmark(work).close()
"""
    done = run(tmp_path, {"test_it.py": text}, "-p", "no:benchmark")
    assert done.returncode == 0, done.stdout


def test_a_wrong_marker_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """It is an error of usage that names the test, the mistake and what is allowed."""
    text = "import pytest\n@pytest.mark.groundspeed(scenari=True)\ndef test_it(): pass\n"
    done = run(tmp_path, {"test_it.py": text})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_it.py::test_it: groundspeed marker: got 'scenari'" in done.stderr + done.stdout
    assert "did you mean 'scenario'?" in done.stderr + done.stdout


def test_the_marker_is_listed(tmp_path: Path) -> None:
    """With its keywords."""
    done = run(tmp_path, {}, "--markers")
    assert "@pytest.mark.groundspeed(scenario, metrics," in done.stdout


def test_it_imports_next_to_nothing() -> None:
    """Every start of pytest of every user imports it."""
    script = (
        "import sys, pytest, _pytest.junitxml; before = set(sys.modules);"
        "import groundspeed.plugins.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "groundspeed",
        "groundspeed.errors",
        "groundspeed.measure",
        "groundspeed.measure.inside",
        "groundspeed.measure.inside.marker",
        "groundspeed.plugins",
        "groundspeed.plugins.load_fixture",
        "groundspeed.plugins.measured_fixture",
        "groundspeed.plugins.pytest_plugin",
        "groundspeed.plugins.verdicts",
    ]
