"""How long the servers for tests take to start, from each source, and what a breakable wire costs.

    .venv/bin/python -m tools.evaluation.server_starts --repeats 9

Cold: `initdb` makes the cluster. Cached: a cluster made before is copied.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sergas.errors import MissingExtraError, ServerNotFoundError
from sergas.servers import OWN, Server, Source, start_postgres, start_valkey

_ROUND_TRIPS = 2000

Times = dict[str, list[float]]


@contextmanager
def _timed(times: Times, name: str) -> Iterator[None]:
    begun_s = time.perf_counter()
    yield
    times.setdefault(name, []).append(time.perf_counter() - begun_s)


def _live(times: Times, name: str, start: Callable[[], Server]) -> None:
    """One life: start, restart, kill and start, close."""
    with _timed(times, f"{name}: start"):
        server = start()
    with server:
        with _timed(times, f"{name}: restart"):
            server.restart()
        with _timed(times, f"{name}: kill and start"):
            server.kill()
            server.start()
        with _timed(times, f"{name}: close"):
            server.close()


def _postgres(times: Times, source: Source) -> None:
    with tempfile.TemporaryDirectory() as cache:
        folder = Path(cache)
        for state in ("cold", "cached"):
            _live(
                times,
                f"PostgreSQL, {source}, {state}",
                lambda: start_postgres(sources=(source,), cache=folder),
            )


def _valkey(times: Times, source: Source) -> None:
    _live(times, f"Valkey, {source}", lambda: start_valkey(sources=(source,)))


def _round_trips(times: Times) -> None:
    """Seconds of one PING, directly and over the wire, alternating in blocks."""
    try:
        import redis
    except ImportError as error:
        raise MissingExtraError("needs redis-py; pip install 'groundspeed[redis]'") from error
    with (
        start_valkey(sources=OWN, proxy=True) as server,
        redis.Redis.from_url(server.direct_url) as direct,
        redis.Redis.from_url(server.url) as wired,
    ):
        for name, client in (("direct", direct), ("over the wire", wired)) * 5:
            client.ping()
            begun_s = time.perf_counter()
            for _ in range(_ROUND_TRIPS // 10):
                client.ping()
            spent_s = (time.perf_counter() - begun_s) / (_ROUND_TRIPS // 10)
            times.setdefault(f"PING, {name}", []).append(spent_s)


def main(argv: list[str]) -> int:
    """Measure, print a table and, as the last line, the samples as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluation.server_starts")
    parser.add_argument("--repeats", type=int, default=5, help="lives of each server; default 5")
    repeats: int = parser.parse_args(argv).repeats
    times: Times = {}
    measured = [(measure, source) for measure in (_postgres, _valkey) for source in OWN]
    for _ in range(repeats):
        for each in tuple(measured):
            measure, source = each
            try:
                measure(times, source)
            except ServerNotFoundError as error:
                print(f"left out: {error}", file=sys.stderr)
                measured.remove(each)
    _round_trips(times)
    print(f"{'milliseconds':44} {'median':>9} {'least':>9} {'most':>9}")
    for name, samples in times.items():
        shown = (statistics.median(samples), min(samples), max(samples))
        print(f"{name:44} " + " ".join(f"{seconds * 1e3:9.3f}" for seconds in shown))
    print(json.dumps(times))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
