"""What pools make of a server that restarts or is away: errors, recovery, connection attempts.

    .venv/bin/python -m tools.evaluation.pool_faults --repeats 3

Each pool has four connections of psycopg to a server of its own. Pools take turns, and who begins
changes from repeat to repeat. Three questions:

- `restart`: the server restarts while all connections are idle; then 12 queries, one after another.
- `asked while down`: four clients ask while it is down; it comes up 0.3 s later.
- `outage`: the server is away for 4 s under 16 clients, who ask again 50 ms after an error. Pools
  try in a rhythm, so it is shorter from repeat to repeat, by a quarter of a second in all. `cut`:
  over a wire that accepts each connection and hangs up, which is counted there, too; `stop`: the
  server is really down, and connections are refused.

All have a time limit of 2 s for a connection, and are tried with and without a check before a loan
where that is an option.
"""

import argparse
import importlib
import importlib.util
import json
import logging
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import psycopg

from sergas.optimizations.connection_pool import ConnectionPool
from sergas.optimizations.connection_pool.drivers import psycopg_driver
from sergas.servers import OWN, PostgresServer, start_postgres

SIZE = 4
TIMEOUT_S = 2.0
QUERIES = 12
CLIENTS = 16
PAUSE_S = 0.05
DOWN_S = 0.3
SPREAD_S = 0.25


