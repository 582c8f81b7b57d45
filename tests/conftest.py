"""What every test shares: any order, no network, no colour, folders of its own."""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from sergas.errors import ServerNotFoundError
from sergas.servers import OWN, PostgresServer, ValkeyServer, start_postgres, start_valkey

S = TypeVar("S")

# How long an example takes is the machine's affair: a limit would be a timed assertion.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# A job in the background of a shell begins with Ctrl-C ignored, and all it starts with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_cache_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Point the user's cache and state somewhere private: no test reads or fills the real ones."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(folder))
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(folder / "state"))
    return folder


def _had(start: Callable[[], S]) -> S:
    """A server; on Linux the test extra brings one, so there its absence is a failure."""
    try:
        return start()
    except ServerNotFoundError as error:
        if sys.platform == "linux":
            raise
        pytest.skip(str(error))


_STORAGE_OF_BENCHMARK = "file://./.benchmarks"  # where pytest-benchmark puts them by itself
_ENGINES = pytest.StashKey[set[str]]()


@pytest.hookimpl(tryfirst=True)  # pytest-benchmark reads its options in its own
def pytest_configure(config: pytest.Config) -> None:
    """Begin the list of the servers tests were run on; stored benchmarks go to results/."""
    if config.getoption("benchmark_storage", None) == _STORAGE_OF_BENCHMARK:
        config.option.benchmark_storage = (config.rootpath / "results" / "pytest").as_uri()
    config.stash[_ENGINES] = {f"SQLite {sqlite3.sqlite_version}"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which they were: a test that passed has passed on these."""
    engines = terminalreporter.config.stash[_ENGINES]
    terminalreporter.write_line(f"databases and servers: {', '.join(sorted(engines))}")


@pytest.fixture(scope="session")
def cluster_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where fresh clusters are kept to be copied: the second server starts faster."""
    return tmp_path_factory.mktemp("clusters")


@pytest.fixture(scope="session")
def postgres(cluster_cache: Path, pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A real PostgreSQL for the session, given or started. Leave it running and as it was."""
    with _had(lambda: start_postgres(cache=cluster_cache)) as server:
        pytestconfig.stash[_ENGINES].add(f"PostgreSQL {server.version} ({server.source})")
        yield server


@pytest.fixture
def postgres_dsn(postgres: PostgresServer) -> Iterator[str]:
    """URL of a fresh PostgreSQL database of the test's own."""
    with postgres.new_database() as dsn:
        yield dsn


@pytest.fixture
def private_postgres(cluster_cache: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL to stop, kill, restart, and cut off: its `dsn` leads over a proxy."""
    with _had(lambda: start_postgres(sources=OWN, proxy=True, cache=cluster_cache)) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(pytestconfig: pytest.Config) -> Iterator[ValkeyServer]:
    """A real Valkey or Redis for the session, given or started. Leave it running."""
    with _had(start_valkey) as server:
        pytestconfig.stash[_ENGINES].add(f"Valkey {server.version} ({server.source})")
        yield server


@pytest.fixture
def valkey_url(valkey: ValkeyServer) -> Iterator[str]:
    """URL of an empty Valkey database of the test's own; subscriptions see the others' messages."""
    with valkey.new_database() as url:
        yield url


@pytest.fixture
def private_valkey() -> Iterator[ValkeyServer]:
    """A Valkey to stop, kill, restart, cut off, slow down: its `url` leads over a proxy."""
    with _had(lambda: start_valkey(sources=OWN, proxy=True)) as server:
        yield server
