"""The performance suite itself: its names, its table, and what it says where something is amiss.

Each run is a pytest of its own on one or two fast tests of `tests/performance`.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from groundspeed.load.level_table import read_levels
from sergas.servers import PostgresServer, ValkeyServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits are set in the POSIX way")

ROOT = Path(__file__).parents[2]
SUITE = "tests/performance"
QUICK = f"{SUITE}/test_sdk_performance.py::TestDatabasePerformance::test_token_save_performance"
SERVED = f"{SUITE}/test_load.py::TestSmallScaleLoad::test_100_accounts_single_user"
HUNGRY = f"{SUITE}/test_load.py::TestExtremeScaleLoad::test_5000_accounts_concurrent_100_users"

INVENTORY: dict[str, dict[str, tuple[str, ...]]] = {
    "test_load.py": {
        "TestSmallScaleLoad": (
            "test_100_accounts_single_user",
            "test_100_accounts_concurrent_10_users",
        ),
        "TestMediumScaleLoad": ("test_500_accounts_concurrent_25_users",),
        "TestLargeScaleLoad": ("test_1000_accounts_concurrent_50_users",),
        "TestExtremeScaleLoad": ("test_5000_accounts_concurrent_100_users",),
        "TestMemoryProfiling": (
            "test_memory_scaling_with_account_count",
            "test_memory_leak_detection_sustained_load",
        ),
        "TestCPUProfiling": ("test_cpu_usage_under_load",),
        "TestConnectionPooling": (
            "test_connection_pool_efficiency",
            "test_connection_pool_saturation",
        ),
    },
    "test_latency.py": {
        "TestResponseTimeBenchmarks": (
            "test_api_endpoint_get_account_latency",
            "test_api_endpoint_list_accounts_latency",
            "test_api_endpoint_write_operations_latency",
        ),
        "TestDatabaseQueryPerformance": (
            "test_simple_query_latency",
            "test_complex_query_latency",
            "test_analytical_query_latency",
            "test_batch_query_performance",
        ),
        "TestCacheEffectiveness": (
            "test_cache_hit_latency_vs_miss",
            "test_cache_hit_rate_effectiveness",
            "test_cache_write_through_latency",
        ),
        "TestEndToEndLatency": ("test_account_retrieval_e2e_latency",),
        "TestConcurrentRequestLatency": ("test_latency_under_concurrent_load",),
    },
    "test_scalability.py": {
        "TestHorizontalScaling": (
            "test_throughput_scaling_with_workers",
            "test_linear_scaling_up_to_cpu_cores",
        ),
        "TestWorkerParallelization": (
            "test_task_distribution_across_workers",
            "test_parallel_processing_speedup",
            "test_worker_pool_saturation_handling",
        ),
        "TestDatabasePartitioning": (
            "test_partition_distribution",
            "test_parallel_partition_queries",
            "test_partition_scalability",
        ),
        "TestRedisCacheScaling": (
            "test_cache_shard_distribution",
            "test_concurrent_cache_access_scalability",
        ),
        "TestLoadDistribution": (
            "test_round_robin_distribution",
            "test_least_connections_distribution",
        ),
        "TestThroughputScaling": ("test_throughput_with_data_size_increase",),
    },
    "test_memory_performance.py": {
        "TestMemoryPerformanceBenchmarks": (
            "test_account_ingestion_throughput",
            "test_search_query_latency_p99",
            "test_context_retrieval_p95",
            "test_memory_usage_50_accounts",
            "test_cache_hit_rate",
        ),
        "TestConcurrencyPerformance": (
            "test_concurrent_search_queries",
            "test_concurrent_context_retrieval",
        ),
        "TestScalability": (
            "test_ingestion_scales_linearly",
            "test_search_performance_with_data_growth",
        ),
        "TestAccountBriefPerformance": (
            "test_account_brief_generation_time_distribution",
            "test_brief_generation_with_extensive_history",
        ),
        "TestResourceUsage": (
            "test_connection_pooling_efficiency",
            "test_memory_leak_detection",
        ),
        "TestBatchOperationPerformance": ("test_batch_ingestion_optimal_batch_size",),
    },
    "test_sdk_performance.py": {
        "TestBulkReadPerformance": (
            "test_bulk_read_1000_records_performance",
            "test_bulk_read_100_records_performance",
            "test_bulk_read_with_criteria_performance",
        ),
        "TestBulkWritePerformance": (
            "test_bulk_write_1000_records_performance",
            "test_bulk_write_100_records_performance",
        ),
        "TestTokenRefreshPerformance": (
            "test_token_refresh_latency",
            "test_concurrent_token_refresh_performance",
        ),
        "TestDatabasePerformance": (
            "test_token_save_performance",
            "test_token_retrieval_performance",
            "test_concurrent_database_operations",
        ),
        "TestSDKvsRESTPerformance": ("test_sdk_vs_rest_api_speed_comparison",),
        "TestMemoryPerformance": (
            "test_memory_usage_with_1000_records",
            "test_memory_efficiency_of_generators",
        ),
        "TestThroughputPerformance": ("test_requests_per_second_throughput",),
        "TestPerformanceBenchmarksSummary": ("test_generate_performance_report",),
    },
}
NAMES = [
    f"{file}::{group}::{test}"
    for file, groups in INVENTORY.items()
    for group, tests in groups.items()
    for test in tests
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run of pytest ended, what it said, and the `extra_info` of its tests by name."""

    code: int
    text: str
    kept: dict[str, dict[str, Any]]