@dataclass(slots=True)
class Tally:
    """Counts calls of connect, from any thread."""

    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, counted."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self.lock:
                self.count += 1
            return connect(*arguments, **options)

        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool under test: one query on one of its connections, and its end."""

    query: Callable[[], None]
    close: Callable[[], object]


Maker = Callable[[str, Tally], Pool]


def _sergas(dsn: str, tally: Tally) -> Pool:
    driver = psycopg_driver(dsn)
    driver = replace(driver, connect=tally.counted(driver.connect))
    pool = ConnectionPool(driver, min_size=SIZE, timeout_s=TIMEOUT_S)
    pool.open(wait=True)
    return Pool(query=partial(_in_block, pool.connection), close=pool.close)


def _psycopg_pool(dsn: str, tally: Tally, *, is_checked: bool) -> Pool:
    library = importlib.import_module("psycopg_pool")

    class Counted(psycopg.Connection[Any]):
        connect = staticmethod(tally.counted(psycopg.Connection.connect))

    pool = library.ConnectionPool(
        dsn,
        connection_class=Counted,
        min_size=SIZE,
        max_size=SIZE,
        timeout=TIMEOUT_S,
        check=library.ConnectionPool.check_connection if is_checked else None,
        open=True,
    )
    pool.wait()
    return Pool(query=partial(_in_block, pool.connection), close=pool.close)


def _sqlalchemy(dsn: str, tally: Tally, *, is_checked: bool) -> Pool:
    library = importlib.import_module("sqlalchemy")
    engine = library.create_engine(
        "postgresql+psycopg://",
        creator=partial(tally.counted(psycopg.connect), dsn),
        pool_size=SIZE,
        max_overflow=0,
        pool_timeout=TIMEOUT_S,
        pool_pre_ping=is_checked,
    )

    def query() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1").scalar_one()

    return Pool(query=query, close=engine.dispose)


def _in_block(connection_of: Callable[[], Any]) -> None:
    with connection_of() as connection:
        connection.execute("SELECT 1").fetchone()


POOLS: dict[str, Maker] = {
    "sergas": _sergas,
    "psycopg_pool": partial(_psycopg_pool, is_checked=False),
    "psycopg_pool, check": partial(_psycopg_pool, is_checked=True),
    "SQLAlchemy": partial(_sqlalchemy, is_checked=False),
    "SQLAlchemy, pre_ping": partial(_sqlalchemy, is_checked=True),
}
_NEEDS = {"psycopg_pool": "psycopg_pool", "SQLAlchemy": "sqlalchemy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One query of a client.

    Attributes:
        begun_s: On the clock of `time.perf_counter`.
        spent_s: Seconds until it had its answer or error.
        error: The error's class, or None.
    """

    begun_s: float
    spent_s: float
    error: str | None

    @property
    def ended_s(self) -> float:
        """On the same clock."""
        return self.begun_s + self.spent_s

    def is_answer_after(self, moment_s: float) -> bool:
        """Whether it was answered, and not before that moment."""
        return self.error is None and self.ended_s >= moment_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one pool did in one scenario.

    Attributes:
        pool: Which pool.
        scenario: Which scenario.
        calls: Queries that count.
        errors: How many of them failed.
        error_s_median: Seconds until an error, in the middle; None without errors.
        error_s_max: The same at most.
        first_answer_s: Seconds from the server's return to the first answer; None if none came.
        all_answered_s: The same until every client has had one; None if one has not.
        attempts: Calls of connect: while the server was away in `outage`, else in all.
        connections: Connections that reached the wire meanwhile, a pool's probes included; None
            where there is no wire.
    """

    pool: str
    scenario: str
    calls: int
    errors: int
    error_s_median: float | None
    error_s_max: float | None
    first_answer_s: float | None
    all_answered_s: float | None
    attempts: int
    connections: int | None


def summary(
    pool: str, scenario: str, clients: Sequence[Sequence[Call]], *, since_s: float, back_s: float
) -> Result:
    """Counts and times of the calls of each client, without the attempts.

    Args:
        pool: Its name.
        scenario: Its name.
        clients: The calls of each, in their order.
        since_s: Calls that began earlier do not count: what they were at is lost with the server.
        back_s: When the server was back. Both on the clock of the calls.
    """
    counted = [call for calls in clients for call in calls if call.begun_s >= since_s]
    failed = [call.spent_s for call in counted if call.error is not None]
    answered = [
        next((call.ended_s - back_s for call in calls if call.is_answer_after(back_s)), None)
        for calls in clients
    ]
    served = [seconds for seconds in answered if seconds is not None]
    return Result(
        pool=pool,
        scenario=scenario,
        calls=len(counted),
        errors=len(failed),
        error_s_median=statistics.median(failed) if failed else None,
        error_s_max=max(failed) if failed else None,
        first_answer_s=min(served) if served else None,
        all_answered_s=max(served) if len(served) == len(clients) else None,
        attempts=0,
        connections=None,
    )


def timed_call(query: Callable[[], None]) -> Call:
    """One query and what became of it."""
    begun_s = time.perf_counter()
    error = None
    try:
        query()
    except Exception as caught:  # noqa: BLE001 every pool has errors of its own
        error = type(caught).__name__
    return Call(begun_s=begun_s, spent_s=time.perf_counter() - begun_s, error=error)


@contextmanager
def _full(maker: Maker, dsn: str, tally: Tally) -> Iterator[Pool]:
    """The pool with all of its connections open and idle."""
    pool = maker(dsn, tally)
    try:
        # As many at once as there are connections: a lazy pool opens them all.
        together = threading.Barrier(SIZE)

        def once(_: int) -> None:
            together.wait()
            for _ in range(5):
                pool.query()

        with ThreadPoolExecutor(SIZE) as clients:
            list(clients.map(once, range(SIZE)))
        yield pool
    finally:
        pool.close()


def restart(name: str, server: PostgresServer) -> Result:
    """The server restarts while all is idle; then queries one after another."""
    tally = Tally()
    with _full(POOLS[name], server.direct_dsn, tally) as pool:
        before, since_s = tally.count, time.perf_counter()
        server.restart()
        back_s = time.perf_counter()
        calls = [timed_call(pool.query) for _ in range(QUERIES)]
        attempts = tally.count - before
    result = summary(name, "restart", [calls], since_s=since_s, back_s=back_s)
    return replace(result, attempts=attempts)


def asked_while_down(name: str, server: PostgresServer) -> Result:
    """Clients ask while the server is down, which is for less than their time limit."""
    tally = Tally()
    with (
        _full(POOLS[name], server.direct_dsn, tally) as pool,
        ThreadPoolExecutor(SIZE) as clients,
    ):
        before = tally.count
        server.stop()
        since_s = time.perf_counter()
        asked = [clients.submit(timed_call, pool.query) for _ in range(SIZE)]
        _pause(DOWN_S)
        server.start()
        back_s = time.perf_counter()
        calls = [[each.result()] for each in asked]
        attempts = tally.count - before
    result = summary(name, "asked while down", calls, since_s=since_s, back_s=back_s)
    return replace(result, attempts=attempts)


def outage(name: str, server: PostgresServer, kind: str, outage_s: float) -> Result:
    """The server is away under many clients, each of which goes on until it is served again."""
    tally = Tally()
    is_cut = kind == "cut"
    back = threading.Event()

    def ask(_: int) -> list[Call]:
        calls = []
        limit_s = time.perf_counter() + outage_s + 5 * TIMEOUT_S
        while time.perf_counter() < limit_s:
            is_last = back.is_set()
            calls.append(timed_call(pool.query))
            if calls[-1].error is not None:
                _pause(PAUSE_S)
            elif is_last:
                break
        return calls

    with (
        _full(POOLS[name], server.dsn if is_cut else server.direct_dsn, tally) as pool,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        running = clients.map(ask, range(CLIENTS))
        _pause(PAUSE_S)
        before, reached = tally.count, server.connection_count
        (server.cut_off if is_cut else server.stop)()
        since_s = time.perf_counter()
        _pause(outage_s)
        tried, reached = tally.count - before, server.connection_count - reached
        (server.restore if is_cut else server.start)()
        back_s = time.perf_counter()
        back.set()
        calls = list(running)
    result = summary(name, f"outage, {kind}", calls, since_s=since_s, back_s=back_s)
    return replace(result, attempts=tried, connections=reached if is_cut else None)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def turns(names: Sequence[str], repeats: int) -> list[str]:
    """Whose turn it is: all in every repeat, another first each time."""
    order = []
    for repeat in range(repeats):
        first = repeat % len(names)
        order += [*names[first:], *names[:first]]
    return order


def _shown(values: Sequence[float | None]) -> str:
    """The median in milliseconds and, where they differ, the least and the most."""
    known = [value * 1e3 for value in values if value is not None]
    if not known:
        return "-"
    middle, least, most = statistics.median(known), min(known), max(known)
    return f"{middle:.1f} ({least:.1f}-{most:.1f})" if len(known) > 1 else f"{middle:.1f}"


def _counts(values: Sequence[int | None]) -> str:
    known = sorted({value for value in values if value is not None})
    return "-".join(map(str, dict.fromkeys((known[0], known[-1])))) if known else "-"


def table(results: Sequence[Result]) -> list[str]:
    """A line for each pool in each scenario; times in milliseconds."""
    line = "{:18} {:22} {:>11} {:>9} {:>24} {:>10} {:>24} {:>24} {:>9} {:>11}"
    lines = [
        line.format(
            *("scenario", "pool", "calls", "errors", "until error, ms", "at most"),
            *("first answer, ms", "all answered, ms", "attempts", "connections"),
        )
    ]
    for scenario, pool in dict.fromkeys((each.scenario, each.pool) for each in results):
        same = [each for each in results if (each.scenario, each.pool) == (scenario, pool)]
        longest = [each.error_s_max for each in same if each.error_s_max is not None]
        lines.append(
            line.format(
                *(scenario, pool),
                _counts([each.calls for each in same]),
                _counts([each.errors for each in same]),
                _shown([each.error_s_median for each in same]),
                f"{max(longest) * 1e3:.1f}" if longest else "-",
                _shown([each.first_answer_s for each in same]),
                _shown([each.all_answered_s for each in same]),
                _counts([each.attempts for each in same]),
                _counts([each.connections for each in same]),
            )
        )
    return lines


def missing(names: Sequence[str]) -> list[str]:
    """Libraries that these pools need and that are not installed."""
    needed = {library for start, library in _NEEDS.items() for name in names if start in name}
    return sorted(library for library in needed if importlib.util.find_spec(library) is None)


def main(argv: Sequence[str]) -> int:
    """Measure, print a table and, as the last line, every result as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.evaluation.pool_faults",
        description="What pools make of a server that restarts or is away.",
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns of each pool; default 3")
    parser.add_argument("--outage-s", type=float, default=4.0, help="length of an outage, seconds")
    parser.add_argument(
        "--pools",
        default=";".join(POOLS),
        help=f"separated by semicolons, of: {'; '.join(POOLS)}",
    )
    asked = parser.parse_args(argv)
    names = [name.strip() for name in asked.pools.split(";")]
    if unknown := sorted(set(names) - set(POOLS)):
        parser.error(f"--pools: {', '.join(unknown)}, needed of: {'; '.join(POOLS)}")
    if absent := missing(names):
        print(
            f"pool_faults: {', '.join(absent)} not installed; "
            "python -m pip install 'groundspeed[peers]', or choose with --pools sergas",
            file=sys.stderr,
        )
        return 2
    # The pools tell of lost connections at length; the table counts them.
    logging.disable(logging.ERROR)
    results = []
    with start_postgres(sources=OWN, proxy=True) as server:
        for turn, name in enumerate(turns(names, asked.repeats)):
            outage_s = asked.outage_s - SPREAD_S * (turn // len(names)) / asked.repeats
            results += [restart(name, server), asked_while_down(name, server)]
            results += [outage(name, server, kind, outage_s) for kind in ("cut", "stop")]
        print(f"PostgreSQL {server.version}, {server.source}, {server.profile}; 4 connections")
    results.sort(key=lambda each: (each.scenario, names.index(each.pool)))
    print("\n".join(table(results)))
    print(json.dumps([asdict(each) for each in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
