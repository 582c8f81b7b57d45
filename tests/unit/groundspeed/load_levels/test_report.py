import dataclasses
import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.load import LoadResult, Resources
from groundspeed.load.figures import response_histogram
from groundspeed.load.selfchecking import Check, Selfcheck
from groundspeed.load.service_levels import Standings, judge, parse_level
from groundspeed.report.load import load_report, metrics_block
from groundspeed.report.load_record import (
    compared_figures,
    encode_load,
    load_exit_code,
    percentile_plot,
    record_load,
)
from groundspeed.report.load_selfcheck import selfcheck_report
from groundspeed.stats import Histogram, decode_histogram

Make = Callable[..., LoadResult]
NOTHING = Standings(reports=())

BLOCK = """\
================================================================================
Load Test Results: 1000_accounts_50_concurrent_users
================================================================================
Test Configuration:
  Accounts: 1000
  Concurrent Users: 50

Performance Metrics:
  Total Duration: 5.00s
  Throughput: 196.00 ops/sec
  Average Response: 8.00ms

Latency Distribution:
  P50: 8.00ms
  P95: 12.00ms
  P99: infms
  Min: 4.00ms
  Max: 12.00ms

Reliability:
  Successes: 980
  Failures: 20
  Error Rate: 2.00%

Resource Usage:
  Memory Used: 174.23MB
  CPU: 56.8%
================================================================================
"""


@pytest.fixture
def thousand(run_of: Make) -> LoadResult:
    """1,000 arrivals in 5 s, of which 20 failed, of a target that was watched."""
    response = np.array([0.004, 0.008, 0.008, 0.008, 0.012])[np.arange(1000) % 5]
    resources = Resources(
        at_s=np.array([0.0, 5.0]),
        cpu_s=np.array([0.0, 2.84]),
        rss_bytes=np.array([1e8, 174.23e6]),
        threads=np.array([1, 1]),
        descriptors=np.array([3, 3]),
        switches=np.array([0, 9]),
        rss_slope_bytes_per_s=None,
    )
    return run_of(
        np.arange(1000) / 200.0,
        response,
        failed=np.arange(1000) % 50 == 0,
        duration_s=5.0,
        drained_s=5.0,
        name="1000_accounts_50_concurrent_users",
        resources=resources,
    )


def test_the_block_has_its_layout_to_the_letter(thousand: LoadResult) -> None:
    """Readers go by its lines; failures that reach into p99 are infinite."""
    # A failure in 5 of each value's 200 leaves the mean of the good ones where it is.
    good = thousand.response_s[np.isfinite(thousand.response_s)]
    expected = BLOCK.replace("Average Response: 8.00", f"Average Response: {good.mean() * 1e3:.2f}")
    assert metrics_block(thousand, accounts=1000, users=50) == expected


def test_all_else_comes_after_the_block(thousand: LoadResult) -> None:
    """Intervals, failures by class, the generator, levels and notes."""
    run = dataclasses.replace(thousand, notes=("something to know",))
    standings = judge(run, [parse_level("latency_s_p50 < 0.020 / 0.050")])
    report = load_report(run, standings, accounts=1000, users=50)
    block = metrics_block(run, accounts=1000, users=50)
    assert report.startswith(block)
    after = report.removeprefix(block)
    assert "p50: 8.00 ms, 95 % interval" in after
    assert "p99.9: never, too few samples for an interval" in after
    assert "failed: timeout 20\n" in after
    assert "memory at most: 174 MB" in after
    assert "offered 1,000, recorded 1,000" in after
    assert "latency_s_p50: met, 8.00 ms (" in after
    assert "; target < 20.0 ms, critical < 50.0 ms" in after
    assert "note: something to know" in after


def test_an_invalid_or_partial_run_says_so_first(thousand: LoadResult) -> None:
    """Right after the block."""
    run = dataclasses.replace(thousand, invalid=("the generator was busy",), partial=True)
    report = load_report(run, judge(run, [parse_level("error_rate < 0.5")]), accounts=1)
    after = report.split("=" * 80)[-1]
    assert after.startswith(
        "\nINVALID: the generator was busy; nothing is said of the target\nPART"
    )
    assert "error_rate: undecided, 2 %" in after
    assert load_exit_code(run, NOTHING) == 3


