"""Runs inside a measured interpreter: one fresh process that forks into base and candidate twins.

Started as a script by `lockstep` with a JSON configuration as its one argument; the standard
library only, so that it works in the environment of any commit. (asv_runner, which says what a
benchmark is, is loaded from the place the configuration names and not from `sys.path`, so both
sides and every environment are read by the same ruler.)

    launch            imports nothing of the project, pads the heap, forks
      twin base       puts its own source first, imports the benchmarks, forks a child per row
        row           setup, warm-up and samples, on request
      twin candidate  the same with the other source

Twins share hash seed, address-space layout and environment because they were one process. All talk
is newline-separated JSON over sockets of its own: whatever a benchmark prints goes nowhere.
"""

import contextlib
import ctypes
import gc
import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import pickle
import pkgutil
import signal
import site
import socket
import sys
import threading
import time
import timeit
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

# Calls this long are timed one by one and compared with the first call after a fresh setup.
FRESH_CALL_NS = 50_000
# Calls this long are not made once more just to fill caches.
LONG_CALL_NS = 1_000_000_000
# Below this share of the fresh call's time, later calls do other work: the state was used up.
USED_UP_SHARE = 0.5
# A process whose threads took this share of its CPU beside the main thread counts as threaded.
THREADED_SHARE = 0.05

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Channel:
    """One end of a conversation: a JSON object a line, with at most one descriptor beside it."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._buffer = b""
        self._descriptors: list[int] = []

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the other end is gone."""
        while b"\n" not in self._buffer:
            data, descriptors, _, _ = socket.recv_fds(self.end, 65536, 4)
            if not data:
                return None
            self._buffer += data
            self._descriptors += descriptors
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def take_descriptor(self) -> int:
        """The descriptor that came with the last message."""
        return self._descriptors.pop(0)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; the other end may be gone, which the next receive will tell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.end.sendall(json.dumps(message).encode() + b"\n")


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep_orphans() -> None:
    """Become the parent of every process a benchmark leaves behind, so that it can be ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_on(cpus: list[int]) -> None:
    """Restrict this process to `cpus`; an empty list leaves it where it is."""
    if cpus and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cpus)


def describe(error: BaseException) -> dict[str, str]:
    """An exception as the three texts that a reader needs, from the benchmark's own frame on."""
    message = str(error)
    if isinstance(error, SystemExit):
        message = f"it called exit({error.code!r})"
    frame = error.__traceback__
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    error = error.with_traceback(frame)
    return {
        "type": type(error).__name__,
        "message": _encodable(message),
        "traceback": _encodable("".join(traceback.format_exception(error))[-4000:]),
    }


