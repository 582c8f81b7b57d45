import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from groundspeed import __version__
from groundspeed.errors import UsageError
from groundspeed.load import Call, Closed, Http, Open, Operation, Scenario, Steady
from groundspeed.load.compare import Change
from groundspeed.load.figures import share
from groundspeed.load.selfchecking import Selfcheck, stalling_server
from groundspeed.load.service_levels import ServiceLevel, Standing
from groundspeed.measure.machine import CpuPlan, describe_machine
from groundspeed.plugins.load_harness import LoadRun, LoadTestHarness, ServiceLevelError

TESTS = """\
import asyncio

from groundspeed.load import Closed, Open

def work(): return sum(range(10))

async def wait(): await asyncio.sleep(0)

def test_load(load_test_harness):
    run = load_test_harness.run(
        work, name="1000_accounts_2_users", model=Closed(users=2, think=0.01), duration=0.4,
        accounts=1000, warm_up=0.0,
    )
    assert run.error_rate == 0.0
    load_test_harness.run(wait, name="again", model=Open(rate=50), duration=0.4, warm_up=0.0)

def test_async(load_test_harness):
    async def body():
        return await load_test_harness.arun(wait, model=Open(rate=50), duration=0.4, warm_up=0.0)
    assert asyncio.run(body()).result.recorded > 0

def test_own_timing(load_test_harness, benchmark):
    assert benchmark(work) == 45
    load_test_harness.run(work, model=Open(rate=50), duration=0.4, warm_up=0.0)
"""


