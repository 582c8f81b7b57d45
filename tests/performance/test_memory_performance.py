"""What the service remembers of accounts: taking it in, finding it, and putting it together.

Accounts come in by bulk writes of the SDK, a search finds activities by words, a context is all
that is known of an account, and a brief is what somebody reads before a call.
"""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.databases import Databases  # noqa: E402 - found by the path above
from tests.performance.support.growth import growth_figure, memory_over_requests  # noqa: E402
from tests.performance.support.interleaved import in_turn, keep_median, keep_ratio  # noqa: E402
from tests.performance.support.limits import tree_rss_bytes  # noqa: E402
from tests.performance.support.plans import statements_of, tables_scanned  # noqa: E402
from tests.performance.support.service_calls import (  # noqa: E402
    Ask,
    account_id,
    asking,
    counts_of,
)

from groundspeed.errors import TooFewSamplesError  # noqa: E402
from groundspeed.load import Closed, Http, Operation, Scenario, Steady, share  # noqa: E402
from groundspeed.measure.machine import CpuPlan, describe_machine  # noqa: E402
from groundspeed.plugins.load_harness import LoadTestHarness  # noqa: E402
from groundspeed.plugins.measured import Measured  # noqa: E402
from sergas.accounts import NewActivity  # noqa: E402
from sergas.sdk import SergasClient  # noqa: E402
from sergas.sdk.model import AccountFields  # noqa: E402

pytestmark = pytest.mark.performance

StartService = Callable[..., Any]

_WORDS = ("renewal", "pricing", "outage", "security", "invoicing")
_SCENARIO = pytest.mark.groundspeed(
    scenario=True,
    metrics={
        "growth_ratio": "lower",
        "scaling_efficiency": "higher",
        "speedup_ratio": "higher",
        "statements_count": "lower",
        "tables_scanned_count": "lower",
        "throughput_ratio": "higher",
        "best_batch_count": "higher",
    },
)


def _http(service: Any, path: str, *, keys: int = 1) -> Http:
    return Http(url=f"{service.url}{path}", headers=service.headers, keys=keys)


def _searches(service: Any) -> Mapping[str, Http]:
    return {word: _http(service, f"/v1/search?q={word}") for word in _WORDS}


def _new(number: int) -> AccountFields:
    return {"name": f"New account {number}", "owner_id": "own_001", "industry": "software"}


def _ingest(client: SergasClient, accounts: int, *, batch: int) -> None:
    """Write so many new accounts, a batch a request."""
    for start in range(0, accounts, batch):
        fields = [_new(number) for number in range(start, min(start + batch, accounts))]
        written = client.accounts.write_many(fields)
        assert [one.name for one in written] == [one["name"] for one in fields]


def _total(ask: Ask) -> int:
    """How many accounts the service has."""
    total: int = ask("GET", "/v1/accounts?page=1&limit=1")["pagination"]["total"]
    return total