def _encodable(text: str) -> str:
    """The text with what UTF-8 cannot hold, such as an undecodable file name, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_ours(file: str) -> bool:
    """Whether a frame is this script's or the import system's, which tell a reader nothing."""
    return file in {__file__, importlib.__file__} or file.startswith("<frozen importlib")


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


class Suite:
    """The benchmarks of one side: those that could be imported, and why the others could not."""

    def __init__(self, side: dict[str, Any], benchmark_dir: str) -> None:
        for folder in side["site_dirs"]:
            site.addsitedir(folder)
        kept = [path for path in sys.path if path not in side["hidden_paths"]]
        sys.path[:] = [*side["import_paths"], *kept]
        sys.modules["asv_runner._aux"].update_sys_path(benchmark_dir)
        self.benchmarks: dict[str, Any] = {}
        self.errors: list[dict[str, str]] = []
        self._get = sys.modules["asv_runner.discovery"]._get_benchmark  # noqa: SLF001 - version pinned
        for module in self._modules(os.path.basename(benchmark_dir)):  # noqa: PTH119
            self._collect(module)

    def _modules(self, name: str) -> Iterator[Any]:
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - a benchmark file may raise anything, exit too
            self.errors.append({"module": name, **describe(error)})
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
                self.errors.append({"module": f"{module.__name__}.{name}", **describe(error)})
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

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every benchmark at every combination of its parameters, as messages."""
        for benchmark in self.benchmarks.values():
            kind = "timeraw" if type(benchmark).__name__ == "TimerawBenchmark" else benchmark.type
            common = {
                "name": benchmark.name,
                "kind": kind,
                "timeout_s": benchmark.timeout,
                "cache_key": benchmark.setup_cache_key,
                "cache_timeout_s": benchmark.setup_cache_timeout,
            }
            if not benchmark.params:
                yield {**common, "index": None, "parameters": []}
                continue
            for index, parameters in enumerate(itertools.product(*benchmark.params)):
                yield {**common, "index": index, "parameters": list(parameters)}

    def describe(self, side: dict[str, Any], benchmark_dir: str) -> dict[str, Any]:
        """What the controller needs to know of this side before anything is measured."""
        files = {
            name.partition(".")[0]: file
            for name, module in list(sys.modules.items())
            if (file := getattr(module, "__file__", None)) and name != "__main__"
        }
        own = tuple(os.path.join(path, "") for path in (*side["import_paths"], *side["site_dirs"]))  # noqa: PTH118
        known = (*own, os.path.join(benchmark_dir, ""))  # noqa: PTH118
        foreign = tuple(side["foreign"])
        return {
            "rows": list(self.rows()),
            "errors": self.errors,
            "threads": threading.active_count() - 1,
            "own_packages": sorted(n for n, f in files.items() if f.startswith(own)),
            "foreign_files": sorted(
                f
                for f in files.values()
                if f.startswith(foreign) and not f.startswith(known) and "site-packages" not in f
            ),
        }


