"""An asv suite inside a twin: which benchmarks it has, and one of them set up to be measured.

asv_runner, which says what a benchmark is, is loaded from the place the configuration names and not
from `sys.path`, so that both sides and every environment are read by the same ruler.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import itertools
import os
import pickle
import pkgutil
import site
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .channel import Channel
from .processes import describe_error
from .timed import TimedRow, serve
from .valued import allocation_peak, serve_value

__all__ = ["AsvSuite", "imported_files", "load_asv_runner"]


def load_asv_runner(folder: str, *, time_only: bool) -> None:
    """Make the asv_runner of `folder` importable without putting the folder on sys.path.

    With `time_only` it is spared what other kinds of benchmarks need: a look through the metadata
    of every installed package, and pympler, which imports numpy. That is most of its start-up.
    """
    spec = importlib.util.spec_from_file_location(
        "asv_runner",
        os.path.join(folder, "__init__.py"),  # noqa: PTH118 - pathlib costs start-up in each launch
        submodule_search_locations=[folder],
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no asv_runner in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["asv_runner"] = module
    spec.loader.exec_module(module)
    with _without_other_kinds() if time_only else contextlib.nullcontext():
        for name in ("_aux", "discovery", "benchmarks.mark"):
            importlib.import_module(f"asv_runner.{name}")


@contextlib.contextmanager
def _without_other_kinds() -> Iterator[None]:
    find_installed = importlib.metadata.distributions
    importlib.metadata.distributions = lambda: iter(())  # type: ignore[assignment] # as patched
    sys.modules["pympler"] = None  # type: ignore[assignment] # the import system's own "absent"
    try:
        yield
    finally:
        importlib.metadata.distributions = find_installed
        del sys.modules["pympler"]


class AsvSuite:
    """The benchmarks of one side: those that could be imported, and why the others could not."""

    def __init__(self, side: dict[str, Any], benchmark_dir: str) -> None:
        self._side = side
        self._benchmark_dir = benchmark_dir
        for folder in side["site_dirs"]:
            site.addsitedir(folder)
        kept = [path for path in sys.path if path not in side["hidden_paths"]]
        sys.path[:] = [*side["import_paths"], *kept]
        sys.modules["asv_runner._aux"].update_sys_path(benchmark_dir)
        self.benchmarks: dict[str, Any] = {}
        self._unread: list[str] = []
        self.errors: list[dict[str, str]] = []
        self._get = sys.modules["asv_runner.discovery"]._get_benchmark  # noqa: SLF001 - version pinned
        for module in self._modules(os.path.basename(benchmark_dir)):  # noqa: PTH119
            self._collect(module)

    def _modules(self, name: str) -> Iterator[Any]:
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - a benchmark file may raise anything, exit too
            self.errors.append({"module": name, **describe_error(error)})
            return
        yield module
        for _, inner, _ in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
            yield from self._modules(inner)

    def _collect(self, module: Any) -> None:
        for name, value in list(vars(module).items()):
            if name.startswith("_"):
                continue
            try:
                found = list(self._benchmarks_of(module, name, value))
            except BaseException as error:  # noqa: BLE001 - a benchmark class may raise anything
                self.errors.append({"module": f"{module.__name__}.{name}", **describe_error(error)})
                continue
            self.benchmarks.update((benchmark.name, benchmark) for benchmark in found)

    def _benchmarks_of(self, module: Any, name: str, value: Any) -> Iterator[Any]:
        import inspect

        candidates: list[tuple[str, Any, Any]] = []
        if inspect.isclass(value) and not inspect.isabstract(value):
            candidates = [
                (inner, value, function)
                for inner, function in inspect.getmembers(value)
                if inspect.isfunction(function) or inspect.ismethod(function)
            ]
        elif inspect.isfunction(value):
            candidates = [(name, None, value)]
        for inner, owner, function in candidates:
            benchmark = self._get(inner, module, owner, function)
            if benchmark is not None:
                yield benchmark
            elif inner.startswith("mem_"):  # asv_runner leaves them out where pympler is missing
                self._unread.append(f"{module.__name__}.{inner}")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every benchmark at every combination of its parameters, as messages."""
        for benchmark in self.benchmarks.values():
            kind = "timeraw" if type(benchmark).__name__ == "TimerawBenchmark" else benchmark.type
            common = {
                "name": benchmark.name,
                "kind": kind,
                "unit": getattr(benchmark, "unit", None),
                "timeout_s": benchmark.timeout,
                "cache_key": benchmark.setup_cache_key,
                "cache_timeout_s": benchmark.setup_cache_timeout,
            }
            if not benchmark.params:
                yield {**common, "index": None, "parameters": []}
                continue
            for index, parameters in enumerate(itertools.product(*benchmark.params)):
                yield {**common, "index": index, "parameters": list(parameters)}

    def describe(self) -> dict[str, Any]:
        """What the controller needs to know of this side before anything is measured."""
        side, known = self._side, (os.path.join(self._benchmark_dir, ""),)  # noqa: PTH118
        return {
            "rows": list(self.rows()),
            "errors": self.errors,
            "threads": threading.active_count() - 1,
            "notes": [
                f"{name}: not compared, for it needs pympler, which is not installed there"
                for name in self._unread
            ],
            **describe_origins(side, known=known),
        }

    def run_row(self, channel: Channel, request: dict[str, Any]) -> None:
        """Set one row up, say how that went, serve it and tear it down."""
        work = AsvWork(self.benchmarks[request["name"]], request["index"])
        channel.send({"skipped": work.skipped})
        if work.skipped:
            return
        if request["method"] == "timed":
            serve(channel, TimedRow(work))
        elif request["method"] == "allocations":
            serve_value(channel, lambda: allocation_peak(work))
        else:
            serve_value(channel, work.value)
        work.close()
        channel.send({})

    def make_cache(self, channel: Channel, request: dict[str, Any]) -> None:
        """Run setup_cache and keep its result in the working folder, as asv does."""
        cache = self.benchmarks[request["name"]].do_setup_cache()
        with open("cache.pickle", "wb") as file:  # noqa: PTH123 - pathlib costs start-up
            pickle.dump(cache, file)
        channel.send({})


