"""What the service costs beside a bare handler: requests a second and percentiles, by wrk.

    python -m tools.evaluation.account_service [--accounts 5000] [--turns 5] [--seconds 5]

GET of one account by its id, over loopback, one server process and one thread of wrk (Debian's
package `wrk`) with eight connections. The bare handler is Starlette's, on the same server with the
same settings, and answers with as many bytes that it has at hand. The servers take turns.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tools.evaluation.account_server import seeded_file, served

from sergas.api import server_config

__all__ = ["main"]

_CONNECTIONS = 8
_SIZE = 989  # of a seeded account as JSON
_SCRIPT = """
local number = 0
function request()
  number = (number * 1103515245 + 12345) %% 2147483648
  return wrk.format("GET", string.format("/v1/accounts/acc_%%06d", number %% %d))
end
function done(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %%f %%f %%f %%f %%d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(95), latency:percentile(99), failed))
end
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("account_service: wrk is not installed; on Debian: apt-get install wrk")
    with ExitStack() as stack:
        path = stack.enter_context(seeded_file(options.accounts))
        database = f"sqlite:///{path}"
        cached = stack.enter_context(served(database))
        uncached = stack.enter_context(served(database, environment={"SERGAS_CACHE": "0"}))
        bare_port = _free_port()
        bare = multiprocessing.get_context("spawn").Process(target=_serve_bare, args=(bare_port,))
        bare.start()
        stack.callback(bare.join)
        stack.callback(bare.terminate)
        _wait_for(bare_port)
        script = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ask.lua"
        script.write_text(_SCRIPT % options.accounts, encoding="utf-8")
        targets = {
            "bare handler": (f"http://127.0.0.1:{bare_port}", "none"),
            "sergas, cached": (cached.url, cached.token),
            "sergas, not cached": (uncached.url, uncached.token),
        }
        results: dict[str, list[list[float]]] = {name: [] for name in targets}
        for turn in range(options.turns + 1):
            for name, (url, token) in targets.items():
                figures = _asked(url, token, script, 2 if turn == 0 else options.seconds)
                if turn:  # the first fills the caches
                    results[name].append(figures)
    _print(results)


def _asked(url: str, token: str, script: Path, seconds: int) -> list[float]:
    """Requests a second, and three percentiles in microseconds."""
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", os.fspath(script)]
    command += ["-H", f"authorization: Bearer {token}", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (.*)", told)
    if found is None:
        raise SystemExit(f"account_service: wrk said nothing of use: {told}")
    *figures, failed = map(float, found.group(1).split())
    if failed:
        raise SystemExit(f"account_service: {failed:.0f} requests failed at {url}")
    return figures


def _print(results: dict[str, list[list[float]]]) -> None:
    print(f"{'':<20}{'requests/s':>26}{'P50, us':>18}{'P95, us':>18}{'P99, us':>18}  cost")
    bare = results["bare handler"]
    for name, turns in results.items():
        rate, *percentiles = ([turn[place] for turn in turns] for place in range(4))
        costs = [base[0] / turn[0] for base, turn in zip(bare, turns, strict=True)]
        shown = "".join(f"{_shown(values):>18}" for values in percentiles)
        print(f"{name:<20}{_shown(rate):>26}{shown}  {_shown(costs)}")


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} [{min(values):.4g}..{max(values):.4g}]"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait_for(port: int) -> None:
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)


def _serve_bare(port: int) -> None:
    body = b'{"filler":"' + b"x" * (_SIZE - 13) + b'"}'

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/v1/accounts/{id}", answer)])
    config = server_config(app, shutdown_s=1, read_timeout_s=10, host="127.0.0.1", port=port)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