class Row:
    """One benchmark at one combination of parameters, set up in a process of its own."""

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
        self._renew = False
        self._schedstat = _open_schedstat()
        self._process = os.getpid()

    @property
    def has_setup(self) -> bool:
        """Whether the benchmark prepares state that a call could use up."""
        return bool(self._benchmark._setups)  # noqa: SLF001 - version pinned

    def calibrate(self, target_ns: int) -> dict[str, Any]:
        """How many calls make a sample of at least `target_ns`, and what a sample looks like."""
        gc.collect()
        stated = self._benchmark.number
        # A stated number may be all that one setup serves, and asv sets up before each sample.
        self._renew = self.has_setup and bool(stated)
        loops = stated or self._calls(target_ns)
        self._renew = self._renew or (self.has_setup and loops == 1)
        (last,) = self._takes(loops, 1)
        others_ns = last["cpu_ns"] - last["main_ns"]
        return {
            "loops": loops,
            "sample_ns": max(last["clean_ns"], 1),
            "renew": self._renew,
            "setup_ns": self.setup_ns,
            "threaded": others_ns > THREADED_SHARE * max(last["cpu_ns"], 1),
            "schedstat": self._schedstat is not None,
            "own_timer": self._benchmark.timer is not timeit.default_timer,
        }

    def _calls(self, target_ns: int) -> int:
        """The number of calls for a benchmark that states none; 1 if a call uses up its state."""
        fresh = self._fresh_call()
        loops = self._loops_for(target_ns, fresh)
        if loops == 1 or not self.has_setup:
            return loops
        later_ns = self._lasting_sample(loops)["clean_ns"] / loops
        return 1 if self._uses_up_its_state(fresh["clean_ns"], later_ns) else loops

    def _fresh_call(self) -> dict[str, int]:
        """A call after setup, but not the first of all, which builds what is built only once."""
        first = self._sample(1)
        if first["clean_ns"] >= LONG_CALL_NS:
            return first
        if self.has_setup:
            self._again()
        return self._sample(1)

    def _loops_for(self, target_ns: int, first: dict[str, int]) -> int:
        loops, took_ns = 1, first["clean_ns"]
        while took_ns < target_ns:
            wanted = int(loops * target_ns / max(took_ns, 1) * 1.1)
            more = max(loops + 1, min(loops * 10, wanted))
            try:
                # The quicker of two: a disturbed one would make all samples too short.
                took_ns = min(self._sample(more)["clean_ns"] for _ in range(2))
            except Exception:
                if self.has_setup:  # it works once after each setup, and only once
                    self._again()
                    return 1
                raise
            loops = more
        return loops

    def _uses_up_its_state(self, fresh_ns: int, later_ns: float) -> bool:
        """Whether calls after the first do other work, for example sort what is sorted already."""
        if fresh_ns < FRESH_CALL_NS or later_ns >= USED_UP_SHARE * fresh_ns:
            return False
        fresh = []
        for _ in range(3):
            self._again()
            fresh.append(self._sample(1)["clean_ns"])
        return later_ns < USED_UP_SHARE * min(fresh)

    def impose(self, *, renew: bool) -> None:
        """Take over the other side's calibration: whether setup runs again before each sample."""
        self._renew = renew
        gc.collect()

    def samples(self, loops: int, count: int) -> list[tuple[int, int, int]]:
        """Take `count` samples of `loops` calls: wall, CPU and run-queue delay in nanoseconds."""
        taken = self._takes(loops, count)
        return [(sample["wall_ns"], sample["cpu_ns"], sample["delay_ns"]) for sample in taken]

    def _takes(self, loops: int, count: int) -> list[dict[str, int]]:
        taken = []
        for _ in range(count):
            if self._renew:
                self._again()
            taken.append(self._lasting_sample(loops))
        return taken

    def _lasting_sample(self, loops: int) -> dict[str, int]:
        """One sample; what setup made lasts for some samples and may be used up in this one."""
        try:
            return self._sample(loops)
        except Exception:
            if self._renew or not self.has_setup:
                raise
        self._again()
        return self._sample(loops)

    def teardown(self) -> None:
        """Run the benchmark's own teardown."""
        self._benchmark.do_teardown()

    def _again(self) -> None:
        self._benchmark.do_teardown()
        self._benchmark.do_setup()

    def _delay_ns(self) -> int:
        """Nanoseconds that the main thread was ready to run but did not."""
        if self._schedstat is None:
            return 0
        return int(os.pread(self._schedstat, 100, 0).split()[1])

    def _sample(self, loops: int) -> dict[str, int]:
        function, arguments = self._benchmark.func, self._benchmark._build_params()  # noqa: SLF001
        clock, own_timer = time.perf_counter_ns, None
        if self._benchmark.timer is not timeit.default_timer:
            own_timer = self._benchmark.timer
        turns = itertools.repeat(None, loops)
        main_ns, cpu_ns = time.thread_time_ns(), time.process_time_ns()
        own_start = own_timer() if own_timer else 0.0
        start_ns = clock()
        delay_ns = self._delay_ns()
        if arguments:
            for _ in turns:
                function(*arguments)
        else:
            for _ in turns:
                function()
        delay_ns = self._delay_ns() - delay_ns
        wall_ns = clock() - start_ns
        if own_timer:
            wall_ns, delay_ns = round((own_timer() - own_start) * 1e9), 0
        cpu_ns, main_ns = time.process_time_ns() - cpu_ns, time.thread_time_ns() - main_ns
        if os.getpid() != self._process:
            os._exit(0)  # the benchmark forked, and this is its child: it must not speak for it
        return {
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "main_ns": main_ns,
            "delay_ns": delay_ns,
            "clean_ns": wall_ns - delay_ns,
        }


def _open_schedstat() -> int | None:
    """The file that counts run-queue delay; None where a kernel does not count it."""
    try:
        descriptor = os.open("/proc/self/schedstat", os.O_RDONLY)
        run_ns, _, turns = (int(field) for field in os.pread(descriptor, 100, 0).split())
    except (OSError, ValueError):
        return None
    # This process has run, so zeros mean that nothing is counted.
    return descriptor if run_ns and turns else None


