"""The client of the account service, against a service of its own over a socket.

What is compared is timed in turn, round by round, so that a busy machine slows both sides alike.
"""

import gc
import itertools
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
import urllib3

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.interleaved import (  # noqa: E402 - found by the path above
    Times,
    in_turn,
    keep_ratio,
)
from tests.performance.support.scraping import counted, scraped  # noqa: E402
from tests.performance.support.sdk import account_ids, bare_driver, record  # noqa: E402

from groundspeed.load import Call, Open  # noqa: E402
from groundspeed.load.service_levels import format_figure  # noqa: E402
from groundspeed.plugins.load_harness import LoadTestHarness  # noqa: E402
from groundspeed.plugins.measured import Measured  # noqa: E402
from groundspeed.stats import FloatArray  # noqa: E402
from sergas.accounts import AccountStore  # noqa: E402
from sergas.accounts.model import AccountPatch  # noqa: E402
from sergas.clock import FakeClock  # noqa: E402
from sergas.sdk import SergasClient, _calls  # noqa: E402

pytestmark = pytest.mark.performance

StartService = Callable[..., Any]
READ_MAX, WRITE_MAX = 200, 100
P50_P95 = (0.5, 0.95)


@pytest.fixture
def client(service: Any) -> Iterator[SergasClient]:
    """A client of the service, with its tokens."""
    with SergasClient(service.url, service.key) as made:
        made.accounts.list(limit=1)
        yield made


@pytest.fixture
def service(account_service: StartService, measured: Measured) -> Any:
    """A service of 1,000 accounts."""
    started = account_service(1000)
    measured.setting(accounts=1000, database=started.engine)
    return started


class TestBulkReadPerformance:
    @pytest.mark.slow
    def test_bulk_read_1000_records_performance(
        self, service: Any, client: SergasClient, measured: Measured
    ) -> None:
        """1,000 accounts in five calls of 200, beside forty asked for one by one."""
        ids = account_ids(1000)

        def read_in_bulk() -> list[str]:
            pages = [ids[n : n + READ_MAX] for n in range(0, len(ids), READ_MAX)]
            return [a.id for page in pages for a in client.accounts.read_many(page).accounts]

        before = _answered(service, "read_accounts")
        assert read_in_bulk() == ids
        calls = _answered(service, "read_accounts") - before
        assert calls == 5
        times = in_turn(
            measured,
            {
                "single": lambda: [client.accounts.get(each) for each in ids[:40]],
                "bulk": read_in_bulk,
            },
            rounds=40,
        )
        measured.count("calls_count", calls)
        measured.percentiles("bulk_read_s", _of(times, "bulk"), quantiles=(0.5,))
        keep_ratio(measured, "bulk_speedup_ratio", times, of="single", to="bulk", scale=25.0)
        measured.judge()

    @pytest.mark.quick
    def test_bulk_read_100_records_performance(
        self, service: Any, client: SergasClient, measured: Measured
    ) -> None:
        """100 accounts in one call, beside one account."""
        ids = account_ids(100)
        found = client.accounts.read_many(ids)
        assert ([account.id for account in found.accounts], found.missing) == (ids, [])
        times = in_turn(
            measured,
            {
                "single": lambda: client.accounts.get(ids[0]),
                "bulk": lambda: client.accounts.read_many(ids),
            },
            rounds=150,
        )
        measured.percentiles("bulk_read_s", _of(times, "bulk"), quantiles=P50_P95)
        keep_ratio(measured, "page_to_one_ratio", times, of="bulk", to="single")
        measured.judge()

    def test_bulk_read_with_criteria_performance(
        self, client: SergasClient, measured: Measured
    ) -> None:
        """A page of accounts with a health score of 60 or more, beside a page of any.

        The old criterion was a revenue; the service filters by the health score.
        """
        every = list(client.accounts.iterate())
        healthy = list(client.accounts.iterate(health_score_min=60))
        assert len(every) == 1000
        assert [a.id for a in healthy] == [a.id for a in every if a.health_score >= 60]
        assert len(healthy) > 100
        times = in_turn(
            measured,
            {
                "any": lambda: client.accounts.list(limit=100, cursor=""),
                "filtered": lambda: client.accounts.list(limit=100, cursor="", health_score_min=60),
            },
            rounds=150,
        )
        measured.count("matching_count", len(healthy))
        measured.percentiles("filtered_read_s", _of(times, "filtered"), quantiles=P50_P95)
        keep_ratio(measured, "filtered_to_any_ratio", times, of="filtered", to="any")
        measured.judge()


