"""Who sees a server that freezes: our load generator beside Locust, hey, wrk and a sequential loop.

    pip install 'groundspeed[test,peers]'      # hey and wrk from the system, where it has them
    python tools/evaluation/load_stall.py [--repeats 3] [--seconds 20]

The server freezes for 1 s in every 5 and is asked 100 times a second. Arithmetic says what an open
stream of requests sees: p(q) = S (q - (1 - f)) / f above the share 1 - f, so p90 500, p95 750, p99
950 ms. Each contestant is told the same rate, in its own way: ours by its three models, Locust by
ten users with `constant_throughput(10)`, hey by ten workers at ten a second; wrk 4 and the loop
cannot be told a rate. Contestants take turns; every run has a server of its own.
"""

import argparse
import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from groundspeed.load import StallPlan
from groundspeed.load.selfchecking import STALL_LEVELS, closed_stall, open_stall, stalling_server
from groundspeed.load.stalling import freeze_share_quantile
from groundspeed.units import format_seconds

__all__ = ["main"]

Levels = tuple[float, ...]
"""Seconds at p90, p95 and p99; infinity where a tool does not say."""

Run = tuple[Levels, Levels]
"""What was seen, and what is true."""

_LOCUST = """
    from locust import FastHttpUser, constant_throughput, task
    class Asking(FastHttpUser):
        wait_time = constant_throughput(10)
        @task
        def ask(self):
            self.client.get("/")
"""
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def constant(plan: StallPlan) -> Levels:
    """Ours, open, evenly spaced."""
    return open_stall(plan, "constant").measured_s


def poisson(plan: StallPlan) -> tuple[Levels, Levels]:
    """Ours, open, Poisson, and the truth of its own arrivals."""
    stall = open_stall(plan, "poisson")
    return stall.measured_s, stall.true_s


def closed(plan: StallPlan) -> Levels:
    """Ours, closed, what waiting users did not ask filled in."""
    return closed_stall(plan).measured_s


def loop(plan: StallPlan) -> Levels:
    """One request after the other, as a benchmark of one call does."""
    import http.client

    times = []
    with stalling_server(plan) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port)
        end_s = time.perf_counter() + plan.duration_s
        while (start_s := time.perf_counter()) < end_s:
            client.request("GET", "/")
            client.getresponse().read()
            times.append(time.perf_counter() - start_s)
        client.close()
    return tuple(_quantile(sorted(times), q) for q in STALL_LEVELS)


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def hey(plan: StallPlan) -> Levels:
    """Ten workers, ten requests a second each."""
    with stalling_server(plan) as server:
        said = _output(["hey", "-z", f"{plan.duration_s:g}s", "-c", "10", "-q", "10", server.url])
    found = {int(q): float(v) for q, v in re.findall(r"(\d+)%+ in ([\d.]+) secs", said)}
    return tuple(found.get(round(q * 100), float("inf")) for q in STALL_LEVELS)


def wrk(plan: StallPlan) -> Levels:
    """Ten connections, as fast as it can; it prints no p95."""
    with stalling_server(plan) as server:
        said = _output(["wrk", "--latency", "-c10", "-t1", f"-d{plan.duration_s:g}s", server.url])
    found = {
        int(q): float(value) * _UNITS[unit]
        for q, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", said)
    }
    return tuple(found.get(round(q * 100), float("inf")) for q in STALL_LEVELS)


def locust(plan: StallPlan) -> Levels:
    """Ten users of ten requests a second each."""
    with tempfile.TemporaryDirectory() as folder, stalling_server(plan) as server:
        file = Path(folder) / "locustfile.py"
        file.write_text(textwrap.dedent(_LOCUST), "utf-8")
        _output(
            [
                *(sys.executable, "-m", "locust", "-f", str(file), "--headless", "-u", "10"),
                *("-r", "10", "-t", f"{plan.duration_s:g}s", "--host", server.url.rstrip("/")),
                *("--csv", str(Path(folder) / "found")),
            ]
        )
        names, _, total = (Path(folder) / "found_stats.csv").read_text("utf-8").splitlines()[:3]
    found = dict(zip(names.split(","), total.split(","), strict=True))
    return tuple(float(found[f"{q * 100:.0f}%"]) / 1000 for q in STALL_LEVELS)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout


def contestants() -> dict[str, Callable[[StallPlan], Levels]]:
    """Who is here, beside our Poisson arrivals."""
    here: dict[str, Callable[[StallPlan], Levels]] = {
        "ours, open, constant": constant,
        "ours, closed, corrected": closed,
    }
    if importlib.util.find_spec("locust"):
        here["Locust constant_throughput"] = locust
    for name, run in (("hey", hey), ("wrk", wrk)):
        if shutil.which(name):
            here[name] = run
        else:
            print(f"{name} is not installed and left out")
    return here | {"sequential loop": loop}


def _row(levels: Sequence[float]) -> str:
    said = ["-" if level == float("inf") else format_seconds(level) for level in levels]
    return "  ".join(f"{text:>9}" for text in said)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path, help="where every run is added to")
    options = parser.parse_args()
    plan = StallPlan(duration_s=options.seconds)
    even = tuple(
        freeze_share_quantile(q, stall_s=plan.stall_s, every_s=plan.every_s) for q in STALL_LEVELS
    )
    kept: dict[str, list[Run]] = {}
    if options.json and options.json.exists():
        kept = json.loads(options.json.read_text("utf-8"))
    for _ in range(options.repeats):
        for name, run in contestants().items():
            _keep(kept, name, (run(plan), even))
        _keep(kept, "ours, open, Poisson", poisson(plan))
    count = len(next(iter(kept.values())))
    print(f"\n{'median of ' + str(count):28}{'p90':>9}  {'p95':>9}  {'p99':>9}  worst error")
    print(f"{'arithmetic':28}{_row(even)}")
    for name, runs in kept.items():
        middle = [statistics.median(column) for column in zip(*(r[0] for r in runs), strict=True)]
        print(f"{name:28}{_row(middle)}  {_worst(runs)}")
    if options.json:
        options.json.write_text(json.dumps(kept), "utf-8")


def _keep(kept: dict[str, list[Run]], name: str, run: Run) -> None:
    kept.setdefault(name, []).append(run)
    print(f"{name:28}{_row(run[0])}", flush=True)


def _worst(runs: Sequence[Run]) -> str:
    """The largest relative error of any repeat at any level, against its own truth."""
    errors = [
        abs(seen - true) / true
        for levels, truth in runs
        for seen, true in zip(levels, truth, strict=True)
        if seen != float("inf")
    ]
    return f"{max(errors) * 100:9.1f} %" if errors else ""


if __name__ == "__main__":
    main()