def serve_row(channel: Channel, row: Row) -> None:
    """Answer the controller's requests for one row until it says quit or goes away."""
    while (request := channel.receive()) is not None:
        match request["op"]:
            case "calibrate":
                channel.send(row.calibrate(request["target_ns"]))
            case "impose":
                row.impose(renew=request["renew"])
                channel.send({})
            case "sample":
                channel.send({"samples": row.samples(request["loops"], request["count"])})
            case "quit":
                row.teardown()
                channel.send({})
                return
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")


def run_row(channel: Channel, suite: Suite, request: dict[str, Any]) -> None:
    """Set one row up, say how that went, and serve it."""
    row = Row(suite.benchmarks[request["name"]], request["index"])
    channel.send({"skipped": row.skipped})
    if not row.skipped:
        serve_row(channel, row)


def make_cache(channel: Channel, suite: Suite, request: dict[str, Any]) -> None:
    """Run the benchmark's setup_cache and keep its result in the working folder, as asv does."""
    cache = suite.benchmarks[request["name"]].do_setup_cache()
    with open("cache.pickle", "wb") as file:  # noqa: PTH123 - pathlib costs start-up
        pickle.dump(cache, file)
    channel.send({})


class Twin:
    """Base or candidate: imports its side once and forks a process per row."""

    def __init__(self, channel: Channel, configuration: dict[str, Any], side: str) -> None:
        self._channel = channel
        self._configuration = configuration
        self._side = configuration["sides"][side]

    def serve(self) -> None:
        """Describe this side, then fork rows and report how they ended until told to stop."""
        suite = None if self._configuration["import_in_row"] else self._load()
        description: dict[str, Any] = {}
        if suite is not None and self._configuration["describe"]:
            description = suite.describe(self._side, self._configuration["benchmark_dir"])
        self._channel.send(description)
        gc.collect()
        while (request := self._channel.receive()) is not None:
            if request["op"] == "status":
                self._channel.send({"status": os.waitpid(request["pid"], 0)[1]})
                continue
            descriptor = self._channel.take_descriptor()
            process = os.fork()
            if process == 0:
                self._become_row(descriptor, suite, request)
            os.close(descriptor)
            self._channel.send({"pid": process})

    def _load(self) -> Suite:
        return Suite(self._side, self._configuration["benchmark_dir"])

    def _become_row(
        self, descriptor: int, suite: Suite | None, request: dict[str, Any]
    ) -> NoReturn:
        os.setpgid(0, 0)
        die_with_parent()
        self._channel.end.close()
        channel = Channel(socket.socket(fileno=descriptor))
        serve: dict[str, Callable[[Channel, Suite, dict[str, Any]], None]]
        serve = {"row": run_row, "cache": make_cache}
        process = os.getpid()
        try:
            os.chdir(request["folder"])
            run_on(self._configuration["measuring_cpus"])
            serve[request["op"]](channel, suite or self._load(), request)
        except BaseException as error:  # noqa: BLE001 - a benchmark may raise anything, exit too
            if os.getpid() == process:  # a child that the benchmark forked must not speak for it
                channel.send({"error": describe(error)})
        finally:
            os._exit(0)


def silence() -> None:
    """Point the three standard descriptors at nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def launch(configuration: dict[str, Any]) -> None:
    """Fork this fresh interpreter into base and candidate, and wait for both."""
    die_with_parent()
    keep_orphans()
    run_on(configuration["starting_cpus"])
    load_asv_runner(configuration["asv_runner"], time_only=not configuration["describe"])
    padding = [bytearray(size) for size in configuration["padding"]]
    ends = {side: socket.socket(fileno=fd) for side, fd in configuration["descriptors"].items()}
    silence()
    gc.collect()
    gc.freeze()
    for side in ("base", "candidate"):
        process = os.fork()
        if process == 0:
            die_with_parent()
            for other in set(ends) - {side}:
                ends[other].close()
            try:
                Twin(Channel(ends[side]), configuration, side).serve()
            finally:
                os._exit(0)
    for end in ends.values():
        end.close()
    # From here on whoever ends this pair ends its processes; this one stays to reap them all.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    del padding


if __name__ == "__main__":
    launch(json.loads(sys.argv[1]))