def test_nothing_measured_is_no_number(run_of: Make) -> None:
    """Where all failed there is no mean; where nobody watched, no memory."""
    run = run_of(np.arange(10) / 10.0, np.full(10, 0.1), failed=np.ones(10))
    block = metrics_block(run, accounts=0)
    assert "  Average Response: nanms\n" in block
    assert "  P50: infms\n" in block
    assert "  Memory Used: nanMB\n" in block
    cold = dataclasses.replace(run, warm_up_s=99.0)
    assert "  P50: nanms\n" in metrics_block(cold, accounts=0)
    assert record_load(cold, NOTHING).figures == ()


def test_users_of_an_open_model_are_those_in_flight(run_of: Make) -> None:
    """100/s that take half a second each are 50 at a time."""
    run = run_of(np.arange(1000) / 100.0, np.full(1000, 0.5), duration_s=10.0)
    found = re.search(r"Concurrent Users: (\d+)", metrics_block(run, accounts=1))
    assert found is not None
    assert 47 <= int(found[1]) <= 50


def test_the_record_is_json_with_null_for_what_is_infinite(thousand: LoadResult) -> None:
    """And holds the whole distribution, in the standard encoding."""
    standings = judge(thousand, [parse_level("latency_s_p50 < 0.001 / 0.002")])
    record = record_load(thousand, standings)
    read = json.loads(encode_load(record))
    assert read["schema"] == "groundspeed-load/1"
    assert read["exit_code"] == record.exit_code == 1
    assert read["levels"][0]["standing"] == "critical"
    figures = {figure["metric"]: figure for figure in read["figures"]}
    assert figures["latency_s_p99"]["value"] is None
    assert figures["latency_s_p50"]["value"] == pytest.approx(0.008)
    assert figures["rss_bytes"]["value"] == 174.23e6
    assert decode_histogram(read["response_histogram"]).count == 980
    assert "latency_s_p99" not in compared_figures(record)
    assert "latency_s_p99.9" not in compared_figures(record)  # it takes 3,688 samples
    assert compared_figures(record)["error_rate"] == pytest.approx(0.02)


def test_the_plot_ends_at_the_largest_and_ascends() -> None:
    """Value in milliseconds, share, count, and one over what is left."""
    samples = np.random.default_rng(1).exponential(5e6, 10_000).astype(np.int64)
    plot = percentile_plot(Histogram.of(samples))
    head, blank, *lines = plot.splitlines()
    assert head.split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert blank == ""
    rows = [[float(cell) for cell in line.split()] for line in lines if not line.startswith("#")]
    assert rows == sorted(rows, key=lambda row: row[:3])
    assert rows[-1] == [pytest.approx(samples.max() / 1e6, rel=1e-3), 1.0, 10_000.0]
    half = next(row for row in rows if row[1] == 0.5)
    assert half[0] == pytest.approx(float(np.median(samples)) / 1e6, rel=2e-3)
    assert half[3] == 2.0
    assert lines[-2].startswith("#[Max     =")
    assert percentile_plot(Histogram.of([])).splitlines() == [head, ""]


def test_the_histogram_leaves_out_what_failed(thousand: LoadResult) -> None:
    """They have no time."""
    assert response_histogram(thousand).count == 980


@pytest.mark.parametrize("value", [0.03, 0.2])
def test_a_selfcheck_is_told_check_by_check(value: float) -> None:
    """With its limit, and what to do where one does not hold."""
    checks = (
        Check(name="stall", value=value, limit=0.05, unit="share"),
        Check(name="lag p99", value=3e-5, limit=1e-4, unit="s"),
    )
    found = Selfcheck(fingerprint="f", tool_version="0", requests_per_s=12_345.0, checks=checks)
    report = selfcheck_report(found)
    assert report.startswith("Load measured here can" + ("" if value < 0.05 else "not"))
    assert ("does not hold" in report) is (value > 0.05)
    assert "lag p99     30.0 µs  at most   100 µs  holds" in report
    assert "sends 12,345 requests a second" in report