class TestBulkWritePerformance:
    @pytest.mark.slow
    def test_bulk_write_1000_records_performance(
        self, service: Any, client: SergasClient, measured: Measured
    ) -> None:
        """1,000 new accounts in ten calls of 100, again and again."""
        numbers = itertools.count()

        def write_in_bulk() -> list[str]:
            pages = [[record(next(numbers)) for _ in range(WRITE_MAX)] for _ in range(10)]
            return [a.id for page in pages for a in client.accounts.write_many(page)]

        before = _answered(service, "write_accounts")
        created = write_in_bulk()
        calls = _answered(service, "write_accounts") - before
        assert (calls, len(set(created))) == (10, 1000)
        assert not client.accounts.read_many(created[::5]).missing
        taken_s = measured.times(write_in_bulk, rounds=12)
        measured.count("calls_count", calls)
        measured.percentiles("bulk_write_s", taken_s, quantiles=(0.5,))
        if taken_s is not None:
            there = [2000 + 1000 * n for n in range(len(taken_s))]
            measured.series("1,000 writes", x=("accounts", there), y=("s", list(taken_s)))
        measured.judge()

    def test_bulk_write_100_records_performance(
        self, client: SergasClient, measured: Measured
    ) -> None:
        """100 new accounts in one call, beside ten written one by one."""
        numbers = itertools.count()

        def write_in_bulk() -> int:
            page = [record(next(numbers)) for _ in range(100)]
            return len(client.accounts.write_many(page))

        assert write_in_bulk() == 100
        times = in_turn(
            measured,
            {
                "single": lambda: [
                    client.accounts.create(**record(next(numbers))) for _ in range(10)
                ],
                "bulk": write_in_bulk,
            },
            rounds=80,
        )
        measured.percentiles("bulk_write_s", _of(times, "bulk"), quantiles=P50_P95)
        keep_ratio(measured, "bulk_speedup_ratio", times, of="single", to="bulk", scale=10.0)
        measured.judge()


class TestTokenRefreshPerformance:
    def test_token_refresh_latency(
        self, service: Any, client: SergasClient, measured: Measured
    ) -> None:
        """Tokens renewed by a refresh token, beside the reading of an account."""
        tokens = client.call(_calls.issue_tokens(service.key))
        renewed = client.call(_calls.renew_tokens(tokens.refresh_token))
        assert renewed.expires_in_s > 0
        times = in_turn(
            measured,
            {
                "reading": lambda: client.accounts.get("acc_000000"),
                "renewal": lambda: client.call(_calls.renew_tokens(tokens.refresh_token)),
            },
            rounds=400,
        )
        measured.percentiles("refresh_latency_s", _of(times, "renewal"))
        keep_ratio(measured, "refresh_to_read_ratio", times, of="renewal", to="reading")
        measured.judge()

    @pytest.mark.slow
    def test_concurrent_token_refresh_performance(self, service: Any, measured: Measured) -> None:
        """Five clients of four threads each whose tokens are over: each client renews them once.

        Beside the same twenty reads with tokens that are good.
        """
        clock = FakeClock()
        clients = [SergasClient(service.url, service.key, clock=clock) for _ in range(5)]
        users = [client for client in clients for _ in range(4)]
        with ThreadPoolExecutor(len(users)) as threads:

            def read_at_once() -> None:
                done = threads.map(lambda user: user.accounts.get("acc_000000"), users)
                assert {account.id for account in done} == {"acc_000000"}

            def read_with_old_tokens() -> None:
                clock.advance(3600.0)
                read_at_once()

            read_at_once()
            before = _answered(service, "renew_tokens")
            read_with_old_tokens()
            renewals = _answered(service, "renew_tokens") - before
            assert renewals == 5
            times = in_turn(
                measured, {"reading": read_at_once, "renewing": read_with_old_tokens}, rounds=80
            )
        for client in clients:
            client.close()
        measured.setting(clients=5, threads=20)
        measured.count("renewals_count", renewals)
        measured.percentiles("concurrent_refresh_s", _of(times, "renewing"), quantiles=P50_P95)
        keep_ratio(measured, "renewing_to_reading_ratio", times, of="renewing", to="reading")
        measured.judge()