def _environment(**more: str) -> dict[str, str]:
    """This process's, without what would choose servers or limits."""
    foreign = ("PYTEST", "COV", "DATABASE_URL", "REDIS_URL", "SERGAS_", "MAX_")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | more


def _command(*arguments: str) -> list[str]:
    # Of no use there, and a second to import.
    return [sys.executable, "-m", "pytest", "-v", "-p", "no:schemathesis", *arguments]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """Runs tests of the suite; keywords are the environment, `limits` those of the process."""

    def started(*arguments: str, limits: dict[int, int] | None = None, **environment: str) -> Run:
        def limit() -> None:
            for kind, most in (limits or {}).items():
                resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))

        kept = tmp_path / "kept.json"
        done = subprocess.run(
            _command(*arguments, *_keeping(arguments, kept)),
            cwd=ROOT,
            env=_environment(**environment),
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        return Run(code=done.returncode, text=done.stdout + done.stderr, kept=_read(kept))

    return started


def _keeping(arguments: tuple[str, ...], path: Path) -> tuple[str, ...]:
    is_off = "no:benchmark" in arguments or "--collect-only" in arguments
    return () if is_off else (f"--benchmark-json={path}",)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists() or not path.stat().st_size:
        return {}
    rows = json.loads(path.read_text("utf-8"))["benchmarks"]
    return {row["name"]: row["extra_info"] for row in rows}


def test_the_suite_is_the_sixty_four_tests_that_the_history_knows(run: Callable[..., Run]) -> None:
    """By file, class and name, each once and no other: the names are the keys of stored runs."""
    told = run(SUITE, "--collect-only", "-q", "-q")
    assert told.code == 0, told.text
    found = re.findall(rf"^{SUITE}/(\S+::\S+)$", told.text, re.MULTILINE)
    assert len(NAMES) == 64
    assert sorted(found) == sorted(NAMES)


def test_every_test_is_held_to_something_and_every_level_holds_a_test() -> None:
    """A test without a level could not fail, and a pattern that fits none is a slip."""
    table = read_levels(ROOT / SUITE / "service_levels.toml")
    assert [name for name in NAMES if not table.of(f"{SUITE}/{name}")] == []
    for level, patterns in table.rows:
        for pattern in patterns:
            alone = type(table)([(level, (pattern,))])
            assert any(alone.of(name) for name in NAMES), pattern


def test_without_pytest_benchmark_tests_are_skipped_with_the_command(
    run: Callable[..., Run],
) -> None:
    """And nothing else is lost."""
    told = run(QUICK, "-p", "no:benchmark")
    assert (told.code, "1 skipped" in told.text) == (0, True), told.text
    assert "pip install 'groundspeed[test]'" in told.text


def test_with_timing_turned_off_and_no_cache_to_write_to_it_runs_through(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    """A checkout that cannot be written to: the databases are filled elsewhere."""
    folder = tmp_path / "cache"
    folder.write_text("a file, where a folder is wanted", encoding="utf-8")
    told = run(QUICK, "--benchmark-disable", "-o", f"cache_dir={folder}")
    assert (told.code, f"{QUICK} UNDECIDED" in told.text) == (0, True), told.text
    assert "timing is turned off; run without --benchmark-disable" in told.text


def test_beside_other_workers_tests_are_skipped(run: Callable[..., Run]) -> None:
    """They would measure each other."""
    told = run(QUICK, PYTEST_XDIST_WORKER="gw0")
    assert (told.code, "1 skipped" in told.text) == (0, True), told.text
    assert "run with -n 0" in told.text


@pytest.mark.parametrize(("variable", "value"), [("MAX_WORKERS", "0"), ("MAX_MEMORY_MB", "2 GB")])
def test_a_limit_that_is_no_number_ends_the_run_before_it_begins(
    run: Callable[..., Run], variable: str, value: str
) -> None:
    """One line: what was seen and what is needed."""
    told = run(QUICK, **{variable: value})
    assert told.code == pytest.ExitCode.USAGE_ERROR
    assert told.text.strip() == f"ERROR: {variable}: got {value!r}, needed a whole number above 0"


def test_what_needs_more_memory_or_files_than_there_may_be_is_skipped(
    run: Callable[..., Run],
) -> None:
    """With what would help."""
    told = run(HUNGRY, MAX_MEMORY_MB="1")
    assert (told.code, "1 skipped" in told.text) == (0, True), told.text
    assert re.search(r"needs \d+ MiB of memory, and MAX_MEMORY_MB allows 1; raise it", told.text)
    told = run(HUNGRY, limits={resource.RLIMIT_NOFILE: 100})
    assert (told.code, "1 skipped" in told.text) == (0, True), told.text
    assert re.search(r"needs (\d+) open files, and 100 are allowed; run `ulimit -n \1`", told.text)


def test_what_takes_more_memory_than_it_may_fails(run: Callable[..., Run]) -> None:
    """With what it took; the record says so, too."""
    told = run(SERVED, MAX_MEMORY_MB="1")
    assert told.code == pytest.ExitCode.TESTS_FAILED
    said = re.search(r"gained [\d.,]+ MiB of memory, and MAX_MEMORY_MB allows 1", told.text)
    assert said is not None, told.text
    info = told.kept["test_100_accounts_single_user"]
    assert (info["verdict"], said[0] in info["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("DATABASE_URL", "mysql://here/it", "needed sqlite:///path/to/file or postgresql://"),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/it", "the server that it names does not answer"),
        ("REDIS_URL", "redis://127.0.0.1:1", "the server that it names does not answer"),
    ],
)
def test_a_server_that_is_named_and_not_there_is_an_error(
    run: Callable[..., Run], variable: str, url: str, said: str
) -> None:
    """Without a traceback: whoever names a server wants the tests to run on it."""
    told = run(SERVED, **{variable: url})
    assert told.code == pytest.ExitCode.TESTS_FAILED
    assert re.search(rf"^{variable}: .*{re.escape(said)}", told.text, re.MULTILINE), told.text
    assert "Traceback" not in told.text
    assert ".py:" not in told.text.partition("= ERRORS =")[2].partition("short test summary")[0]


def test_the_environment_chooses_the_servers(
    run: Callable[..., Run], postgres: PostgresServer, valkey: ValkeyServer
) -> None:
    """A database of the PostgreSQL that it names, a cache in the Valkey that it names."""
    redis = pytest.importorskip("redis")
    with (
        postgres.new_database() as dsn,
        valkey.new_database() as url,
        redis.Redis.from_url(url) as client,
    ):
        before = client.info("commandstats")
        told = run(SERVED, DATABASE_URL=dsn, REDIS_URL=url, SERGAS_PG_DSN=dsn, SERGAS_REDIS_URL=url)
        after = client.info("commandstats")
    assert told.code == 0, told.text
    info = told.kept["test_100_accounts_single_user"]
    assert info["setting"]["database"] == f"PostgreSQL {postgres.version}"
    assert info["error_rate"] == 0.0
    calls = {
        name: stats["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, stats in after.items()
    }
    assert sum(calls[name] for name in calls if "get" in name or "set" in name) >= 100


def test_a_server_that_is_killed_fails_the_test_and_the_run_ends(tmp_path: Path) -> None:
    """The reason is told, however busy the machine is: what was measured is of nothing."""
    kept = tmp_path / "kept.json"
    with subprocess.Popen(
        _command(SERVED, f"--benchmark-json={kept}"),
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        service = _serving(psutil.Process(running.pid))
        _busy(service)
        service.kill()
        text, _ = running.communicate(timeout=120)
    assert running.returncode == pytest.ExitCode.TESTS_FAILED, text
    ending = "the service ended with exit code -9 during the test"
    assert ending in text
    assert re.search(rf"^(FAILED|ERROR) {re.escape(SERVED)}: ", text, re.MULTILINE)
    assert _read(kept)["test_100_accounts_single_user"]["verdict"] == "failed"


def _serving(root: psutil.Process) -> psutil.Process:
    """The account service that a run has started."""
    ends_s = time.monotonic() + 60.0
    while time.monotonic() < ends_s:
        for process in root.children(recursive=True):
            try:
                if "sergas.app" in process.cmdline():
                    return process
            except psutil.Error:  # it has just ended
                continue
        time.sleep(0.02)
    pytest.fail("the run has started no service")


def _busy(service: psutil.Process) -> None:
    """Wait until it answers requests: it works on, and no longer at its start alone."""
    ends_s = time.monotonic() + 60.0
    while time.monotonic() < ends_s:
        if any(each.status == psutil.CONN_ESTABLISHED for each in service.net_connections()):
            time.sleep(0.5)  # well within the seconds that the load lasts
            return
        time.sleep(0.02)
    pytest.fail("nobody asks the service anything")
