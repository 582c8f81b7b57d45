"""What one request costs the client that makes it: ours beside aiohttp, httpx and wrk.

    pip install 'groundspeed[test,peers,service]'      # wrk from the system, where it has it
    python tools/evaluation/load_client_cost.py [--repeats 5] [--seconds 4]

Each client asks a small server on loopback as fast as it can, on ten connections and on one, in a
process of its own whose CPU time is read; contestants take turns. The rates are those of this
machine with client and server sharing it; the last column is a share of wrk's rate in the same
repeat. The server is uvicorn with an application of three lines (`--server stalling` for the plain
loop of the self-check, which answers faster).
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from groundspeed.load import Closed, Http, Open, Operation, Scenario, Steady, run
from groundspeed.load.engines import part_of
from groundspeed.load.generator import run_part
from groundspeed.load.selfchecking import record_s, stalling_server
from groundspeed.stats import FloatArray

__all__ = ["app", "main"]

_CLIENTS = ("ours", "aiohttp", "httpx", "wrk")
_BODY = b"ok"
_PACING_RATE = 1000.0
_SPIN_NS = 250_000


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least that a server can answer."""
    del receive
    if scope["type"] == "http":
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY})


@contextlib.contextmanager
def uvicorn_server() -> Iterator[str]:
    """The application on uvicorn in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent)),
        *("load_client_cost:app", "--port", str(port), "--log-level", "warning"),
        *("--lifespan", "off", "--no-access-log"),
    ]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def ours(url: str, users: int, seconds: float) -> int:
    """Our engine, as a generator process runs it."""
    scenario = Scenario(
        name="cost",
        operations=(Operation(name="get", target=Http(url=url)),),
        model=Closed(users=users),
        stages=(Steady(duration=seconds),),
    )
    part = part_of(scenario, part=0, start_ns=time.perf_counter_ns(), say=lambda _: None)
    result, _ = run_part(part, scenario, 0)
    return len(result.samples)


def aiohttp(url: str, users: int, seconds: float) -> int:
    """A session, a task a user."""
    library = importlib.import_module("aiohttp")

    async def ask_all() -> int:
        connector = library.TCPConnector(limit=users)
        async with library.ClientSession(connector=connector) as session:

            async def ask(end_s: float) -> int:
                count = 0
                while time.perf_counter() < end_s:
                    async with session.get(url) as answer:
                        await answer.read()
                    count += 1
                return count

            end_s = time.perf_counter() + seconds
            return sum(await asyncio.gather(*(ask(end_s) for _ in range(users))))

    return asyncio.run(ask_all())


def httpx(url: str, users: int, seconds: float) -> int:
    """A client, a task a user."""
    library = importlib.import_module("httpx")

    async def ask_all() -> int:
        async with library.AsyncClient() as client:

            async def ask(end_s: float) -> int:
                count = 0
                while time.perf_counter() < end_s:
                    await client.get(url)
                    count += 1
                return count

            end_s = time.perf_counter() + seconds
            return sum(await asyncio.gather(*(ask(end_s) for _ in range(users))))

    return asyncio.run(ask_all())


def wrk(url: str, users: int, seconds: float) -> int:
    """The program in C."""
    command = ["wrk", "-t1", f"-c{users}", f"-d{seconds:g}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if "requests in" in line)
    return int(line.split()[0])


def _one(client: str, url: str, users: int, seconds: float) -> dict[str, float]:
    """One run in this process, which was started for it."""
    ask = {"ours": ours, "aiohttp": aiohttp, "httpx": httpx, "wrk": wrk}[client]
    ask(url, users, 0.2 if client != "wrk" else 1.0)
    before, start_s = _cpu_s(client), time.perf_counter()
    count = ask(url, users, seconds)
    wall_s = time.perf_counter() - start_s
    return {"cpu_s": (_cpu_s(client) - before) / count, "rate_per_s": count / wall_s}


def _cpu_s(client: str) -> float:
    who = resource.RUSAGE_CHILDREN if client == "wrk" else resource.RUSAGE_SELF
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _measure(url: str, options: argparse.Namespace) -> None:
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    clients = [c for c in options.clients.split(",") if c != "wrk" or shutil.which("wrk")]
    for _ in range(options.repeats):
        for users in (10, 1):
            for client in clients:
                command = [sys.executable, __file__, "--one", client, url, str(users)]
                said = subprocess.run(
                    [*command, str(options.seconds)], capture_output=True, text=True, check=True
                )
                found.setdefault((client, users), []).append(json.loads(said.stdout))
    head = f"{'client':10}{'connections':>12}{'CPU us/request':>16}{'range':>16}{'rate/s':>10}"
    print(f"{head}{'of wrk':>8}")
    for (client, users), runs in sorted(found.items(), key=lambda item: (-item[0][1], item[0][0])):
        cpu = sorted(run["cpu_s"] * 1e6 for run in runs)
        rate = statistics.median(run["rate_per_s"] for run in runs)
        beside = found.get(("wrk", users), [])
        shares = [a["rate_per_s"] / b["rate_per_s"] for a, b in zip(runs, beside, strict=False)]
        share = f"{statistics.median(shares) * 100:.0f} %" if shares else "-"
        spread = f"{cpu[0]:.1f} to {cpu[-1]:.1f}"
        row = f"{client:10}{users:12}{statistics.median(cpu):16.1f}{spread:>16}{rate:10,.0f}"
        print(f"{row}{share:>8}")


def pacing(seconds: float) -> None:
    """How late our engine takes up a request at 1,000 a second, beside a loop that only waits.

    What the loop is late by, sleeping and spinning alike without a single request, is the
    machine's doing; the shares of seconds are for a reader whose machine does other work, too.
    """
    _tell_lag("a loop that only waits", _waiting_lag_us(seconds), seconds)
    with stalling_server() as server:
        scenario = Scenario(
            name="pacing",
            operations=(Operation(name="get", target=Http(url=server.url)),),
            model=Open(rate=_PACING_RATE, arrivals="constant"),
            stages=(Steady(duration=seconds),),
            warm_up=0.0,
        )
        result = run(scenario)
    _tell_lag("ours", result.lag_s * 1e6, seconds)


def _waiting_lag_us(seconds: float) -> FloatArray:
    lag_ns = []
    start_ns = time.perf_counter_ns()
    for number in range(int(seconds * _PACING_RATE)):
        due_ns = start_ns + number * int(1e9 / _PACING_RATE)
        while (left_ns := due_ns - time.perf_counter_ns()) > 0:
            if left_ns > _SPIN_NS:
                time.sleep((left_ns - _SPIN_NS) * 1e-9)
        lag_ns.append(time.perf_counter_ns() - due_ns)
    return np.array(lag_ns) / 1e3


def _tell_lag(name: str, lag_us: FloatArray, seconds: float) -> None:
    each = [np.quantile(part, 0.99) for part in np.array_split(lag_us, int(seconds))]
    print(
        f"lag at 1,000/s, {name}: p50 {np.median(lag_us):.1f}, p99 {np.quantile(lag_us, 0.99):.1f} "
        f"us; p99 of each second: {min(each):.1f} to {max(each):.1f}, median {np.median(each):.1f}"
    )


def main() -> None:
    """Measure and print the table."""
    if sys.argv[1:2] == ["--one"]:
        client, url, users, seconds = sys.argv[2:]
        print(json.dumps(_one(client, url, int(users), float(seconds))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--pacing", type=float, default=15.0, help="seconds of its runs")
    parser.add_argument("--clients", default=",".join(_CLIENTS))
    parser.add_argument("--server", choices=("uvicorn", "stalling"), default="uvicorn")
    options = parser.parse_args()
    print(f"recording a sample: {record_s() * 1e9:.1f} ns")
    pacing(options.pacing)
    if options.server == "uvicorn":
        with uvicorn_server() as url:
            _measure(url, options)
    else:
        with stalling_server() as server:
            _measure(server.url, options)


if __name__ == "__main__":
    main()
