"""How long single requests, queries and cache reads take, and what they take beside each other.

Absolute times depend on the machine; what a test compares it measures in turns.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.figures import (  # noqa: E402 - found by the path above
    alternately,
    quotient,
    ratio_figure,
    timed,
)
from tests.performance.support.plans import statements_of, tables_scanned  # noqa: E402
from tests.performance.support.service_calls import (  # noqa: E402
    THINK_S,
    Ask,
    account_id,
    asking,
    counts_of,
)

from groundspeed.errors import TooFewSamplesError  # noqa: E402
from groundspeed.load import Closed, Http, LoadResult, share  # noqa: E402
from groundspeed.load.figures import figure_of  # noqa: E402
from groundspeed.plugins.load_harness import LoadTestHarness  # noqa: E402
from groundspeed.plugins.measured import Measured  # noqa: E402
from sergas.accounts import AccountStore  # noqa: E402
from sergas.accounts.model import Account, AccountChange, AccountPatch  # noqa: E402
from sergas.optimizations.cache_manager import (  # noqa: E402
    CacheLevel,
    CacheManager,
    SqliteLevel,
    ValkeyLevel,
)
from sergas.sdk import SergasClient  # noqa: E402

pytestmark = pytest.mark.performance

StartService = Callable[..., Any]
MakeCache = Callable[..., CacheManager]

_ROUNDS = 400
"""Enough for an interval of the 99th percentile."""


class TestResponseTimeBenchmarks:
    @pytest.mark.quick
    def test_api_endpoint_get_account_latency(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """GET of one account over HTTP, and beside the service's health, its cheapest answer."""
        service = account_service(100)
        measured.setting(accounts=100, users=1, database=service.engine)
        with asking(service) as ask:
            numbers = count()

            def get() -> None:
                one = account_id(next(numbers) % 100)
                assert ask("GET", f"/v1/accounts/{one}")["id"] == one

            times_s = measured.times(get, rounds=_ROUNDS, warm_up=20)
            in_turns = alternately(get, lambda: ask("GET", "/health"), rounds=_ROUNDS)
        measured.percentiles("latency_s", times_s)
        # A share and no ratio to the table: taken in turns, it holds on a busy machine as well.
        measured.keep(ratio_figure("get_to_health_share", *in_turns))
        measured.judge()

    def test_api_endpoint_list_accounts_latency(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """A page of fifty accounts over HTTP, which takes one loan of a connection."""
        service = account_service(100)
        measured.setting(accounts=100, users=1, database=service.engine)
        with asking(service) as ask:
            before = _loans(ask)
            times_s = measured.times(lambda: _page(ask, 50), rounds=_ROUNDS)
            pages = _ROUNDS if times_s is not None else 1
            loans = (_loans(ask) - before) / pages
            assert (len(_page(ask, 50)), len(_page(ask, 1))) == (50, 1)
            in_turns = alternately(lambda: _page(ask, 50), lambda: _page(ask, 1), rounds=100)
        measured.percentiles("latency_s", times_s)
        measured.count("loans_per_request_count", loans)
        measured.keep(ratio_figure("list_50_over_1_ratio", *in_turns), unit="ratio")
        measured.judge()

    def test_api_endpoint_write_operations_latency(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """POST of new accounts and PATCH of one, over HTTP; what was written is read back."""
        service = account_service(100)
        measured.setting(accounts=100, users=1, database=service.engine)
        new = {"name": "Written", "owner_id": "own_001", "industry": "retail"}
        with asking(service) as ask:
            created = partial(ask, "POST", "/v1/accounts", new, expect=201)
            place = f"/v1/accounts/{created()['id']}"
            versions = count(ask("GET", place)["version"])

            def change() -> None:
                ask("PATCH", place, {"version": next(versions), "status": "active"})

            create_s = measured.times(created, rounds=_ROUNDS)
            change_s = timed(change, rounds=_ROUNDS)
            # The account was cached before it was changed.
            assert ask("GET", place)["version"] == next(versions)
        measured.percentiles("create_latency_s", create_s)
        measured.percentiles("change_latency_s", change_s)
        measured.judge()


def _page(ask: Ask, limit: int) -> list[Any]:
    found: list[Any] = ask("GET", f"/v1/accounts?page=1&limit={limit}")["data"]
    return found


def _loans(ask: Ask) -> float:
    """How often the service has borrowed a connection to read."""
    return counts_of(ask)['sergas_pool_requests_total{pool="readers"}']


class TestDatabaseQueryPerformance:
    @pytest.mark.quick
    def test_simple_query_latency(self, mock_account_db: AccountStore, measured: Measured) -> None:
        """One account by its id, which no table is read whole for."""
        numbers = count()

        def get() -> None:
            one = account_id(next(numbers) % 100)
            found = mock_account_db.get(one)
            assert found is not None
            assert found.id == one

        self._measure(mock_account_db, get, measured)

    def test_complex_query_latency(self, mock_account_db: AccountStore, measured: Measured) -> None:
        """Accounts with the number and the sum of their deals, most first: a join of groups."""

        def totals() -> None:
            found = mock_account_db.deal_totals(limit=50)
            assert len(found) == 50
            assert found[0].amount >= found[-1].amount > 0

        self._measure(mock_account_db, totals, measured)

    def test_analytical_query_latency(
        self, mock_account_db: AccountStore, measured: Measured
    ) -> None:
        """Number and mean revenue of the accounts of each industry."""

        def industries() -> None:
            assert sum(each.accounts for each in mock_account_db.industries()) == 100

        # SQLite answers from an index that has both columns; on PostgreSQL the rows themselves are
        # read, which the optimizer found to be as good (migrations/0003_indexes.postgres.sql).
        whole = 1 if mock_account_db.engine.startswith("PostgreSQL") else 0
        self._measure(mock_account_db, industries, measured, whole=whole)

    def test_batch_query_performance(
        self, mock_account_db: AccountStore, measured: Measured
    ) -> None:
        """Ten accounts in one statement, beside ten statements, in turns."""
        measured.setting(accounts=100, database=mock_account_db.engine)
        ids = [account_id(number) for number in range(0, 100, 10)]

        def batch() -> dict[str, Account]:
            return mock_account_db.get_many(ids)

        def singles() -> dict[str, Account | None]:
            return {one: mock_account_db.get(one) for one in ids}

        measured.percentiles("db_latency_s", measured.times(batch, rounds=_ROUNDS, warm_up=20))
        assert batch() == singles()
        assert len(statements_of(mock_account_db, batch)) == 1
        in_turns = alternately(singles, batch, rounds=200)
        measured.keep(ratio_figure("batch_speedup_ratio", *in_turns), unit="ratio")
        measured.count("tables_scanned_count", tables_scanned(mock_account_db, batch))
        measured.judge()

    def _measure(
        self, store: AccountStore, call: Callable[[], object], measured: Measured, *, whole: int = 0
    ) -> None:
        """Time a call and read its plans, in which so many tables are to be read whole."""
        measured.setting(accounts=100, database=store.engine)
        measured.percentiles("db_latency_s", measured.times(call, rounds=_ROUNDS, warm_up=20))
        measured.count("tables_scanned_count", max(0, tables_scanned(store, call) - whole))
        measured.judge()


@pytest.fixture
def make_cache(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeCache]:
    """Makes a cache as the service has it: its second level is a file, or REDIS_URL's server."""
    with ExitStack() as stack:

        def level() -> AbstractContextManager[CacheLevel]:
            if not os.environ.get("REDIS_URL"):
                return SqliteLevel(tmp_path / "cache.db")
            server = request.getfixturevalue("valkey_server")
            return ValkeyLevel(stack.enter_context(server.new_database()), namespace="latency")

        def made(**options: Any) -> CacheManager:
            options = {"entries_max": 10_000, **options}
            return stack.enter_context(
                CacheManager(level2=stack.enter_context(level()), ttl_s=300.0, **options)
            )

        yield made


class TestCacheEffectiveness:
    @pytest.mark.quick
    def test_cache_hit_latency_vs_miss(
        self, mock_account_db: AccountStore, make_cache: MakeCache, measured: Measured
    ) -> None:
        """A read that the cache answers, beside one that goes to the database, in turns."""
        measured.setting(accounts=100, database=mock_account_db.engine)
        cache = make_cache()
        read = partial(_read, cache, mock_account_db)
        for number in range(20):
            read(number)
        times_s = measured.times(lambda: read(7), rounds=_ROUNDS, warm_up=20)
        warmed = cache.stats()
        for turn in range(100):
            read(turn % 30)
        stats = cache.stats()
        assert stats.hits - warmed.hits == 90, "20 are warm, 10 are loaded once"
        assert stats.loads - warmed.loads == 10
        new, old = count(30), count()
        misses_s, hits_s = alternately(
            lambda: read(next(new) % 100),
            lambda: read(next(old) % 20),
            rounds=70,  # so that each of the misses asks for an account that was not asked for yet
        )
        measured.percentiles("cache_hit_latency_s", times_s)
        measured.percentiles("cache_miss_latency_s", misses_s, quantiles=(0.5,))
        measured.keep(ratio_figure("miss_over_hit_ratio", misses_s, hits_s), unit="ratio")
        measured.judge()

    def test_cache_hit_rate_effectiveness(
        self, mock_account_db: AccountStore, make_cache: MakeCache, measured: Measured
    ) -> None:
        """Four reads in five are of 20 accounts and the others of 80; the cache has room for 50."""
        measured.setting(accounts=100, database=mock_account_db.engine, entries=50)
        chance = Random(1)
        asked = [
            chance.randrange(20) if chance.random() < 0.8 else chance.randrange(20, 100)
            for _ in range(4000)
        ]
        # One level, for a second one has room for all.
        cache = CacheManager(entries_max=50, ttl_s=300.0)
        measured.times(lambda: [_read(cache, mock_account_db, one) for one in asked], rounds=1)
        stats = cache.stats()
        cache.close()
        assert stats.requests == 4000
        assert stats.size <= 50
        measured.keep(share("cache_hit_rate", stats.hits, stats.requests))
        measured.judge()

    def test_cache_write_through_latency(
        self, mock_account_db: AccountStore, make_cache: MakeCache, measured: Measured
    ) -> None:
        """A write that goes to the database and into both levels, beside the database's alone."""
        measured.setting(accounts=100, database=mock_account_db.engine)
        store = mock_account_db
        scores = count(1)

        def write(values: Any) -> None:
            changes = [
                AccountChange(id=one, patch=_scored(store, one, score))
                for one, score in values.items()
            ]
            store.write_many([], changes, actor="test")

        cache = make_cache(writer=write)
        times_s = measured.times(
            lambda: cache.set(account_id(1), next(scores) % 101), rounds=_ROUNDS, warm_up=20
        )
        in_turns = alternately(
            lambda: cache.set(account_id(2), next(scores) % 101),
            lambda: write({account_id(3): next(scores) % 101}),
            rounds=200,
        )
        for one in (account_id(1), account_id(2)):
            written = store.get(one)
            assert written is not None
            assert written.health_score == cache.get(one), "the cache and the store disagree"
        measured.percentiles("write_latency_s", times_s)
        measured.keep(ratio_figure("write_through_over_write_ratio", *in_turns), unit="ratio")
        measured.judge()


def _read(cache: CacheManager, store: AccountStore, number: int) -> object:
    """An account as the service reads it: from the cache, as JSON, or else from the store."""
    one = account_id(number)
    return cache.get_or_load(f"account:{one}", lambda: msgspec.json.encode(store.get(one)))


def _scored(store: AccountStore, account: str, score: int) -> AccountPatch:
    found = store.get(account)
    assert found is not None
    return AccountPatch(version=found.version, health_score=score)


class TestEndToEndLatency:
    def test_account_retrieval_e2e_latency(
        self, account_service: StartService, measured: Measured
    ) -> None:
        """Reads of 20 accounts from the client's call to its record: HTTP, cache and database."""
        service = account_service(100)
        measured.setting(accounts=20, users=1, database=service.engine)
        numbers = count()
        with SergasClient(service.url, service.key) as client, asking(service) as ask:

            def retrieve() -> None:
                one = account_id(next(numbers) % 20)
                assert client.accounts.get(one).id == one

            times_s = measured.times(retrieve, rounds=_ROUNDS)
            counts = counts_of(ask)
        reads = next(numbers)
        answered = counts["sergas_cache_hits_total"] + counts["sergas_cache_level2_hits_total"]
        assert answered + counts["sergas_cache_misses_total"] == reads
        measured.percentiles("latency_s", times_s)
        measured.keep(share("cache_hit_rate", round(answered), reads))
        measured.judge()


class TestConcurrentRequestLatency:
    @pytest.mark.groundspeed(scenario=True, metrics={"latency_100_over_1_users_ratio": "lower"})
    def test_latency_under_concurrent_load(
        self,
        account_service: StartService,
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """Latency with 1, 10, 50 and 100 users who read, and pause between.

        The lone one does not: to wake a machine that sleeps takes longer than any answer.
        """
        service = account_service(100)
        measured.setting(accounts=100, users=100, think_s=THINK_S, database=service.engine)
        target = Http(
            url=f"{service.url}/v1/accounts/acc_{{n:6}}", headers=service.headers, keys=100
        )
        results: dict[int, LoadResult] = {}
        for users, duration_s in ((1, 1.0), (10, 2.0), (50, 2.0), (100, 3.0)):
            think_s = THINK_S if users > 1 else 0.0
            results[users] = load_test_harness.run(
                target,
                name=f"{users}_users",
                model=Closed(users=users, think=think_s, thinking="exponential"),
                duration=duration_s,
                watch=(service.pid,),
            ).result
            measured.load(results[users], prefix=f"{users}_users.")
        _keep_crowding(results, measured)
        measured.series(
            "throughput over users",
            x=("count", list(results)),
            y=("per s", [each.throughput_per_s for each in results.values()]),
        )
        measured.judge()


def _keep_crowding(results: dict[int, LoadResult], measured: Measured) -> None:
    """How many times as long as a lone user one of 100 waits."""
    metric = "latency_100_over_1_users_ratio"
    try:
        lone, crowd = (figure_of(results[users], "latency_s_p50") for users in (1, 100))
    except TooFewSamplesError as error:
        measured.missing(metric, str(error))
        return
    measured.keep(quotient(metric, crowd, lone), unit="ratio")