PLUGINS = [
    *("-p", "benchmark", "-p", "no:cacheprovider", "-p", "no:groundspeed"),
    *("-p", "groundspeed.plugins.pytest_plugin"),
]


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest with the plugin on the tests above."""
    (folder / "test_loads.py").write_text(TESTS, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-s", *PLUGINS, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_results_are_in_what_pytest_benchmark_keeps(tmp_path: Path) -> None:
    """Every run's record, and what a check compares; saved runs can be compared by itself."""
    keep = ("--benchmark-json=out.json", "--benchmark-save=one", "--benchmark-max-time=0.01")
    done = pytest_run(tmp_path, *keep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Load Test Results: 1000_accounts_2_users\n" in done.stdout
    assert "  Accounts: 1000\n  Concurrent Users: 2\n" in done.stdout
    rows = {
        row["name"]: row for row in json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    }
    assert set(rows) == {"test_load", "test_async", "test_own_timing"}
    info = rows["test_load"]["extra_info"]
    assert [record["name"] for record in info["load"]] == ["1000_accounts_2_users", "again"]
    assert {"latency_s_p50", "throughput_per_s", "error_rate"} <= set(info["1000_accounts_2_users"])
    assert rows["test_load"]["stats"]["rounds"] == 1
    assert rows["test_own_timing"]["stats"]["max"] < 0.5  # the test's own timing, not the run's
    assert len(rows["test_own_timing"]["extra_info"]["load"]) == 1
    saved = json.loads(next(tmp_path.glob(".benchmarks/*/*one.json")).read_text("utf-8"))
    assert all(row["extra_info"]["load"] for row in saved["benchmarks"])
    again = pytest_run(tmp_path, "test_loads.py::test_async", "--benchmark-compare")
    assert again.returncode == 0, again.stdout + again.stderr


def test_it_works_without_pytest_benchmark(tmp_path: Path) -> None:
    """Where that is not installed, or turned off."""
    done = pytest_run(tmp_path, "-p", "no:benchmark", "test_loads.py::test_load")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Load Test Results: again\n" in done.stdout


@pytest.fixture(scope="module")
def harness() -> LoadTestHarness:
    """One that prints to nowhere."""
    return LoadTestHarness(stream=io.StringIO())


@pytest.fixture(scope="module")
def quick(harness: LoadTestHarness) -> LoadRun:
    """A second against a function that does nothing, 200 times."""
    return harness.run(int, model=Open(rate=200.0, arrivals="constant"), duration=1.0, warm_up=0.0)


def test_a_run_is_required_to_keep_levels(quick: LoadRun) -> None:
    """An invalid or undecided one fails too, and says so; a missed target only when strict."""
    errors = quick.require("error_rate < 0.05 / 0.5") if quick.result.valid else None
    assert errors is None or errors.reports[0].standing is Standing.MET
    with pytest.raises(ServiceLevelError, match=r"latency_s_p50 is (critical|undecided)"):
        quick.require("latency_s_p50 < 1e-12 / 1e-11")
    with pytest.raises(ServiceLevelError, match=r"p99.*needed at least 368"):
        quick.require("latency_s_p99 < 5 / 10")
    if quick.result.valid:
        missed = ServiceLevel(
            metric="hits", target=0.9, critical=0.1, better="higher", unit="share"
        )
        hits = share("hits", 500, 1000)
        assert quick.require(missed, beside=[hits]).reports[0].standing is Standing.MISSED
        with pytest.raises(ServiceLevelError, match=r"hits is missed 0\.5"):
            quick.require(missed, beside=[hits], strict=True)


def test_it_says_whether_the_generator_tells_the_truth_here(
    harness: LoadTestHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found out about this machine is remembered, and given again."""
    monkeypatch.setenv("GROUNDSPEED_STATE_DIR", os.fspath(tmp_path))
    fingerprint = describe_machine(CpuPlan()).fingerprint
    kept = Selfcheck(
        fingerprint=fingerprint, tool_version=__version__, requests_per_s=5e4, checks=()
    )
    path = tmp_path / "load" / f"{fingerprint}-{__version__}.json"
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(kept))
    assert harness.selfcheck() == kept


def test_the_run_has_figures(quick: LoadRun) -> None:
    """By percentile, as people say it."""
    assert quick.result.recorded == 200
    estimate = quick.latency(50)
    assert estimate.low <= estimate.value <= estimate.high
    assert quick.throughput_per_s > 0.0
    assert quick.error_rate == 0.0
    assert quick.result.resources is not None  # this very process is the target


def test_targets_are_functions_mixes_and_scenarios(harness: LoadTestHarness) -> None:
    """A mix has its names; a scenario says everything itself."""

    async def nothing() -> None:
        pass

    options = {"model": Closed(users=2, think=0.02), "duration": 0.3, "warm_up": 0.0}
    mix = harness.run({"one": int, "other": str}, **options).result  # type: ignore[arg-type]
    assert (mix.operations, mix.name) == (("one", "other"), "one and other")
    scenario = Scenario(
        name="whole",
        operations=(Operation(name="wait", target=Call(function=nothing)),),
        model=Open(rate=30.0),
        stages=(Steady(duration=0.3),),
        warm_up=0.0,
    )
    assert asyncio.run(harness.arun(scenario)).result.name == "whole"
    with stalling_server() as server:
        web = harness.run(Http(url=server.url), **options)  # type: ignore[arg-type]
    assert web.result.recorded > web.result.failures == 0
    with pytest.raises(UsageError, match="target: got int, needed a function"):
        harness.run(3, **options)  # type: ignore[arg-type]


def test_it_compares_scales_and_saturates(harness: LoadTestHarness, quick: LoadRun) -> None:
    """By the functions of `groundspeed.load`, on real runs."""
    found = harness.compare([quick, quick], quick)
    if quick.result.valid:
        assert {change.change for change in found.changes} <= {Change.NOT_WORSE, Change.UNDECIDED}
    report = harness.scaling(lambda workers: 10.0 * workers, levels=[1, 2, 4], repeats=2)
    assert report.cpus >= 1
    searched = harness.saturation(
        int,
        "latency_s_p50 < 5",
        first_per_s=100.0,
        most_per_s=100.0,
        duration=0.3,
        warm_up=0.0,
    )
    assert [step.rate_per_s for step in searched.steps] == [100.0]
    assert searched.limit
