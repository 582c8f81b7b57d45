"""What the asv benchmarks of the four optimization modules must be."""

import importlib.util
import inspect
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ["cache_manager", "connection_pool", "parallel_processor", "query_optimizer"]


def loaded(name: str) -> ModuleType:
    """A benchmark file as a module, found without the working directory's help."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES = [loaded(name) for name in NAMES]


def rows(module: ModuleType) -> Iterator[tuple[type, str, tuple[object, ...]]]:
    """Each benchmark of a module: its class, its method and one value of its parameter, if any."""
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ != module.__name__:
            continue
        methods = [m for m in vars(kind) if m.startswith(("time_", "track_", "peakmem_"))]
        assert methods, f"{name} has no benchmark"
        values = [(value,) for value in kind.params] if hasattr(kind, "params") else [()]
        yield from ((kind, method, value) for method in methods for value in values)


@pytest.mark.parametrize(
    ("kind", "method", "values"), list(itertools.chain.from_iterable(map(rows, MODULES)))
)
def test_benchmark_runs_twice(kind: type, method: str, values: tuple[object, ...]) -> None:
    """Each benchmark runs on the state that it left, and what it tracks does not depend on that."""
    benchmark = kind()
    if hasattr(benchmark, "setup"):
        benchmark.setup()
    try:
        first, second = (getattr(benchmark, method)(*values) for _ in range(2))
    finally:
        if hasattr(benchmark, "teardown"):
            benchmark.teardown()
    assert first == second
    assert (first is not None) == method.startswith("track_")
    assert not method.startswith("track_") or hasattr(kind, "unit")


def test_there_are_enough_timed_rows() -> None:
    """The four modules give the gate a suite to learn from."""
    timed = [row for module in MODULES for row in rows(module) if row[1].startswith("time_")]
    assert len(timed) >= 35


@pytest.mark.parametrize("name", NAMES)
def test_importing_starts_nothing(name: str) -> None:
    """Importing opens no database and starts no thread, so that a fork afterwards is safe."""
    script = (
        "import sys, threading, importlib\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, _: event == 'sqlite3.connect' and opened.append(event))\n"
        f"importlib.import_module({f'benchmarks.{name}'!r})\n"
        "assert not opened, opened\n"
        "assert threading.active_count() == 1\n"
        "assert 'groundspeed' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        timeout=60,
    )
