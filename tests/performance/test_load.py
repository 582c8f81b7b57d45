"""The account service under load: users who ask, wait for the answer, and ask again.

Latency counts from when a user wants to ask, so the wait for a connection is in it.
"""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.borrowing import (  # noqa: E402 - found by the path above
    Holders,
    assert_whole,
    read_account,
    select_account,
)
from tests.performance.support.databases import Databases  # noqa: E402
from tests.performance.support.figures import mean_figure  # noqa: E402
from tests.performance.support.growth import growth_figure, memory_over_requests  # noqa: E402
from tests.performance.support.limits import tree_rss_bytes  # noqa: E402
from tests.performance.support.service_calls import (  # noqa: E402
    THINK_S,
    account_id,
    asking,
    counts_of,
)

from groundspeed.load import (  # noqa: E402
    Call,
    Closed,
    Http,
    Open,
    Operation,
    Scenario,
    Steady,
    share,
)
from groundspeed.plugins.load_harness import LoadTestHarness  # noqa: E402
from groundspeed.plugins.measured import Measured  # noqa: E402
from sergas.errors import PoolTimeoutError  # noqa: E402
from sergas.optimizations.connection_pool import ConnectionPool  # noqa: E402

pytestmark = pytest.mark.performance

StartService = Callable[..., Any]


def _reading(service: Any) -> Http:
    """Any of its accounts."""
    return Http(
        url=f"{service.url}/v1/accounts/acc_{{n:6}}",
        headers=service.headers,
        keys=service.accounts,
    )


def _creating(service: Any) -> Http:
    """A new account."""
    return Http(
        url=f"{service.url}/v1/accounts",
        method="POST",
        headers=service.headers,
        body='{"name": "Load {n}", "owner_id": "own_001", "industry": "retail"}',
        expect=(201,),
        keys=1000,
    )


def _reading_five(service: Any) -> Http:
    """Five accounts of a ten, in one request."""
    ids = ", ".join(f'"acc_{{n:5}}{last}"' for last in (0, 2, 4, 6, 8))
    return Http(
        url=f"{service.url}/v1/bulk/read",
        method="POST",
        headers=service.headers,
        body=f'{{"ids": [{ids}]}}',
        keys=service.accounts // 10,
    )


