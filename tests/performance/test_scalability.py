"""How the parts of the service grow: worker processes, partitions, cache shards, servers, data.

More workers than there are CPUs cannot do more where they compute, so efficiency is judged only as
far as every worker has one. Ratios are of things measured in turn in the same test.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.performance.support.databases import Databases  # noqa: E402 - found by the path above
from tests.performance.support.interleaved import (  # noqa: E402
    in_turn,
    keep_median,
    keep_ratio,
    keep_scaling,
    once,
    unevenness,
)
from tests.performance.support.limits import Limits  # noqa: E402
from tests.performance.support.service_calls import account_id  # noqa: E402
from tests.performance.support.sharing import (  # noqa: E402
    account_rows,
    new_account,
    partitioned,
    rows_by_process,
    shards,
)
from tests.performance.support.traffic import AtOnce, Balanced  # noqa: E402

from groundspeed.load import Call, Closed, Http, share  # noqa: E402
from groundspeed.load.scaling import ScalingReport  # noqa: E402
from groundspeed.load.validity import BUSY_MAX  # noqa: E402
from groundspeed.plugins.load_harness import LoadTestHarness  # noqa: E402
from groundspeed.plugins.measured import Measured  # noqa: E402
from sergas.accounts import AccountPatch  # noqa: E402
from sergas.accounts.partitions import moved_share, partition_of  # noqa: E402
from sergas.optimizations.cache_manager import StoredValue, ValkeyLevel  # noqa: E402
from sergas.optimizations.parallel_processor import (  # noqa: E402
    LoadBalancingStrategy,
    ParallelProcessor,
)

pytestmark = pytest.mark.performance

_RATIOS = {
    "scaling_efficiency": "higher",
    "speedup_ratio": "higher",
    "throughput_ratio": "higher",
    "growth_ratio": "higher",
    "imbalance_ratio": "lower",
    "imbalance": "lower",
    "moved_share": "lower",
    "slow_server_share": "lower",
}
_SCENARIO = pytest.mark.groundspeed(scenario=True, metrics=_RATIOS)


def _worker_levels(limits: Limits) -> list[int]:
    """1, 2, 4 and 8, as far as MAX_WORKERS allows."""
    levels = sorted({limits.at_most(workers) for workers in (1, 2, 4, 8)})
    if len(levels) < 3:
        pytest.skip(
            f"MAX_WORKERS allows {limits.workers}, and how throughput grows shows from 3 on;"
            " raise it"
        )
    return levels


def _reading(service: Any, path: str = "") -> Http:
    """Any of its accounts."""
    return Http(
        url=f"{service.url}/v1/accounts/acc_{{n:6}}{path}",
        headers=service.headers,
        keys=service.accounts,
    )


class TestHorizontalScaling:
    """More worker processes."""

    @_SCENARIO
    @pytest.mark.needs(memory_mb=1500, files=1000)
    def test_throughput_scaling_with_workers(
        self,
        account_service: Callable[..., Any],
        load_test_harness: LoadTestHarness,
        limits: Limits,
        measured: Measured,
    ) -> None:
        """Requests a second of the service with 1, 2, 4 and 8 worker processes.

        The generator needs a part of a CPU itself, which the workers then do not have.
        """
        levels = _worker_levels(limits)
        services = {workers: account_service(100, workers=workers) for workers in levels}
        measured.setting(accounts=100, users=16, workers=levels, database=services[1].engine)
        busy: list[float] = []
        gaps: list[float] = []

        def throughput_per_s(workers: int) -> float:
            run = load_test_harness.run(
                _reading(services[workers]),
                name=f"{workers}_workers",
                model=Closed(users=16),
                duration=0.4,
                warm_up=0.1,
                watch=(services[workers].pid,),
            )
            busy.append(run.result.generator.busy_share_max)
            gaps.append(run.result.littles_law_gap)
            assert run.error_rate == 0.0
            return run.throughput_per_s

        for workers in levels:  # each worker's first answers are slow ones
            throughput_per_s(workers)
        report = load_test_harness.scaling(throughput_per_s, levels=levels, repeats=4)
        keep_scaling(measured, report)
        measured.count("littles_law_gap", max(gaps), unit="share")
        if max(busy) > BUSY_MAX:
            measured.missing(
                "scaling_efficiency", f"the generator was busy for {max(busy):.0%} of a run"
            )
        measured.judge()

    @_SCENARIO
    def test_linear_scaling_up_to_cpu_cores(
        self, load_test_harness: LoadTestHarness, limits: Limits, measured: Measured
    ) -> None:
        """Fifty items that compute, on 1, 2, 4 and 8 processes of the processor."""
        levels = _worker_levels(limits)
        measured.setting(items=50, workers=levels)
        expected = list(map(account_rows, range(50)))
        with ExitStack() as stack:
            processors = {
                workers: stack.enter_context(ParallelProcessor(workers, backend="process"))
                for workers in levels
            }
            for processor in processors.values():
                processor.map(account_rows, range(50), chunk=1)  # its processes start and import

            def throughput_per_s(workers: int) -> float:
                began_s = perf_counter()
                assert processors[workers].map(account_rows, range(50), chunk=2) == expected
                return 50 / (perf_counter() - began_s)

            report: ScalingReport = once(
                measured,
                lambda: load_test_harness.scaling(throughput_per_s, levels=levels, repeats=6),
            )
        keep_scaling(measured, report)
        _keep_growth(measured, report)
        measured.judge()


def _keep_growth(measured: Measured, report: ScalingReport) -> None:
    """How many times as much twice the workers do, where it is least and each has a CPU."""
    fitting = [np.array(p.throughput_per_s) for p in report.points if p.workers <= report.cpus]
    steps = [more / fewer for fewer, more in pairwise(fitting)]
    if steps:
        keep_median(measured, "growth_ratio", min(steps, key=lambda step: float(np.median(step))))
    else:
        measured.missing("growth_ratio", "there is 1 CPU, and two workers need two")


class TestWorkerParallelization:
    """Items over the processor's workers."""

    @_SCENARIO
    def test_task_distribution_across_workers(self, limits: Limits, measured: Measured) -> None:
        """A hundred items over four processes: as many each in turn, and nobody idle by need."""
        workers = limits.at_most(4)
        measured.setting(items=100, workers=workers)
        turns = _shared_out(LoadBalancingStrategy.ROUND_ROBIN, workers, rounds=1)
        assert sorted(turns) == sorted(_even(100, workers))
        counts = once(
            measured, lambda: _shared_out(LoadBalancingStrategy.LEAST_BUSY, workers, rounds=5)
        )
        assert sum(counts) == 500
        measured.count("imbalance_ratio", unevenness(counts), unit="ratio")
        measured.judge()

    @_SCENARIO
    @pytest.mark.quick
    def test_parallel_processing_speedup(self, limits: Limits, measured: Measured) -> None:
        """Items that wait 10 ms for a server: a hundred over ten threads, against one by one.

        They wait for a list of a Valkey that stays empty, until the server says so.
        """
        threads = limits.at_most(10)
        measured.setting(items=100, workers=threads, wait_s=0.01)
        with (
            shards(1, hz="500") as (server,),  # looks for waits that are over every 2 ms
            ParallelProcessor(threads, backend="thread") as processor,
        ):

            def wait(number: int) -> int:
                assert server.call("BLPOP", f"nothing:{number}", 0.01) is None
                return number

            def at_once() -> None:
                assert processor.map(wait, range(100), chunk=1) == list(range(100))

            times = in_turn(
                measured,
                {"one by one": lambda: list(map(wait, range(10))), "at once": at_once},
                rounds=8,
            )
        keep_ratio(measured, "speedup_ratio", times, of="one by one", to="at once", scale=10.0)
        if threads < 10:
            reason = f"MAX_WORKERS allows {threads} threads, and it is that of ten; raise it"
            measured.missing("speedup_ratio", reason)
        measured.judge()

    @_SCENARIO
    def test_worker_pool_saturation_handling(
        self, databases: Databases, limits: Limits, measured: Measured
    ) -> None:
        """Ten callers with four items each on a processor of four threads, against one caller.

        No more than four are worked on at a time, and the queue costs little.
        """
        workers = limits.at_most(4)
        measured.setting(items=40, workers=workers, callers=10, database=databases.engine)
        at_once = AtOnce()
        with (
            databases.open(databases.seeded(100)) as store,
            ParallelProcessor(workers, backend="thread") as processor,
            ThreadPoolExecutor(10) as callers,
        ):

            def brief(number: int) -> int:
                with at_once:
                    found = store.brief(f"acc_{number:06d}")
                    return 0 if found is None else len(found.activities)

            expected = [brief(number) for number in range(40)]

            def four(first: int) -> list[int]:
                return processor.map(brief, range(first, first + 4), chunk=1)

            def saturated() -> None:
                parts = callers.map(four, range(0, 40, 4))
                assert [count for part in parts for count in part] == expected

            def unhurried() -> None:
                assert processor.map(brief, range(40), chunk=1) == expected

            times = in_turn(
                measured, {"one caller": unhurried, "ten callers": saturated}, rounds=12
            )
            counts = processor.metrics().items_by_worker
        assert at_once.most <= workers
        assert min(expected) > 0
        keep_ratio(measured, "throughput_ratio", times, of="one caller", to="ten callers")
        measured.count("imbalance_ratio", unevenness(counts), unit="ratio")
        measured.judge()