class TestDatabasePerformance:
    def test_token_save_performance(self, databases: Any, measured: Measured) -> None:
        """A change of one account with its history, committed, beside one bare UPDATE.

        Tokens were rows once. Now they are signed and nobody stores them, so what is timed is how
        the store saves what it does keep.
        """
        measured.setting(accounts=100, database=databases.engine)
        with (
            databases.fresh(100) as url,
            databases.open(url) as store,
            bare_driver(url) as execute,
        ):
            versions = itertools.count(_version(store, "acc_000000"))

            def save() -> None:
                patch = AccountPatch(version=(version := next(versions)), credit_limit=version)
                store.update("acc_000000", patch, actor="test")

            def save_bare() -> None:
                sql = "UPDATE accounts SET credit_limit = credit_limit + 1 WHERE id = ?"
                execute(sql, "acc_000001")

            times = in_turn(measured, {"bare": save_bare, "saving": save}, rounds=400)
            assert _version(store, "acc_000000") == next(versions)
        measured.percentiles("db_latency_s", _of(times, "saving"))
        keep_ratio(measured, "store_to_bare_ratio", times, of="saving", to="bare")
        measured.judge()

    def test_token_retrieval_performance(self, databases: Any, measured: Measured) -> None:
        """One account read by its id among 5,000, beside one among 100.

        What a token's retrieval was: one row by its key. An index makes both cost the same.
        """
        measured.setting(accounts=5000, database=databases.engine)
        urls = databases.seeded(5000), databases.seeded(100)
        with databases.open(urls[0]) as many, databases.open(urls[1]) as few:
            assert _version(many, "acc_004999") == 1
            times = in_turn(
                measured,
                {"few": lambda: few.get("acc_000099"), "many": lambda: many.get("acc_004999")},
                rounds=1000,
            )
        measured.percentiles("db_latency_s", _of(times, "many"))
        keep_ratio(measured, "growth_ratio", times, of="many", to="few")
        measured.judge()

    @pytest.mark.slow
    def test_concurrent_database_operations(
        self, mock_account_db: AccountStore, measured: Measured
    ) -> None:
        """Ten threads with five reads and five committed writes each, beside one that does all."""
        ids = account_ids(10)
        store = mock_account_db

        def work(account_id: str) -> int:
            for n in range(5):
                found = store.get(account_id)
                assert found is not None
                patch = AccountPatch(version=found.version, credit_limit=n)
                store.update(account_id, patch, actor="test")
            return 10

        with ThreadPoolExecutor(len(ids)) as threads:
            first = [_version(store, each) for each in ids]
            assert sum(threads.map(work, ids)) == 100
            assert [_version(store, each) for each in ids] == [n + 5 for n in first]
            times = in_turn(
                measured,
                {
                    "alone": lambda: [work(each) for each in ids],
                    "together": lambda: list(threads.map(work, ids)),
                },
                rounds=80,
            )
        measured.setting(accounts=100, threads=10, database=store.engine)
        measured.percentiles("hundred_operations_s", _of(times, "together"), quantiles=P50_P95)
        keep_ratio(measured, "threads_to_one_ratio", times, of="together", to="alone")
        measured.judge()


class TestSDKvsRESTPerformance:
    @pytest.mark.slow
    def test_sdk_vs_rest_api_speed_comparison(
        self, service: Any, client: SergasClient, measured: Measured
    ) -> None:
        """An account read by the client, beside the same by urllib3 and json alone."""
        headers = service.headers
        with urllib3.connection_from_url(service.url) as pool:

            def read_bare() -> Any:
                answer = pool.request("GET", "/v1/accounts/acc_000000", headers=headers)
                return json.loads(answer.data)

            assert read_bare()["name"] == client.accounts.get("acc_000000").name
            times = in_turn(
                measured,
                {"bare": read_bare, "client": lambda: client.accounts.get("acc_000000")},
                rounds=1000,
            )
        measured.percentiles("latency_s", _of(times, "client"))
        measured.percentiles("rest_latency_s", _of(times, "bare"))
        keep_ratio(measured, "sdk_to_rest_ratio", times, of="client", to="bare")
        measured.judge()


