"""Counts and times of requests, and what pools and cache say, as Prometheus text.

Each process has its own: with several workers a scrape sees the one that answers it.
"""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sergas.accounts.service import AccountService

__all__ = ["Metrics"]

# Which series is how old is told by the counters' own resets; it would be a third of the text.
disable_created_metrics()  # type: ignore[no-untyped-call]

_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """The metrics of one app."""

    def __init__(self, service: AccountService) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sergas_requests",
            "Requests that were answered.",
            ("operation", "status"),
            registry=self._registry,
        )
        self._times = Histogram(
            "sergas_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("operation",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "sergas_requests_in_flight", "Requests under way.", registry=self._registry
        )
        self._registry.register(_Backends(service))
        # Finding a child by its labels costs as much as counting.
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def observe(self, operation: str, status: int, elapsed_s: float) -> None:
        """Count a request that was answered."""
        counter = self._counters.get((operation, status))
        if counter is None:
            counter = self._requests.labels(operation, str(status))
            self._counters[operation, status] = counter
        counter.inc()
        histogram = self._histograms.get(operation)
        if histogram is None:
            histogram = self._histograms[operation] = self._times.labels(operation)
        histogram.observe(elapsed_s)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Backends(Collector):
    """What the pools and the cache count, read when it is asked for."""

    def __init__(self, service: AccountService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:  # type: ignore[explicit-override]
        """See `Collector`."""
        pools = self._service.store.pool_stats()
        for name in ("size", "idle", "lent", "waiting"):
            gauge = GaugeMetricFamily(
                f"sergas_pool_{name}", f"Connections of a pool: {name}.", labels=("pool",)
            )
            for pool, stats in pools.items():
                gauge.add_metric((pool,), getattr(stats, name))
            yield gauge
        for name in ("requests", "queued", "timeouts", "lost"):
            counter = CounterMetricFamily(
                f"sergas_pool_{name}", f"Counted by a pool: {name}.", labels=("pool",)
            )
            for pool, stats in pools.items():
                counter.add_metric((pool,), getattr(stats, name))
            yield counter
        if self._service.cache is None:
            return
        counts = self._service.cache.stats()
        for name in ("hits", "level2_hits", "misses", "loads", "evictions", "level2_errors"):
            yield CounterMetricFamily(
                f"sergas_cache_{name}",
                f"Counted by the cache: {name}.",
                value=getattr(counts, name),
            )
        yield GaugeMetricFamily("sergas_cache_size", "Entries in the cache.", value=counts.size)
