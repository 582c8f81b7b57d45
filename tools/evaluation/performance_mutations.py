"""Defects put into a copy of the service on purpose: which performance tests catch them?

    python -m tools.evaluation.performance_mutations [NAME ...] [--check] [--tests all]

Each defect is one replacement in the source of a fresh clone. The clone's performance tests run
with it, and with --check so does `groundspeed check --suite pytest`, between the commit and the
clone with the defect. It ends with 1 where a defect was caught by nobody.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MUTATIONS", "Mutation", "main"]

_ROOT = Path(__file__).parents[2]
_OPTIMIZATIONS = "src/sergas/optimizations"
_NAMED = {1, 5}
"""Slower, or broken: the test itself fails with the defect, and the report says how."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A defect.

    Attributes:
        name: What it is.
        file: Where, from the repository's root.
        sound: What stands there once.
        defect: What stands there then.
        tests: Which tests are near to it, as pytest's `-k` takes them.
        row: Which of them `groundspeed check` compares, as `-k`.
    """

    name: str
    file: str
    sound: str
    defect: str
    tests: str
    row: str


MUTATIONS = (
    Mutation(
        name="a pool that leaks",
        file=f"{_OPTIMIZATIONS}/connection_pool/_state.py",
        sound="        self.idle.append(member)\n        return self.is_clear\n",
        defect="        if loans % 50:\n            self.idle.append(member)\n"
        "        return self.is_clear\n",
        tests="pool or 1000_accounts",
        row="test_connection_pool_efficiency",
    ),
    Mutation(
        name="a cache that never hits",
        file="src/sergas/accounts/service.py",
        sound="        if self.cache is None:\n            return await self._run(load)\n",
        defect="        if self.cache is None or load is not None:\n"
        "            return await self._run(load)\n",
        tests="cache or e2e or hit",
        row="test_account_retrieval_e2e_latency",
    ),
    Mutation(
        name="a query without its index",
        file="src/sergas/accounts/migrations/0003_indexes.sqlite.sql",
        sound="CREATE INDEX accounts_industry_annual_revenue ON accounts"
        " (industry, annual_revenue);\n",
        defect="",
        tests="query or Query",
        row="test_analytical_query_latency",
    ),
    Mutation(
        name="5 ms of sleep in GET",
        file="src/sergas/api/_accounts.py",
        sound='    body = await call.service.account_json(call.path["id"])\n',
        defect="    import asyncio\n\n    await asyncio.sleep(0.005)\n"
        '    body = await call.service.account_json(call.path["id"])\n',
        tests="test_api_endpoint_get_account_latency or 100_accounts",
        row="test_api_endpoint_get_account_latency",
    ),
    Mutation(
        name="1 KB lost with each request",
        file="src/sergas/api/_endpoint.py",
        sound="        desk, began_s = self._desk, time.perf_counter()\n",
        defect="        desk, began_s = self._desk, time.perf_counter()\n"
        "        self.__dict__.setdefault('lost', []).append(bytes(1024))\n",
        tests="leak",
        row="test_memory_leak_detection_sustained_load",
    ),
    Mutation(
        name="a lock around the processor",
        file=f"{_OPTIMIZATIONS}/parallel_processor/_threads.py",
        sound="            values[place] = function(item)\n"
        "        except BaseException as error:  # noqa: BLE001 - an item's error is its own\n"
        "            errors[place] = error\n\n\ndef _work_timed",
        defect="            with _ONE:\n                values[place] = function(item)\n"
        "        except BaseException as error:\n"
        "            errors[place] = error\n\n\n_ONE = threading.Lock()\n\n\ndef _work_timed",
        tests="speedup or parallel or workers",
        row="test_parallel_processing_speedup",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the defects and print who caught them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluation.performance_mutations")
    parser.add_argument("names", nargs="*", help="words of the defects' names; all without")
    parser.add_argument("--check", action="store_true", help="ask groundspeed check as well")
    parser.add_argument("--tests", choices=["near", "all"], default="near")
    parser.add_argument("--budget", type=float, default=240.0, help="seconds of each check")
    options = parser.parse_args(arguments)
    missed = 0
    for mutation in MUTATIONS:
        if options.names and not any(word in mutation.name for word in options.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            clone = mutated(mutation, Path(folder) / "clone")
            chosen = mutation.tests if options.tests == "near" else ""
            caught = caught_by(clone, chosen)
            print(f"{mutation.name}: caught by {len(caught)} tests", flush=True)
            for test, reason in caught.items():
                print(f"  {test.rpartition('/')[2]}\n    {reason[:300]}", flush=True)
            missed += not caught
            if options.check:
                code, said = checked(clone, mutation.row, options.budget)
                print(f"  groundspeed check: exit {code}\n{said}", flush=True)
                missed += code not in _NAMED
    return 1 if missed else 0


def mutated(mutation: Mutation, clone: Path) -> Path:
    """A clone of the commit with the defect in its working tree.

    Raises:
        ValueError: If the source is not as the defect needs it.
    """
    subprocess.run(["git", "clone", "--quiet", os.fspath(_ROOT), os.fspath(clone)], check=True)
    path = clone / mutation.file
    source = path.read_text(encoding="utf-8")
    if source.count(mutation.sound) != 1:
        raise ValueError(
            f"{mutation.file}: the defect {mutation.name!r} needs what it replaces there once, and"
            f" it is there {source.count(mutation.sound)} times; write the defect anew"
        )
    path.write_text(source.replace(mutation.sound, mutation.defect), encoding="utf-8")
    return clone


def caught_by(clone: Path, tests: str) -> dict[str, str]:
    """The tests that fail in the clone, with what they say."""
    command = [sys.executable, "-m", "pytest", "tests/performance", "-q", "-p", "no:randomly"]
    done = _run([*command, *(["-k", tests] if tests else [])], clone)
    return {test: reason or "" for test, reason in _FAILED.findall(done.stdout)}


def checked(clone: Path, tests: str, budget_s: float) -> tuple[int, str]:
    """How a check between the commit and the defect ends, and the rows it names."""
    command = [sys.executable, "-m", "groundspeed.cli", "check", "--suite", "pytest", "HEAD"]
    command += ["--no-record", "--budget", f"{budget_s:g}", "--", "tests/performance", "-k", tests]
    done = _run(command, clone)
    lines = done.stdout.splitlines()
    told = [
        line for line in lines if line.startswith(("  slower", "  worse", "  broken", "      "))
    ]
    return done.returncode, "\n".join([*lines[:1], *told[:6]])


def _run(command: Sequence[str], clone: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.fspath(clone / "src"), "COLUMNS": "400"}
    return subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