class TestMemoryPerformance:
    @pytest.mark.slow
    def test_memory_usage_with_1000_records(self, client: SergasClient, measured: Measured) -> None:
        """What 1,000 accounts take while they are held, and what stays when they are let go."""

        def read() -> list[Any]:
            return list(client.accounts.iterate())

        measured.times(read, rounds=20, warm_up=2)
        with _Traced() as traced:
            held = read()
            measured.count("memory_bytes", traced.now_bytes(), unit="bytes")
            assert len(held) == 1000
            del held
            measured.count("retained_bytes", traced.now_bytes(), unit="bytes")
        measured.judge()

    def test_memory_efficiency_of_generators(
        self, client: SergasClient, measured: Measured
    ) -> None:
        """The most memory while 1,000 accounts go by one by one, beside all in a list."""
        measured.times(lambda: sum(1 for _ in client.accounts.iterate()), rounds=10, warm_up=1)
        with _Traced() as traced:
            assert sum(1 for _ in client.accounts.iterate()) == 1000
            one_by_one = traced.peak_bytes()
        with _Traced() as traced:
            assert len(list(client.accounts.iterate())) == 1000
            in_list = traced.peak_bytes()
        measured.count("iterated_memory_bytes", one_by_one, unit="bytes")
        measured.count("listed_memory_bytes", in_list, unit="bytes")
        measured.count("iterated_to_listed_ratio", one_by_one / in_list, unit="ratio")
        measured.judge()


class TestThroughputPerformance:
    @pytest.mark.slow
    @pytest.mark.groundspeed(scenario=True)
    def test_requests_per_second_throughput(
        self, client: SergasClient, load_test_harness: LoadTestHarness, measured: Measured
    ) -> None:
        """Ten requests a second for five seconds, whether or not the last one is answered."""
        run = load_test_harness.run(
            Call(function=lambda n: client.accounts.get(f"acc_{n:06}"), keys=1000),
            name="sdk_10_requests_per_second",
            model=Open(rate=10.0, arrivals="constant"),
            duration=5.0,
            warm_up=0.0,
        )
        assert run.result.recorded == 50
        measured.load(run.result)
        measured.judge()


class TestPerformanceBenchmarksSummary:
    @pytest.mark.slow
    def test_generate_performance_report(
        self, service: Any, client: SergasClient, measured: Measured, tmp_path: Path
    ) -> None:
        """Fetch, read 100, write 100 and renew, in turn, and a report of all four."""
        ids, numbers = account_ids(100), itertools.count()
        tokens = client.call(_calls.issue_tokens(service.key))
        operations: dict[str, Callable[[], object]] = {
            "fetch_s": lambda: client.accounts.get(ids[0]),
            "bulk_read_s": lambda: client.accounts.read_many(ids),
            "bulk_write_s": lambda: client.accounts.write_many(
                [record(next(numbers)) for _ in range(100)]
            ),
            "refresh_s": lambda: client.call(_calls.renew_tokens(tokens.refresh_token)),
        }
        times = in_turn(measured, operations, rounds=100)
        for metric in operations:
            measured.percentiles(metric, _of(times, metric), quantiles=P50_P95)
        report = tmp_path / "report.txt"
        report.write_text(_report(measured), encoding="utf-8")
        told = report.read_text("utf-8").splitlines()
        assert [line.partition("_s_p95 ")[0] + "_s" for line in told] == list(operations)
        measured.judge()


def _of(times: Times, name: str) -> FloatArray | None:
    return None if times is None else times[name]


def _answered(service: Any, operation: str) -> float:
    """How many requests of an operation the service says that it has answered well."""
    metrics, name = scraped(service.url), "sergas_requests_total"
    return counted(metrics, name, operation=operation, status="200")


def _report(measured: Measured) -> str:
    """A line for each level: the metric, what was found, and where it stands."""
    lines = []
    for stand in measured.stands():
        level, figure = stand.level, stand.figure
        seen = "not measured" if figure is None else format_figure(figure.value, level.unit)
        lines.append(f"{level.metric} {seen}: {stand.standing}\n")
    return "".join(lines)


def _version(store: AccountStore, account_id: str) -> int:
    found = store.get(account_id)
    assert found is not None
    return found.version


class _Traced:
    """Counts what Python allocates within a block and has not let go."""

    def __enter__(self) -> Self:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        tracemalloc.stop()

    def now_bytes(self) -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def peak_bytes(self) -> int:
        return tracemalloc.get_traced_memory()[1]
