"""Measured percentiles of real queues beside what queueing theory says.

    .venv/bin/python -m tools.evaluation.load_queues --seconds 60

The load generator asks coroutines that queue for one or four servers and are served for random,
exponential times. Arrivals are Poisson, so these are M/M/1 and M/M/4 queues. A sleep of the event
loop is some tenths of a millisecond longer than asked; it is asked for that much less, by what a
few sleeps before the run were late.
"""

import argparse
import asyncio
import math
import random
import statistics
import time

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Call, LoadResult, Open, Operation, Scenario, Steady, run
from groundspeed.load.figures import latency

SERVICE_S = 0.025
CASES = (("M/M/1 at 50 %", 1, 0.5), ("M/M/1 at 70 %", 1, 0.7), ("M/M/4 at 75 %", 4, 0.75))
QUANTILES = (0.5, 0.9, 0.95, 0.99)


class Queue:
    """So many servers, first come first served."""

    def __init__(self, servers: int, late_s: float) -> None:
        self._servers = servers
        self._late_s = late_s
        self._free: asyncio.Semaphore | None = None
        self._draw = random.Random(1)  # noqa: S311 - service times, no secret

    async def serve(self) -> None:
        """Wait for a server and be served."""
        if self._free is None:  # made on the loop that awaits it
            self._free = asyncio.Semaphore(self._servers)
        async with self._free:
            await asyncio.sleep(max(0.0, self._draw.expovariate(1.0 / SERVICE_S) - self._late_s))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    seconds = parser.parse_args().seconds
    late_s = asyncio.run(_lateness_s())
    print(f"sleeps are {late_s * 1e3:.2f} ms late; service {SERVICE_S * 1e3:g} ms; {seconds:g} s")
    for name, servers, busy in CASES:
        rate = busy * servers / SERVICE_S
        result = _measure(servers, rate, seconds, late_s)
        print(f"{name}: {result.recorded} requests; {result.invalid or 'valid'}")
        for q in QUANTILES:
            print(_row(result, q, theory_s(q, rate=rate, servers=servers)))


def theory_s(q: float, *, rate: float, servers: int) -> float:
    """The quantile of an M/M/c queue's response time, by bisection (Kleinrock 1975, 3.5)."""
    service = 1.0 / SERVICE_S
    load = rate / service
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1.0 - load / servers)
    waits, theta = last / (sum(terms) + last), servers * service - rate
    low, high = 0.0, 100.0 / min(theta, service)
    for _ in range(200):
        middle = (low + high) / 2.0
        alone = math.exp(-service * middle)
        if math.isclose(theta, service):
            both = alone * (1.0 + service * middle)
        else:
            both = (theta * alone - service * math.exp(-theta * middle)) / (theta - service)
        above = (1.0 - waits) * alone + waits * both
        low, high = (middle, high) if above > 1.0 - q else (low, middle)
    return high


async def _lateness_s() -> float:
    found = []
    for _ in range(100):
        start = time.perf_counter()
        await asyncio.sleep(0.010)
        found.append(time.perf_counter() - start - 0.010)
    return statistics.median(found)


def _measure(servers: int, rate: float, seconds: float, late_s: float) -> LoadResult:
    queue = Queue(servers, late_s)
    operation = Operation(name="serve", target=Call(function=queue.serve))
    return run(
        Scenario(
            name="queue",
            operations=(operation,),
            model=Open(rate=rate),
            stages=(Steady(duration=seconds),),
            warm_up=2.0,
        )
    )


def _row(result: LoadResult, q: float, truth: float) -> str:
    head = f"  p{q * 100:<4g} theory {truth * 1e3:7.1f} ms"
    try:
        found = latency(result, q)
    except TooFewSamplesError as error:
        return f"{head}, {error}"
    ends = f"{found.low * 1e3:.1f} to {found.high * 1e3:.1f}"
    inside = "inside" if found.low <= truth <= found.high else "OUTSIDE"
    return f"{head}, measured {found.value * 1e3:7.1f} ({ends}), {inside}"


if __name__ == "__main__":
    main()