class TestMemoryPerformanceBenchmarks:
    """The five that the service is known by."""

    @_SCENARIO
    def test_account_ingestion_throughput(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Accounts a second that come in, fifty at a time in batches of ten."""
        service = account_service(50)
        measured.setting(accounts=50, batch=10, database=service.engine)
        with SergasClient(service.url, service.key) as client, asking(service) as ask:
            before = _total(ask)
            times = measured.times(lambda: _ingest(client, 50, batch=10), rounds=12)
            assert _total(ask) - before == 50 * (1 if times is None else len(times))
        keep_median(measured, "throughput_per_s", None if times is None else 50 / times)
        measured.judge()

    @_SCENARIO
    def test_search_query_latency_p99(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Five searches over fifty accounts, one user: the time that 99 of 100 keep."""
        service = account_service(50)
        measured.setting(accounts=50, users=1, database=service.engine)
        run = load_test_harness.run(
            _searches(service),
            name="search",
            model=Closed(users=1),
            duration=2.5,
            warm_up=0.3,
            watch=(service.pid,),
        )
        with asking(service) as ask:
            for word in _WORDS:
                _assert_found(ask, word)
        measured.load(run.result)
        measured.judge()

    @_SCENARIO
    def test_context_retrieval_p95(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Contexts of ten accounts, one user: the time that 95 of 100 keep.

        And how much longer one takes than the service's answer that it is well, which goes to the
        database as well.
        """
        service = account_service(50)
        measured.setting(accounts=10, users=1, database=service.engine)
        path = f"/v1/accounts/{account_id(0)}/context"
        with asking(service) as ask:
            functions = {
                "health": lambda: ask("GET", "/health"),
                "context": lambda: ask("GET", path),
            }
            times = in_turn(measured, functions, rounds=100)
        keep_ratio(measured, "latency_ratio", times, of="context", to="health")
        run = load_test_harness.run(
            _http(service, "/v1/accounts/acc_{n:6}/context", keys=10),
            name="context",
            model=Closed(users=1),
            duration=2.0,
            warm_up=0.3,
            watch=(service.pid,),
        )
        with asking(service) as ask:
            for number in range(10):
                found = ask("GET", f"/v1/accounts/{account_id(number)}/context")
                assert found["brief"]["account"]["id"] == account_id(number)
        measured.load(run.result)
        measured.judge()

    @_SCENARIO
    def test_memory_usage_50_accounts(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """What the service's processes hold when all of fifty accounts has been asked for."""
        service = account_service(50)
        measured.setting(accounts=50, database=service.engine)
        with asking(service) as ask:
            ask("GET", "/health")
            before = tree_rss_bytes(service.pid)

            def everything() -> None:
                for number in range(50):
                    for part in ("", "/brief", "/context"):
                        ask("GET", f"/v1/accounts/{account_id(number)}{part}")

            measured.times(everything, rounds=3)
            held = tree_rss_bytes(service.pid)
            if _has_cache(ask):
                assert counts_of(ask)["sergas_cache_size"] == 100  # account and brief of each
        measured.count("rss_bytes", held, unit="bytes")
        measured.count("gained_bytes", max(0, held - before), unit="bytes")
        measured.judge()

    @_SCENARIO
    def test_cache_hit_rate(self, account_service: StartService, measured: Measured) -> None:
        """Four of five requests for ten of fifty accounts: how many the cache answers."""
        service = account_service(50)
        requests = 1000
        measured.setting(accounts=50, requests=requests, database=service.engine)
        chance = np.random.default_rng(1)
        hot = chance.random(requests) < 0.8
        numbers = np.where(
            hot, chance.integers(10, size=requests), chance.integers(10, 50, size=requests)
        ).tolist()
        with asking(service) as ask:
            if not _has_cache(ask):
                pytest.skip("a service on PostgreSQL has a cache only with a Valkey; set REDIS_URL")
            asked = iter(numbers)

            def get() -> None:
                number = next(asked)
                assert ask("GET", f"/v1/accounts/{account_id(number)}")["id"] == account_id(number)

            times = measured.times(get, rounds=requests)
            if times is None:  # one was asked for
                for _ in range(requests - 1):
                    get()
            counts = counts_of(ask)
        hits = int(counts["sergas_cache_hits_total"])
        assert hits + counts["sergas_cache_misses_total"] == requests
        measured.keep(share("cache_hit_rate", hits, requests))
        measured.percentiles("latency_s", times)
        measured.judge()


def _has_cache(ask: Ask) -> bool:
    return ask("GET", "/health")["cache"] is not None


def _assert_found(ask: Ask, word: str) -> None:
    hits = ask("GET", f"/v1/search?q={word}")["hits"]
    assert hits
    for hit in hits:
        text = f"{hit['activity']['subject']} {hit['activity']['body']}"
        assert word in text.lower()


class TestConcurrencyPerformance:
    """Several at once."""

    @_SCENARIO
    def test_concurrent_search_queries(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Five clients that search at the same time, against one that does all of it.

        One client and the service wait for each other; five keep both at work, each of which is
        one process, so that two CPUs are of use and no more.
        """
        service = account_service(50)
        measured.setting(accounts=50, users=5, database=service.engine)
        with ExitStack() as stack:
            asks = [stack.enter_context(asking(service)) for _ in _WORDS]
            threads = stack.enter_context(ThreadPoolExecutor(len(asks)))

            def search(ask: Ask, times: int) -> int:
                return sum(
                    len(ask("GET", f"/v1/search?q={word}")["hits"])
                    for _ in range(times)
                    for word in _WORDS
                )

            def one_by_one() -> None:
                assert search(asks[0], 10) == 10 * expected

            def at_once() -> None:
                assert list(threads.map(search, asks, [2] * 5)) == [2 * expected] * 5

            expected = search(asks[0], 1)
            times = in_turn(measured, {"one by one": one_by_one, "at once": at_once}, rounds=16)
        useful = min(2, describe_machine(CpuPlan()).cpus)
        keep_ratio(measured, "speedup_ratio", times, of="one by one", to="at once")
        keep_ratio(
            measured, "scaling_efficiency", times, of="one by one", to="at once", scale=1 / useful
        )
        keep_median(measured, "throughput_per_s", None if times is None else 50 / times["at once"])
        measured.judge()

    @_SCENARIO
    def test_concurrent_context_retrieval(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Twenty contexts that are asked for at the same time: until the last one is there."""
        service = account_service(50)
        measured.setting(accounts=50, users=20, database=service.engine)
        with ExitStack() as stack:
            asks = [stack.enter_context(asking(service)) for _ in range(20)]
            threads = stack.enter_context(ThreadPoolExecutor(20))

            def context(ask: Ask, number: int) -> str:
                found = ask("GET", f"/v1/accounts/{account_id(number)}/context")
                one: str = found["brief"]["account"]["id"]
                return one

            def twenty() -> None:
                found = list(threads.map(context, asks, range(20)))
                assert found == [account_id(number) for number in range(20)]

            times = measured.times(twenty, rounds=40, warm_up=2)
        measured.percentiles("twenty_contexts_s", times, quantiles=(0.5,))
        measured.judge()


class TestScalability:
    """More accounts."""

    @_SCENARIO
    def test_ingestion_scales_linearly(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """10, 25 and 50 accounts in batches of five: fifty take five times as long as ten."""
        service = account_service(50)
        sizes = (10, 25, 50)
        measured.setting(accounts=list(sizes), batch=5, database=service.engine)
        with SergasClient(service.url, service.key) as client:

            def ingesting(accounts: int) -> Callable[[], None]:
                return lambda: _ingest(client, accounts, batch=5)

            times = in_turn(measured, {str(n): ingesting(n) for n in sizes}, rounds=16)
        keep_ratio(measured, "throughput_ratio", times, of="10", to="50", scale=5.0)
        keep_median(measured, "throughput_per_s", None if times is None else 50 / times["50"])
        if times is not None:
            measured.series(
                "seconds over accounts",
                x=("accounts", [n for n in sizes for _ in times[str(n)]]),
                y=("s", [x for n in sizes for x in times[str(n)]]),
            )
        measured.judge()

    @_SCENARIO
    def test_search_performance_with_data_growth(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Searches over 10, 25 and 50 accounts: five times the texts cost little more."""
        sizes = (10, 25, 50)
        with ExitStack() as stack:
            asks = {}
            for n in sizes:
                service = account_service(n)
                asks[n] = stack.enter_context(asking(service))
                measured.setting(accounts=list(sizes), database=service.engine)

            def searching(accounts: int) -> Callable[[], None]:
                def search() -> None:
                    for word in _WORDS:
                        assert asks[accounts]("GET", f"/v1/search?q={word}")["hits"]

                return search

            times = in_turn(measured, {str(n): searching(n) for n in sizes}, rounds=40)
        keep_ratio(measured, "growth_ratio", times, of="50", to="10")
        if times is not None:
            measured.series(
                "seconds a search over accounts",
                x=("accounts", [n for n in sizes for _ in times[str(n)]]),
                y=("s", [x / len(_WORDS) for n in sizes for x in times[str(n)]]),
            )
        measured.judge()


class TestAccountBriefPerformance:
    """What somebody reads before a call."""

    @_SCENARIO
    def test_account_brief_generation_time_distribution(
        self,
        account_service: StartService,
        databases: Databases,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Briefs of ten accounts, none from a cache: their times, and what each asks the database.

        One statement is sent for a brief, and no table is read whole for it.
        """
        service = account_service(50, SERGAS_CACHE="0")
        measured.setting(accounts=10, users=1, database=service.engine)
        with databases.open(databases.seeded(50)) as store:
            brief = store.brief(account_id(0))
            assert brief is not None
            sent = statements_of(store, lambda: store.brief(account_id(0)))
            measured.count("statements_count", len(sent))
            scanned = tables_scanned(store, lambda: store.brief(account_id(0)))
            measured.count("tables_scanned_count", scanned)
        run = load_test_harness.run(
            _http(service, "/v1/accounts/acc_{n:6}/brief", keys=10),
            name="brief",
            model=Closed(users=1),
            duration=2.0,
            warm_up=0.3,
            watch=(service.pid,),
        )
        measured.load(run.result)
        measured.judge()

    @_SCENARIO
    def test_brief_generation_with_extensive_history(
        self, databases: Databases, measured: Measured
    ) -> None:
        """The brief of an account that a hundred more things happened with, against before them."""
        measured.setting(accounts=50, interactions=100, database=databases.engine)
        new = NewActivity(type="call", subject="call about pricing", created_by="own_001")
        one = account_id(0)
        with (
            databases.fresh(50) as url,
            databases.open(url) as store,
            databases.open(databases.seeded(50)) as before,
        ):
            written = [store.add_activity(one, new).id for _ in range(100)]

            def brief() -> None:
                found = store.brief(one)
                assert found is not None
                assert {activity.id for activity in found.activities} <= set(written)

            def shorter() -> None:
                found = before.brief(one)
                assert found is not None
                assert len(found.activities) == 20

            times = in_turn(measured, {"before": shorter, "with history": brief}, rounds=100)
        keep_ratio(measured, "growth_ratio", times, of="with history", to="before")
        measured.percentiles("db_latency_s", None if times is None else times["with history"])
        measured.judge()


class TestResourceUsage:
    """Connections and memory."""

    @_SCENARIO
    def test_connection_pooling_efficiency(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Fifty users of eight database connections: all are answered, and all are given back."""
        service = account_service(50, SERGAS_THREADS="8")
        measured.setting(accounts=50, users=50, connections=8, database=service.engine)
        run = load_test_harness.run(
            _http(service, "/v1/accounts/acc_{n:6}/context", keys=50),
            name="pooling",
            model=Closed(users=50),
            duration=2.5,
            warm_up=0.5,
            watch=(service.pid,),
        )
        with asking(service) as ask:
            pools = {
                name: value for name, value in counts_of(ask).items() if "sergas_pool_" in name
            }
        assert pools['sergas_pool_requests_total{pool="readers"}'] >= len(run.result.samples)
        assert pools['sergas_pool_size{pool="readers"}'] <= 8
        held = sum(value for name, value in pools.items() if "lent{" in name or "waiting{" in name)
        measured.count("connections_not_returned_count", held)
        measured.load(run.result)
        measured.judge()

    @_SCENARIO
    def test_memory_leak_detection(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """What the service gains with each brief, context and search, after a warm-up.

        Two database connections, whose page caches are full when the warm-up is over.
        """
        service = account_service(50, SERGAS_THREADS="2")
        measured.setting(accounts=50, users=4, database=service.engine)
        load_test_harness.run(_mix(service, duration_s=2.5, context=1.0, brief=1.0))
        run = load_test_harness.run(_mix(service, duration_s=7.0, context=1.0, brief=12.0))
        requests, rss_bytes = memory_over_requests(run.result)
        measured.series(
            "memory over requests",
            x=("requests", requests.tolist()),
            y=("bytes", rss_bytes.tolist()),
        )
        try:
            measured.keep(growth_figure("memory_per_request_bytes", requests, rss_bytes))
        except TooFewSamplesError as error:
            measured.missing("memory_per_request_bytes", str(error))
        measured.load(run.result)
        measured.judge()


def _mix(service: Any, *, duration_s: float, context: float, brief: float) -> Scenario:
    """Briefs, contexts and searches by weight."""
    targets = {
        "brief": (_http(service, "/v1/accounts/acc_{n:6}/brief", keys=50), brief),
        "context": (_http(service, "/v1/accounts/acc_{n:6}/context", keys=50), context),
        "search": (_http(service, "/v1/search?q=renewal"), context),
    }
    return Scenario(
        name="memory_leak" if brief > context else "warm_up",
        operations=tuple(
            Operation(name=name, target=target, weight=weight)
            for name, (target, weight) in targets.items()
        ),
        model=Closed(users=4),
        stages=(Steady(duration=duration_s),),
        warm_up=0.5,
        watch=(service.pid,),
    )


class TestBatchOperationPerformance:
    """How many at a time."""

    @_SCENARIO
    def test_batch_ingestion_optimal_batch_size(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Fifty accounts in batches of 5, 10 and 25: which is fastest, and that batches pay."""
        service = account_service(50)
        batches = (5, 10, 25)
        measured.setting(accounts=50, batches=list(batches), database=service.engine)
        with SergasClient(service.url, service.key) as client:

            def ingesting(batch: int) -> Callable[[], None]:
                return lambda: _ingest(client, 50, batch=batch)

            times = in_turn(
                measured, {str(batch): ingesting(batch) for batch in batches}, rounds=12
            )
        keep_ratio(measured, "throughput_ratio", times, of="5", to="25")
        if times is not None:
            best = min(batches, key=lambda batch: float(np.median(times[str(batch)])))
            measured.count("best_batch_count", best)
            measured.series(
                "seconds over the size of a batch",
                x=("accounts a batch", [batch for batch in batches for _ in times[str(batch)]]),
                y=("s", [x for batch in batches for x in times[str(batch)]]),
            )
            for batch in batches:
                keep_median(measured, f"batch_{batch}.throughput_per_s", 50 / times[str(batch)])
        measured.judge()