def imported_files() -> dict[str, str]:
    """The file of every imported module, by its name.

    Those of this folder are left out: they are the ruler, also where what is measured is the
    checkout they are in. So is the program that runs, which multiprocessing gives a second name.
    """
    ruler = __name__.partition(".")[0]
    program = sys.modules.get("__main__")
    return {
        name: file
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and module is not program
        and name.partition(".")[0] != ruler
    }


def describe_origins(side: dict[str, Any], *, known: tuple[str, ...]) -> dict[str, list[str]]:
    """From where modules were imported: the side's own packages, and files that are another's.

    Args:
        side: The side's part of the configuration.
        known: Prefixes of files that are nobody's fault, such as the benchmarks themselves.
    """
    files = {name.partition(".")[0]: file for name, file in imported_files().items()}
    own = tuple(os.path.join(path, "") for path in (*side["import_paths"], *side["site_dirs"]))  # noqa: PTH118
    foreign = tuple(side["foreign"])
    return {
        "own_packages": sorted(n for n, f in files.items() if f.startswith(own)),
        "foreign_files": sorted(
            f
            for f in files.values()
            if f.startswith(foreign)
            and not f.startswith((*own, *known))
            and "site-packages" not in f
        ),
    }


class AsvWork:
    """One asv benchmark at one combination of parameters; see `timed.Work`."""

    most_samples: int | None = None

    def __init__(self, benchmark: Any, index: int | None) -> None:
        self._benchmark = benchmark
        if index is not None:
            benchmark.set_param_idx(index)
        benchmark.set_cache(None)
        if benchmark.setup_cache_key is not None:
            with open("cache.pickle", "rb") as file:  # noqa: PTH123 - pathlib costs start-up
                benchmark.set_cache(pickle.load(file))  # noqa: S301 - written by this very check
        start_ns = time.perf_counter_ns()
        self.skipped = bool(benchmark.do_setup())
        self.setup_ns = time.perf_counter_ns() - start_ns

    @property
    def function(self) -> Callable[..., Any]:
        """The benchmark itself."""
        function: Callable[..., Any] = self._benchmark.func
        return function

    @property
    def arguments(self) -> Sequence[Any]:
        """Its parameters, and before them what setup_cache gave."""
        arguments: Sequence[Any] = self._benchmark._build_params()  # noqa: SLF001 - version pinned
        return arguments

    @property
    def keywords(self) -> dict[str, Any]:
        """None: asv passes by position."""
        return {}

    def value(self) -> Any:
        """What a benchmark that is no time gives, by asv_runner's own reckoning."""
        return self._benchmark.run(*self.arguments)

    @property
    def has_setup(self) -> bool:
        """Whether the benchmark prepares state that a call could use up."""
        return bool(self._benchmark._setups)  # noqa: SLF001 - version pinned

    @property
    def stated_loops(self) -> int:
        """Its `number`."""
        number: int = self._benchmark.number
        return number

    @property
    def renews(self) -> bool:
        """A stated number may be all that one setup serves, and asv sets up before each sample."""
        return self.has_setup and bool(self.stated_loops)

    @property
    def timer(self) -> Callable[[], float] | None:
        """The benchmark's own clock."""
        timer: Callable[[], float] = self._benchmark.timer
        return None if timer is timeit.default_timer else timer

    def renew(self) -> None:
        """Tear down and set up again."""
        self._benchmark.do_teardown()
        self._benchmark.do_setup()

    def close(self) -> None:
        """Run the benchmark's own teardown."""
        self._benchmark.do_teardown()
