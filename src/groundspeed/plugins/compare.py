"""`--groundspeed-compare[=REF]`: each test against stored runs, as it finishes.

A test that is slower beyond what runs differ anyway fails, and no other does. Imported only where
the option is given.
"""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from groundspeed.errors import GroundspeedError
from groundspeed.plugins.compare_rows import (
    Found,
    Rows,
    Standing,
    Thresholds,
    judge,
    rows_of,
)
from groundspeed.plugins.compare_text import failure, header, summary
from groundspeed.plugins.reference import NAME, Reference
from groundspeed.plugins.stored_runs import Baseline, Commit, find_baseline, kind_of
from groundspeed.units import parse_share

__all__ = ["start_comparing"]

_OPTION = "--groundspeed-compare"


def start_comparing(config: pytest.Config, reference: str) -> None:
    """Compare the tests of this run.

    Args:
        config: Of a run whose plugins are loaded.
        reference: What the option was given; empty for the newest run of another state.

    Raises:
        pytest.UsageError: If pytest-benchmark is not there or times nothing, or an option is wrong.
    """
    _refuse_without_timing(config)
    try:
        thresholds = Thresholds.of(_min_effect(config.getoption("groundspeed_min_effect")))
    except ValueError as error:
        raise pytest.UsageError(f"--groundspeed-min-effect: {error}") from None
    config.pluginmanager.register(
        _Comparing(reference=reference, thresholds=thresholds), "groundspeed-compare"
    )


def _min_effect(text: str | None) -> float | None:
    return None if text is None else parse_share(text)


def _refuse_without_timing(config: pytest.Config) -> None:
    if config.getoption("benchmark_storage", None) is None:
        raise pytest.UsageError(
            f"{_OPTION} compares what pytest-benchmark times, which is not installed or not "
            "loaded; install it: python -m pip install pytest-benchmark"
        )
    if config.getoption("dist", "no") != "no" or "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError(
            f"{_OPTION}: pytest-benchmark times nothing while pytest-xdist spreads tests; add -n 0"
        )
    if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
        raise pytest.UsageError(
            f"{_OPTION}: --benchmark-disable lets nothing be timed; leave it out, or add "
            "--benchmark-enable"
        )
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        raise pytest.UsageError(
            f"{_OPTION}: --benchmark-skip lets no benchmark run; leave one of them out"
        )


@dataclass(kw_only=True, eq=False)
class _Comparing:
    """The plugin of one run.

    Attributes:
        reference: What the user gave.
        thresholds: The smallest changes worth a verdict.
        baseline: The stored runs, from the start of the session on.
        rows: What is compared, from the end of the collection on.
        found: What was found, test by test.
        without: Benchmarks that no stored run holds.
    """

    reference: str
    thresholds: Thresholds
    baseline: Baseline | None = None
    rows: Rows = field(default_factory=Rows)
    found: list[Found] = field(default_factory=list)
    without: list[str] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find the baseline; pytest-benchmark has its storage by now."""
        benchmarks = _benchmark_session(session.config)
        try:
            self.baseline = find_baseline(
                self.reference,
                _file_storage(benchmarks),
                commit=_current_commit(session.config),
                machine=kind_of(benchmarks.get_machine_info()),
                folder=session.config.invocation_params.dir,
            )
        except GroundspeedError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_report_header(self) -> str:
        """Name the baseline."""
        return header(self.known)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Lay down what is compared, before the first test runs: all share one level."""
        self.rows = rows_of(
            session.items, self.known, self.thresholds, today=datetime.now(UTC).date()
        )

    @pytest.hookimpl(wrapper=True)  # around the reference work, which is the innermost
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Compare the test when it has passed: one that fails keeps its own failure."""
        outcome = yield
        bench = _timed(item)
        if bench is not None:
            self._compare(item, bench)
        return outcome

    def _compare(self, item: pytest.Item, bench: Any) -> None:
        rows = self.rows.of(item.nodeid)
        if not rows:
            self.without.append(item.nodeid)
            return
        reference = _reference(item.config)
        found = [judge(row, self.rows, bench, reference) for row in rows]
        self.found.extend(found)
        slower = [one for one in found if one.standing is Standing.SLOWER]
        if slower:
            pytest.fail(failure(slower, self.known), pytrace=False)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was compared, worst first, and what was not."""
        if self.baseline is None or terminalreporter.config.option.collectonly:
            return
        compared = {one.row.nodeid for one in self.found}
        missed = [nodeid for nodeid in self.rows.nodeids if nodeid not in compared]
        deviation = _reference(terminalreporter.config).deviation
        write: Callable[[str], None] = terminalreporter.write_line
        terminalreporter.section(f"groundspeed: compared with {self.baseline.title}")
        for line in summary(
            self.found, self.baseline, without=self.without, missed=missed, deviation=deviation
        ):
            write(line)

    @property
    def known(self) -> Baseline:
        """The baseline, which every hook after the session's start has."""
        if self.baseline is None:
            raise RuntimeError("the session has not started")
        return self.baseline


def _benchmark_session(config: pytest.Config) -> Any:
    return config._benchmarksession  # type: ignore[attr-defined]  # noqa: SLF001 - its only handle


def _reference(config: pytest.Config) -> Reference:
    found: Reference | None = config.pluginmanager.getplugin(NAME)
    return found or Reference()


def _file_storage(benchmarks: Any) -> Any:
    from pytest_benchmark.storage.file import FileStorage

    if not isinstance(benchmarks.storage, FileStorage):
        raise pytest.UsageError(
            f"{_OPTION} reads runs that are stored in files; --benchmark-storage is "
            f"{benchmarks.config.getoption('benchmark_storage')}"
        )
    return benchmarks.storage


def _current_commit(config: pytest.Config) -> Commit:
    info = config.hook.pytest_benchmark_generate_commit_info(config=config)
    config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=info)
    return Commit(id=str(info.get("id", "")), dirty=bool(info.get("dirty", False)))


def _timed(item: pytest.Item) -> Any:
    """What pytest-benchmark keeps of the test that just ran; None where it timed nothing.

    By the list and not by the test's fixtures: a test may ask for the fixture while it runs.
    """
    benchmarks = _benchmark_session(item.config).benchmarks
    mine = (bench for bench in reversed(benchmarks) if bench.fullname == item.nodeid)
    bench = next(mine, None)
    return bench if bench and not bench.has_error else None