class TestSmallScaleLoad:
    @pytest.mark.groundspeed(scenario=True)
    def test_100_accounts_single_user(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """One user reads accounts, one after the other."""
        service = account_service(100)
        measured.setting(accounts=100, users=1, database=service.engine)
        run = load_test_harness.run(
            _reading(service),
            name="100_accounts_single_user",
            model=Closed(users=1),
            duration=3.0,
            watch=(service.pid,),
        )
        measured.load(run.result)
        measured.judge()

    @pytest.mark.groundspeed(scenario=True)
    def test_100_accounts_concurrent_10_users(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Ten users read accounts at the same time, as fast as they are answered."""
        service = account_service(100)
        measured.setting(accounts=100, users=10, database=service.engine)
        run = load_test_harness.run(
            _reading(service),
            name="100_accounts_concurrent_10_users",
            model=Closed(users=10),
            duration=3.0,
            watch=(service.pid,),
        )
        measured.load(run.result)
        measured.judge()


@pytest.mark.slow
class TestMediumScaleLoad:
    @pytest.mark.groundspeed(scenario=True)
    def test_500_accounts_concurrent_25_users(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """25 users with pauses; one request in ten creates an account, the others read one."""
        service = account_service(500)
        measured.setting(accounts=500, users=25, think_s=THINK_S, database=service.engine)
        scenario = Scenario(
            name="500_accounts_concurrent_25_users",
            operations=(
                Operation(name="create", target=_creating(service), weight=1.0),
                Operation(name="get", target=_reading(service), weight=9.0),
            ),
            model=Closed(users=25, think=THINK_S, thinking="exponential"),
            stages=(Steady(duration=5.0),),
            watch=(service.pid,),
        )
        run = load_test_harness.run(scenario, accounts=500)
        with asking(service) as ask:
            written = ask("GET", "/v1/accounts?page=1&limit=1")["pagination"]["total"] - 500
        created = run.result.only("create")
        assert written == created.recorded - created.failures, "answered 201 and not written"
        measured.load(run.result)
        measured.judge()


@pytest.mark.slow
class TestLargeScaleLoad:
    @pytest.mark.groundspeed(scenario=True, metrics={"queued_share": "lower"})
    def test_1000_accounts_concurrent_50_users(
        self,
        databases: Databases,
        connection_pool: ConnectionPool[Any],
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """50 threads read accounts through one pool of 5 to 20 connections, the wait included.

        Without HTTP between, so that the wait is for a connection and for nothing else.
        """
        measured.setting(accounts=1000, users=50, database=databases.engine, pool_connections=20)
        holders, sql = Holders(), select_account(databases.engine)

        def read(number: int) -> None:
            read_account(connection_pool, holders, sql, account_id(number))
            if number % 50 == 0:  # often enough to see it, too seldom to be felt
                holders.sizes.append(connection_pool.get_stats().size)

        run = load_test_harness.run(
            Call(function=read, keys=1000),
            name="1000_accounts_concurrent_50_users",
            model=Closed(users=50),
            duration=8.0,
        )
        stats = connection_pool.get_stats()
        assert max(holders.most, *holders.sizes) <= 20, "the pool went above its limit"
        assert_whole(stats)
        measured.load(run.result)
        measured.keep(share("queued_share", stats.queued, stats.requests))
        measured.count("pool_connections_peak_count", max(holders.most, *holders.sizes))
        measured.judge()


@pytest.mark.slow
class TestExtremeScaleLoad:
    @pytest.mark.groundspeed(scenario=True)
    @pytest.mark.needs(memory_mb=500, files=400)
    def test_5000_accounts_concurrent_100_users(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """100 users at the same time; one request in five reads five accounts at once."""
        service = account_service(5000)
        measured.setting(accounts=5000, users=100, database=service.engine)
        scenario = Scenario(
            name="5000_accounts_concurrent_100_users",
            operations=(
                Operation(name="get", target=_reading(service), weight=4.0),
                Operation(name="bulk read", target=_reading_five(service), weight=1.0),
            ),
            model=Closed(users=100),
            stages=(Steady(duration=6.0),),
            watch=(service.pid,),
        )
        run = load_test_harness.run(scenario, accounts=5000)
        measured.load(run.result)
        measured.judge()


class TestMemoryProfiling:
    @pytest.mark.groundspeed(scenario=True)
    def test_memory_scaling_with_account_count(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """What the service's processes gain for each account held in the cache, up to 2,000."""
        service = account_service(2000)
        measured.setting(accounts=2000, database=service.engine)
        with asking(service) as ask:
            # The database's own pages and what each request needs: had before, and not counted.
            for first in range(0, 2000, 100):
                ask("POST", "/v1/bulk/read", {"ids": _ids(first, first + 100)})
            for _ in range(1000):
                ask("GET", f"/v1/accounts/{account_id(0)}")
            held = [tree_rss_bytes(service.pid)]

            def fill() -> None:
                for first in range(0, 2000, 100):
                    for one in _ids(first, first + 100):
                        ask("GET", f"/v1/accounts/{one}")
                    held.append(tree_rss_bytes(service.pid))

            measured.times(fill, rounds=1)
            in_cache = counts_of(ask)["sergas_cache_size"]
        assert in_cache == 2000, "the cache does not hold what was read"
        gains = np.diff(np.array(held, dtype=np.float64)) / 100.0
        measured.keep(mean_figure("memory_per_account_bytes", gains))
        for accounts in (100, 500, 1000, 2000):
            gained = held[accounts // 100] - held[0]
            measured.count(f"{accounts}_accounts.memory_bytes", gained, unit="bytes")
        measured.count("rss_bytes", held[10], unit="bytes")
        measured.series("memory over accounts", x=("count", range(0, 2001, 100)), y=("bytes", held))
        measured.judge()

    @pytest.mark.groundspeed(scenario=True)
    def test_memory_leak_detection_sustained_load(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """What the service's processes gain with each request, 10,000 and more, after a warm-up."""
        service = account_service(100)
        measured.setting(accounts=100, users=4, database=service.engine)
        run = load_test_harness.run(
            _reading(service),
            name="memory_leak_sustained_load",
            model=Closed(users=4),
            duration=6.5,
            warm_up=1.5,
            watch=(service.pid,),
        )
        measured.load(run.result)
        requests, rss_bytes = memory_over_requests(run.result)
        if requests[-1] - requests[0] < 10_000:
            measured.missing(
                "memory_per_request_bytes",
                f"got {requests[-1] - requests[0]:,.0f} requests after the warm-up, needed 10,000;"
                " stop what else runs here",
            )
        else:
            measured.keep(growth_figure("memory_per_request_bytes", requests, rss_bytes))
        measured.series(
            "memory over requests", x=("count", requests.tolist()), y=("bytes", rss_bytes.tolist())
        )
        measured.judge()


def _ids(first: int, end: int) -> list[str]:
    return [account_id(number) for number in range(first, end)]


class TestCPUProfiling:
    @pytest.mark.groundspeed(
        scenario=True, metrics={"cpu_share": "lower", "cpu_share_peak": "lower"}
    )
    def test_cpu_usage_under_load(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """The CPU that the service uses for 500 reads in five seconds, in shares of one CPU."""
        service = account_service(100)
        measured.setting(accounts=100, requests_per_s=100, database=service.engine)
        run = load_test_harness.run(
            _reading(service),
            name="cpu_usage_under_load",
            model=Open(rate=100.0, arrivals="constant"),
            duration=5.0,
            warm_up=0.0,
            watch=(service.pid,),
        )
        measured.load(run.result)
        assert run.result.resources is not None, "the service was not watched"
        at_s, cpu_s = run.result.resources.at_s, run.result.resources.cpu_s
        used = np.diff(cpu_s) / np.diff(at_s)
        measured.keep(mean_figure("cpu_share", used), unit="share")
        measured.count("cpu_share_peak", float(used.max()), unit="share")
        measured.series("CPU over time", x=("s", at_s[1:].tolist()), y=("share", used.tolist()))
        measured.judge()


class TestConnectionPooling:
    @pytest.mark.quick
    def test_connection_pool_efficiency(
        self, databases: Databases, connection_pool: ConnectionPool[Any], measured: Measured
    ) -> None:
        """100 threads borrow at once, read an account and give back, on 20 connections."""
        measured.setting(accounts=1000, users=100, database=databases.engine, pool_connections=20)
        holders, sql = Holders(), select_account(databases.engine)
        done: list[int] = []

        def borrow(number: int, start: threading.Barrier) -> None:
            start.wait(10.0)
            read_account(connection_pool, holders, sql, account_id(number))
            done.append(number)

        def all_at_once() -> None:
            start = threading.Barrier(100)
            _in_threads(lambda number: borrow(number, start), 100)

        all_at_once()  # opens the connections
        before, began = connection_pool.get_stats(), len(done)
        times_s = measured.times(all_at_once, rounds=40)
        stats = connection_pool.get_stats().since(before)
        assert sorted(done[began:]) == sorted([*range(100)] * ((len(done) - began) // 100))
        assert len(done) - began == stats.loans, "somebody did not get a connection"
        assert holders.most <= 20, "the pool went above its limit"
        assert_whole(connection_pool.get_stats())
        measured.percentiles("duration_s", times_s, quantiles=(0.5,))
        measured.keep(share("queued_share", stats.queued, stats.requests))
        measured.count("pool_connections_peak_count", holders.most)
        measured.judge()

    def test_connection_pool_saturation(
        self, databases: Databases, connection_pool: ConnectionPool[Any], measured: Measured
    ) -> None:
        """25 want one of 20 connections: five wait, and each gets the next that comes back."""
        measured.setting(accounts=1000, users=25, database=databases.engine, pool_connections=20)
        handed_over_s: list[float] = []
        measured.times(lambda: handed_over_s.extend(_saturate(connection_pool)), rounds=30)
        assert_whole(connection_pool.get_stats())
        assert connection_pool.get_stats().loans == 25 * len(handed_over_s) / 5
        _assert_refuses(connection_pool)
        measured.percentiles("handover_s", np.array(handed_over_s), quantiles=(0.5,))
        measured.judge()


def _in_threads(work: Callable[[int], None], count: int) -> None:
    """Run it in so many threads, each with its number, until all have ended."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)


def _saturate(pool: ConnectionPool[Any]) -> list[float]:
    """Take all 20, let five wait, and give back one after the other.

    Returns:
        Seconds from each giving back until the one who waits has it.

    Raises:
        AssertionError: If the pool lends more than 20, or not in the order of asking.
    """
    held = [pool.getconn(5.0) for _ in range(20)]
    got: list[tuple[int, float]] = []
    is_over = threading.Event()

    def wait(number: int) -> None:
        connection = pool.getconn(5.0)
        got.append((number, time.perf_counter()))
        is_over.wait(5.0)
        pool.putconn(connection)

    waiters = [threading.Thread(target=wait, args=(number,)) for number in range(5)]
    for place, waiter in enumerate(waiters, 1):
        waiter.start()
        _until(partial(_is_queue, pool, place))
    stats = pool.get_stats()
    assert (stats.lent, stats.size, stats.waiting) == (20, 20, 5), "a loan beyond the limit"
    given_s = []
    for place in range(1, 6):
        given_s.append(time.perf_counter())
        pool.putconn(held.pop())
        _until(partial(_is_long, got, place))
    assert [number for number, _ in got] == [0, 1, 2, 3, 4], "not in the order of asking"
    is_over.set()
    for waiter in waiters:
        waiter.join(5.0)
    for connection in held:
        pool.putconn(connection)
    return [had_s - gave_s for (_, had_s), gave_s in zip(got, given_s, strict=True)]


def _is_queue(pool: ConnectionPool[Any], length: int) -> bool:
    return pool.get_stats().waiting == length


def _is_long(items: list[Any], length: int) -> bool:
    return len(items) >= length


def _assert_refuses(pool: ConnectionPool[Any]) -> None:
    """Assert that the 21st is told in time, and that the pool works as before afterwards."""
    held = [pool.getconn(5.0) for _ in range(20)]
    with pytest.raises(PoolTimeoutError):
        pool.getconn(0.05)
    for connection in held:
        pool.putconn(connection)
    with pool.connection(5.0) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def _until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so, at most five seconds."""
    deadline_s = time.monotonic() + 5.0
    while not is_so():
        assert time.monotonic() < deadline_s, "it did not come about within five seconds"
        time.sleep(0.0002)
