"""Requests over several running services, and how much goes on at a time."""

import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from tests.performance.support.scraping import counted, scraped

from sergas.optimizations.parallel_processor import (
    LoadBalancingStrategy,
    ParallelProcessor,
    Progress,
)
from sergas.sdk import Policy, SergasClient

__all__ = ["AtOnce", "Balanced"]

_OTHERS = 99  # of a hundred, where one is with a server that stands still


class AtOnce:
    """Counts how many threads are inside at a time, and the most that were."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_exc_info: object) -> None:
        with self._lock:
            self._now -= 1


class Balanced:
    """Sends requests to servers, each of which has one connection of a worker's own.

    Args:
        servers: Running services.
        balance: Who gets the next request.
    """

    def __init__(self, servers: Sequence[Any], balance: LoadBalancingStrategy) -> None:
        self._servers = servers
        patience = Policy(timeout_s=5.0, retries=0)  # a second attempt would be counted twice
        self._clients = [SergasClient(one.url, one.key, policy=patience) for one in servers]
        for client in self._clients:
            client.accounts.get("acc_000000")  # has its token by now
        self._before = self._answered()
        self._unclaimed: queue.SimpleQueue[SergasClient] = queue.SimpleQueue()
        for client in self._clients:
            self._unclaimed.put(client)
        self._own = threading.local()
        self._processor = ParallelProcessor(len(servers), backend="thread", balance=balance)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._processor.close()
        for client in self._clients:
            client.close()

    def hundred(self, *, standing: int | None = None) -> None:
        """Send a hundred requests; one server stands still until all others are answered."""
        if standing is None:
            self._send(lambda _progress: None)
            return
        pid = self._servers[standing].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            self._send(lambda p: os.kill(pid, signal.SIGCONT) if p.done >= _OTHERS else None)
        finally:
            os.kill(pid, signal.SIGCONT)

    def answered(self) -> list[int]:
        """How many requests each server has answered since the beginning."""
        return [now - then for now, then in zip(self._answered(), self._before, strict=True)]

    def in_flight(self) -> int:
        """How many requests the servers are at, beside the one that asks for it."""
        found = [counted(scraped(one.url), "sergas_requests_in_flight") for one in self._servers]
        return int(sum(found)) - len(found)

    def _send(self, progress: Callable[[Progress], object]) -> None:
        # Not in order: what comes after the answer that is waited for would be held back.
        found = self._processor.imap_unordered(self._get, range(100), chunk=1, progress=progress)
        assert sorted(found) == [f"acc_{number:06d}" for number in range(100)]

    def _get(self, number: int) -> str:
        if not hasattr(self._own, "client"):
            self._own.client = self._unclaimed.get_nowait()
        client: SergasClient = self._own.client
        return client.accounts.get(f"acc_{number:06d}").id

    def _answered(self) -> list[int]:
        return [
            int(counted(scraped(one.url), "sergas_requests_total", operation="get_account"))
            for one in self._servers
        ]