def _shared_out(balance: LoadBalancingStrategy, workers: int, *, rounds: int) -> list[int]:
    """How many items each process worked on, of a hundred in each round."""
    with ParallelProcessor(workers, backend="process", balance=balance) as processor:
        for _ in range(20):  # until all have started: only then is anything counted
            seen = {pid for pid, _ in processor.map(rows_by_process, range(100), chunk=1)}
            if len(seen) == workers:
                break
        done = [
            pid
            for _ in range(rounds)
            for pid, _ in processor.map(rows_by_process, range(100), chunk=1)
        ]
    counts = Counter(done)
    return [*counts.values(), *(0 for _ in range(workers - len(counts)))]


def _even(items: int, places: int) -> list[int]:
    """As many each as can be."""
    return [items // places + (place < items % places) for place in range(places)]


class TestDatabasePartitioning:
    """Accounts over several databases."""

    @_SCENARIO
    def test_partition_distribution(self, databases: Databases, measured: Measured) -> None:
        """A thousand accounts written to four databases: where they are, and how many would move.

        A fifth database takes a fifth of each; by remainders four fifths of all would move.
        """
        ids = [f"acc_{number:06d}" for number in range(1000)]
        with partitioned(databases, 4) as store:
            measured.setting(accounts=1000, partitions=4, database=store.engine)
            numbers = iter(range(1000))
            times = measured.times(
                lambda: store.create(new_account(next(numbers)), actor="test"), rounds=1000
            )
            if times is None:  # one was written
                for number in numbers:
                    store.create(new_account(number), actor="test")
            counts = [part.counts()["accounts"] for part in store.stores]
            for place, part in enumerate(store.stores):
                due = [one for one in ids if partition_of(one, 4) == place]
                assert sorted(part.get_many(ids)) == due
        assert sum(counts) == 1000
        measured.count("imbalance", unevenness(counts), unit="share")
        moved = round(1000 * moved_share(ids, before=4, after=5))
        measured.keep(share("moved_share", moved, 1000))
        measured.percentiles("write_latency_s", times)
        measured.judge()

    @_SCENARIO
    def test_parallel_partition_queries(
        self, databases: Databases, load_test_harness: LoadTestHarness, measured: Measured
    ) -> None:
        """Queries a second that 16 threads make over four databases, and each one's latency."""
        with partitioned(databases, 4) as store:
            measured.setting(accounts=100, partitions=4, users=16, database=store.engine)
            ids = [store.create(new_account(n), actor="test").id for n in range(100)]
            before = _queries(store.pool_stats())

            def query(number: int) -> None:
                account = store.get(ids[number])
                assert account is not None
                assert account.id == ids[number]

            run = load_test_harness.run(
                Call(function=query, keys=100),
                name="partition_queries",
                model=Closed(users=16),
                duration=2.0,
            )
            after = _queries(store.pool_stats())
        assert all(now > then for now, then in zip(after, before, strict=True))
        measured.load(run.result)
        measured.judge()

    @_SCENARIO
    def test_partition_scalability(self, databases: Databases, measured: Measured) -> None:
        """Five hundred changes by eight threads in 2, 4 and 8 databases, each with one writer."""
        measured.setting(accounts=500, partitions=[2, 4, 8], users=8, database=databases.engine)
        with ExitStack() as stack:
            stores = {n: stack.enter_context(partitioned(databases, n)) for n in (2, 4, 8)}
            writers = stack.enter_context(ParallelProcessor(8, backend="thread"))
            for store in stores.values():
                for number in range(500):
                    store.create(new_account(number), actor="test")

            def changes(partitions: int) -> Callable[[], None]:
                blocks = _blocks(500, of=50)

                def change(number: int) -> int:
                    one, store = account_id(number), stores[partitions]
                    account = store.get(one)
                    assert account is not None
                    patch = AccountPatch(version=account.version, nps=7)
                    return store.update(one, patch, actor="test").version

                def block() -> None:
                    assert min(writers.map(change, next(blocks), chunk=1)) > 1

                return block

            times = in_turn(measured, {str(n): changes(n) for n in stores}, rounds=10)
            assert all(store.counts()["accounts"] == 500 for store in stores.values())
        keep_ratio(measured, "throughput_ratio", times, of="2", to="8")
        if times is not None:
            measured.series(
                "throughput over partitions",
                x=("partitions", [n for n in stores for _ in times[str(n)]]),
                y=("per s", [50 / x for n in stores for x in times[str(n)]]),
            )
        ids = [f"acc_{number:06d}" for number in range(500)]
        measured.keep(share("moved_share", round(500 * moved_share(ids, before=4, after=8)), 500))
        measured.judge()


def _queries(pools: Any) -> list[int]:
    """How often each partition's readers were asked for a connection."""
    return [stats.requests for name, stats in pools.items() if name.endswith("readers")]


def _blocks(numbers: int, *, of: int) -> Iterator[range]:
    """The numbers from 0 in blocks, over and over."""
    while True:
        yield from (range(start, start + of) for start in range(0, numbers, of))


class TestRedisCacheScaling:
    """Cached values over several Valkey processes."""

    @_SCENARIO
    def test_cache_shard_distribution(self, measured: Measured) -> None:
        """A thousand cached accounts over four Valkey processes, as those count them."""
        keys = [f"account:acc_{number:06d}" for number in range(1000)]
        with shards(4) as levels:
            measured.setting(keys=1000, shards=4)
            times = measured.times(lambda: _write_all(levels, keys), rounds=6)
            counts = [_stored(level) for level in levels]
            for place, level in enumerate(levels):
                due = {key for key in keys if partition_of(key, 4) == place}
                assert level.read(keys).keys() == due
        assert sum(counts) == 1000
        measured.count("imbalance", unevenness(counts), unit="share")
        moved = round(1000 * moved_share(keys, before=4, after=5))
        measured.keep(share("moved_share", moved, 1000))
        keep_median(measured, "throughput_per_s", None if times is None else 1000 / times)
        measured.judge()

    @_SCENARIO
    def test_concurrent_cache_access_scalability(
        self, load_test_harness: LoadTestHarness, measured: Measured
    ) -> None:
        """Reads a second of 10, 50 and 100 users over four Valkey processes.

        Ten fill this process's one interpreter already; what a hundred must not do is get less
        done between them.
        """
        keys = [f"account:acc_{number:06d}" for number in range(100)]
        throughput = []
        with shards(4) as levels:
            measured.setting(keys=100, shards=4, users=[10, 50, 100])
            _write_all(levels, keys)

            def read(number: int) -> None:
                key = keys[number]
                found = levels[partition_of(key, len(levels))].read([key])
                assert found[key].data == key.encode()

            for users in (10, 50, 100):
                run = load_test_harness.run(
                    Call(function=read, keys=100),
                    name=f"{users}_users",
                    model=Closed(users=users),
                    duration=1.0,
                    warm_up=0.2,
                )
                measured.load(run.result, prefix=f"{users}_users.")
                throughput.append(_by_stretch(run.result))
        measured.series(
            "throughput over users",
            x=("users", [10, 50, 100]),
            y=("per s", [float(np.mean(each)) for each in throughput]),
        )
        keep_median(measured, "throughput_ratio", throughput[-1] / float(np.median(throughput[0])))
        measured.judge()


def _write_all(levels: Sequence[ValkeyLevel], keys: Sequence[str]) -> None:
    """Store each key on its shard, ten at a time."""
    for place, level in enumerate(levels):
        own = [key for key in keys if partition_of(key, len(levels)) == place]
        for start in range(0, len(own), 10):
            level.write(
                {
                    key: StoredValue(data=key.encode(), ttl_s=300.0)
                    for key in own[start : start + 10]
                }
            )


def _stored(level: ValkeyLevel) -> int:
    """How many values the server has."""
    return len(level.call("KEYS", f"{level.namespace}:v:*"))


def _by_stretch(result: Any) -> Any:
    """Good answers a second in each tenth of what was measured."""
    edges = np.linspace(result.warm_up_s, result.duration_s, 11)
    ends_s = result.samples.where(~result.samples.failed).end_ns * 1e-9
    return np.histogram(ends_s, edges)[0] / np.diff(edges)


class TestLoadDistribution:
    """Requests over several servers: a worker of the processor talks to one of them each."""

    @_SCENARIO
    def test_round_robin_distribution(
        self, account_service: Callable[..., Any], limits: Limits, measured: Measured
    ) -> None:
        """A hundred requests to four servers in turn: as many each, as the servers count."""
        servers = [account_service(100) for _ in range(limits.at_most(4))]
        measured.setting(accounts=100, servers=len(servers), database=servers[0].engine)
        with Balanced(servers, LoadBalancingStrategy.ROUND_ROBIN) as balanced:
            times = measured.times(balanced.hundred, rounds=10)
            rounds = 1 if times is None else 10
            assert balanced.answered() == [rounds * n for n in _even(100, len(servers))]
            assert balanced.in_flight() == 0
        keep_median(measured, "throughput_per_s", None if times is None else 100 / times)
        measured.judge()

    @_SCENARIO
    def test_least_connections_distribution(
        self, account_service: Callable[..., Any], limits: Limits, measured: Measured
    ) -> None:
        """A hundred requests to four servers, one of which stands still: it gets no second one."""
        servers = [account_service(100) for _ in range(limits.at_most(4))]
        measured.setting(accounts=100, servers=len(servers), database=servers[0].engine)
        with Balanced(servers, LoadBalancingStrategy.LEAST_BUSY) as balanced:
            once(measured, lambda: balanced.hundred(standing=0))
            answered = balanced.answered()
            assert sum(answered) == 100
            assert balanced.in_flight() == 0
        measured.count("slow_server_share", answered[0] / 100, unit="share")
        measured.judge()


class TestThroughputScaling:
    """More data."""

    @_SCENARIO
    def test_throughput_with_data_size_increase(
        self, databases: Databases, measured: Measured
    ) -> None:
        """Briefs of accounts a second, with 100, 500, 1,000 and 2,000 accounts in the database.

        Each reads what its indexes find; without an index twenty times the rows take twenty times
        as long. All were read before: what is compared is the database and not the disk.
        """
        sizes = (100, 500, 1000, 2000)
        measured.setting(accounts=list(sizes), database=databases.engine)
        with ExitStack() as stack:
            stores = {
                size: stack.enter_context(databases.open(databases.seeded(size))) for size in sizes
            }
            for size, store in stores.items():
                for number in range(size):
                    assert store.brief(account_id(number)) is not None
            chance = np.random.default_rng(1)

            def briefs(size: int) -> Callable[[], None]:
                def block() -> None:
                    for number in chance.integers(size, size=20).tolist():
                        found = stores[size].brief(account_id(number))
                        assert found is not None
                        assert found.activities

                return block

            times = in_turn(measured, {str(size): briefs(size) for size in sizes}, rounds=16)
        keep_ratio(measured, "throughput_ratio", times, of="100", to="2000")
        keep_median(measured, "throughput_per_s", None if times is None else 20 / times["2000"])
        if times is not None:
            measured.series(
                "seconds a brief over accounts",
                x=("accounts", [size for size in sizes for _ in times[str(size)]]),
                y=("s", [x / 20 for size in sizes for x in times[str(size)]]),
            )
        measured.judge()
