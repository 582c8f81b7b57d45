"""The processor: hands items out in chunks, bounded, and gives their results back."""

import asyncio
import inspect
import queue
import threading
import weakref
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sized,
)
from contextlib import closing
from functools import partial
from os import PathLike
from typing import Any, Literal, Protocol, Self, TypedDict, TypeVar, Unpack, overload

from sergas.chance import draw
from sergas.errors import BackendUnavailableError, ProcessorValueError
from sergas.optimizations.parallel_processor._auto import Choice, Scout, is_picklable
from sergas.optimizations.parallel_processor._checkpoint import Checkpoint, function_name
from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._crew import Crew, closed_error
from sergas.optimizations.parallel_processor._dask import DaskLane, dask_client
from sergas.optimizations.parallel_processor._inline import InlineCrew
from sergas.optimizations.parallel_processor._interpreter import InterpreterLane, check_interpreters
from sergas.optimizations.parallel_processor._limit import LIMITERS, Limiter, limiter
from sergas.optimizations.parallel_processor._loop import LoopCrew, TaskCrew
from sergas.optimizations.parallel_processor._memory import own_peak_rss_bytes
from sergas.optimizations.parallel_processor._nested import is_worker, usable_processors
from sergas.optimizations.parallel_processor._options import Backoff, CallOptions, ProgressCallback
from sergas.optimizations.parallel_processor._outcome import Outcome
from sergas.optimizations.parallel_processor._pace import CHUNKS_PER_WORKER, Pace
from sergas.optimizations.parallel_processor._processes import ProcessLane, packed_function
from sergas.optimizations.parallel_processor._resources import ResourceLimits
from sergas.optimizations.parallel_processor._schedule import Schedule
from sergas.optimizations.parallel_processor._strategy import (
    BackendName,
    LimitName,
    LoadBalancingStrategy,
    ProcessingStrategy,
)
from sergas.optimizations.parallel_processor._stream import Call, stream, stream_async
from sergas.optimizations.parallel_processor._tally import ProcessorMetrics, Tally
from sergas.optimizations.parallel_processor._threads import ThreadLane, Watch

__all__ = ["ParallelProcessor"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# A chunk's work should dwarf its hand-over: tens of microseconds between threads, hundreds between
# processes, milliseconds between machines.
_TARGET_S: dict[str, float] = {
    "serial": 0.001,
    "thread": 0.001,
    "async": 0.001,
    "process": 0.01,
    "interpreter": 0.01,
    "dask": 0.1,
}
_MADE_OF_LANES = ("thread", "process", "interpreter", "dask")
_BACKENDS = ("auto", *_TARGET_S)
_MORE_THREADS = 4


class _Keywords(TypedDict, total=False):
    """What `map` and its kin take besides function and items."""

    timeout: float | None
    retries: int
    backoff: Backoff
    retry_on: tuple[type[BaseException], ...]
    chunk: int | Literal["auto"]
    checkpoint: str | PathLike[str] | None
    progress: ProgressCallback | None


class _AnyCrew(Protocol):
    def submit(self, chunk: Chunk) -> None: ...
    def cancel(self, job: Job) -> None: ...
    def close(self, *, is_draining: bool) -> None: ...


class ParallelProcessor:
    """Calls a function on many items at once; each item's error, crash or delay is its own.

    The input is read by the caller's thread and never far ahead: at most two chunks per worker are
    out at a time, of a size that follows what the items take (1 to 1024). Workers start when first
    needed and stay until `close`. Any number of threads may use one processor.

    - "thread": for functions that wait or leave the interpreter. An item that runs out of time is
      given up; its thread is left alone with it, for no thread can be ended from outside.
    - "process": for functions that keep the interpreter busy or may crash. Each worker has a
      process; one that dies or runs out of time costs the item it was on, and a new one takes the
      rest; no item runs twice. Function, items and results must pickle; a script must protect its
      start with `if __name__ == "__main__":`.
    - "async": for coroutine functions, `workers` at a time; what runs out of time is cancelled.
    - "interpreter": interpreters of one process, each with a lock of its own; from Python 3.14 on.
    - "dask": a cluster of `distributed`; the extra `dask`.
    - "serial": the caller's own thread.
    - "auto": one of the first three or "serial", by what the first items are seen to do, which the
      caller's thread works off; `choice` tells which and why.

    A call from inside a worker of any processor runs its items right there: workers that wait for
    workers could wait for ever.

    Args:
        workers: How many work at the same time, >= 1; None means one per usable processor, and
            four more on threads and tasks, which often wait.
        backend: Where items are worked on.
        limit: "fixed" keeps two chunks per worker out. "aimd" and "gradient" find out how many the
            far side takes: from one, up to `workers`, by drops (`OSError`, timeouts among them) or
            by latency.
        balance: Which worker gets which items.
        limits: What each worker process may use.
        address: Where a Dask scheduler listens; None starts a cluster on this machine.

    Raises:
        ProcessorValueError: If a value is out of its range.
        BackendUnavailableError: If this Python or system cannot run the backend.
        MissingExtraError: If the backend is "dask" and `distributed` is not installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        backend: BackendName | ProcessingStrategy = "auto",
        limit: LimitName = "fixed",
        balance: LoadBalancingStrategy | str = LoadBalancingStrategy.ADAPTIVE,
        limits: ResourceLimits = ResourceLimits(),  # noqa: B008 - immutable
        address: str | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ProcessorValueError(f"ParallelProcessor: workers is {workers}, needed 1 or more")
        if backend not in _BACKENDS:
            known = ", ".join(f'"{known}"' for known in _BACKENDS)
            raise ProcessorValueError(
                f"ParallelProcessor: backend is {backend!r}, needed one of {known}"
            )
        if limit not in LIMITERS:
            limiter(limit, limit_max=1)  # tells which there are
        self._backend: str = str(backend)
        _check_system(self._backend, limits)
        waits = self._backend in ("thread", "async", "auto")
        self._workers = workers or usable_processors() + _MORE_THREADS * waits
        self._limit = limit
        self._balance = _balance_of(balance)
        self._limits = limits
        self._address = address
        self._tally = Tally()
        self._lock = threading.Lock()  # guards the next four
        self._crews: dict[str, _AnyCrew] = {}
        self._limiters: dict[str, Limiter] = {}
        self._is_closed = False
        self._choice: Choice | None = None
        self._watch = Watch()
        self._finalize = weakref.finalize(self, _close_all, self._crews, self._watch)

    @property
    def workers(self) -> int:
        """How many items are worked on at the same time."""
        return self._workers

    @property
    def choice(self) -> Choice | None:
        """Where "auto" has sent the items of the last call, and why; None before the first."""
        return self._choice

    @overload
    def map(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> list[ResultT]: ...
    @overload
    def map(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["return"],
        **options: Unpack[_Keywords],
    ) -> list[Outcome[ResultT]]: ...
    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        on_error: Literal["raise", "return", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> list[Any]:
        """The results in the order of the items.

        Args:
            function: Called once with each item, more often where `retries` say so. A coroutine
                function is awaited, on the backends "async" and "auto".
            items: Read as results come in; may be any iterable that ends.
            on_error: "raise" raises the error of the first item in order that failed, and starts no
                further ones; "skip" leaves failed items out; "return" gives an `Outcome` for each.
            **options: `timeout` in seconds for one attempt at one item; `retries`, further
                attempts at an item whose error is one of `retry_on` (Exception), each after a wait
                that `backoff` says; `chunk`, items handed over at a time ("auto"); `checkpoint`, a
                file that keeps finished items, from which the same call goes on; `progress`, called
                with a `Progress` as chunks are done.

        Raises:
            ProcessorClosedError: If the processor is closed, before or meanwhile.
            NotPicklableError: If the function has to travel and cannot.
            ProcessorValueError: If an option is out of its range.
            CheckpointError: If the checkpoint cannot be used.
            BaseException: The first item's error, or whatever reading `items` raises.
        """
        chosen = _options(options, on_error=on_error, is_ordered=True)
        results: list[Any] = []
        with closing(self._chunks(function, items, chosen)) as chunks:
            for chunk in chunks:
                results.extend(_results(chunk, on_error))
        return results

    @overload
    def imap(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> Iterator[ResultT]: ...
    @overload
    def imap(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["return"],
        **options: Unpack[_Keywords],
    ) -> Iterator[Outcome[ResultT]]: ...
    def imap(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        on_error: Literal["raise", "return", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> Iterator[Any]:
        """As `map`, one result at a time; `items` may be endless.

        Reads ahead of what was taken by at most two chunks per worker. If the iterator is closed
        early, no further item starts.
        """
        chosen = _options(options, on_error=on_error, is_ordered=True)
        return _flat(self._chunks(function, items, chosen), on_error)

    @overload
    def imap_unordered(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> Iterator[ResultT]: ...
    @overload
    def imap_unordered(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["return"],
        **options: Unpack[_Keywords],
    ) -> Iterator[Outcome[ResultT]]: ...
    def imap_unordered(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        on_error: Literal["raise", "return", "skip"] = "raise",
        **options: Unpack[_Keywords],
    ) -> Iterator[Any]:
        """As `imap`, chunk by chunk as they are done; an `Outcome` tells the index of its item."""
        chosen = _options(options, on_error=on_error, is_ordered=False)
        return _flat(self._chunks(function, items, chosen), on_error)

    async def amap(
        self,
        function: Callable[[ItemT], Any],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        *,
        on_error: Literal["raise", "return", "skip"] = "raise",
        is_ordered: bool = True,
        **options: Unpack[_Keywords],
    ) -> AsyncIterator[Any]:
        """As `imap`, for callers in an event loop, whose loop goes on while items are worked off.

        Coroutine functions run in the caller's loop, `workers` at a time; others on the backend.
        """
        chosen = _options(options, on_error=on_error, is_ordered=is_ordered)
        loop = asyncio.get_running_loop()
        done: asyncio.Queue[Chunk] = asyncio.Queue()
        tasks: TaskCrew | None = None
        if inspect.iscoroutinefunction(function):
            self._check_coroutines()
            tasks = TaskCrew(self._workers, self._tally)
            job = Job(function, chosen, done.put_nowait)
            call = self._call(job, "async", tasks, items)
        else:
            job = Job(
                function, chosen, lambda chunk: loop.call_soon_threadsafe(done.put_nowait, chunk)
            )
            call = self._call(job, *self._crew_for(function, chosen), items)
        chunks = stream_async(call, items, done)
        try:
            async for chunk in chunks:
                for result in _results(chunk, on_error):
                    yield result
        finally:
            await chunks.aclose()
            if tasks is not None:
                await tasks.wait_closed()

    def metrics(self) -> ProcessorMetrics:
        """What has been done so far."""
        return self._tally.metrics(workers=self._workers, peak_rss_bytes=self._peak_rss_bytes())

    def shutdown(self, mode: Literal["drain", "cancel"] = "drain") -> None:
        """End the workers; harmless when repeated.

        Args:
            mode: "drain" lets them finish what they have been given. "cancel" starts no further
                item, ends worker processes where they are, and gives what is left a
                `ProcessorClosedError`.

        Raises:
            ProcessorValueError: If the mode is another.
        """
        if mode not in ("drain", "cancel"):
            raise ProcessorValueError(f'shutdown: got {mode!r}, needed "drain" or "cancel"')
        with self._lock:
            self._is_closed = True
            crews = list(self._crews.values())
        for crew in crews:
            crew.close(is_draining=mode == "drain")
        self._watch.close()

    def close(self) -> None:
        """Finish what workers have been given, then end them; harmless when repeated."""
        self.shutdown("drain")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown("drain" if exc_info[0] is None else "cancel")

    def _chunks(
        self, function: Callable[[Any], Any], items: Iterable[Any], options: CallOptions
    ) -> Generator[Chunk, None, None]:
        done: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        job = Job(function, options, done.put)
        call = self._call(job, *self._crew_for(function, options), items)
        return stream(call, items, done)

    def _call(self, job: Job, backend: str, crew: _AnyCrew, items: object) -> Call:
        with self._lock:
            if self._is_closed:
                raise closed_error()
            known = self._limiters.get(backend)
        options = job.options
        total = len(items) if isinstance(items, Sized) else None
        workers = 1 if isinstance(crew, InlineCrew) else self._workers
        fixed = CHUNKS_PER_WORKER * workers
        is_fixed = self._limit == "fixed"
        chunk = options.chunk
        if self._balance is LoadBalancingStrategy.LEAST_BUSY and chunk == "auto":
            chunk = 1
        schedule = Schedule(
            job,
            workers=workers,
            pace=Pace.of(chunk, target_s=_TARGET_S.get(backend, _TARGET_S["process"])),
            limiter=known or limiter(self._limit, limit_max=fixed if is_fixed else workers),
            total=total,
            chance=draw,
        )
        submit: Callable[[Chunk], object] = crew.submit
        if backend == "auto":
            submit = Scout(InlineCrew(self._tally), partial(self._decided, job)).submit
        return Call(
            schedule,
            submit=submit,
            cancel=partial(self._cancel, job, crew),
            on_end=partial(self._remember, backend, schedule),
            options=options,
            checkpoint=(
                None
                if options.checkpoint is None
                else Checkpoint(options.checkpoint, function_name(job.function))
            ),
            total=total,
        )

    def _crew_for(
        self, function: Callable[[Any], Any], options: CallOptions
    ) -> tuple[str, _AnyCrew]:
        """The backend's name and the crew that a call uses."""
        inline = InlineCrew(self._tally)
        if inspect.iscoroutinefunction(function):
            self._check_coroutines()
            if is_worker():
                raise ProcessorValueError(
                    f"{function_name(function)}: a coroutine function cannot be awaited from "
                    "inside a worker; await it there, or use a plain function"
                )
            return "async", self._crew("async")
        if is_worker() or self._backend == "serial":
            if options.timeout_s is not None:
                raise ProcessorValueError(
                    "timeout: the thread that calls cannot interrupt itself; leave timeout= away "
                    'on backend="serial" and inside a worker'
                )
            return "serial", inline
        if self._backend == "async":
            raise ProcessorValueError(
                f'{function_name(function)}: backend="async" needs a coroutine function (async '
                'def); use backend="thread" for this one'
            )
        if self._backend != "auto":
            if self._backend == "process":
                packed_function(function)
            return self._backend, self._crew(self._backend)
        if options.timeout_s is None:
            return "auto", inline
        # The first items cannot be tried here: nothing could end them.
        backend: BackendName = "process" if is_picklable(function) else "thread"
        self._choice = Choice(backend=backend, reason="the time of an item is limited")
        return backend, self._crew(backend)

    def _check_coroutines(self) -> None:
        if self._backend not in ("async", "auto"):
            raise ProcessorValueError(
                f'a coroutine function needs backend="async" or "auto", not "{self._backend}"'
            )

    def _decided(self, job: Job, choice: Choice) -> Callable[[Chunk], object]:
        self._choice = choice
        if choice.backend == "serial":
            return InlineCrew(self._tally).submit
        crew = self._crew(choice.backend)
        job.crew = crew
        return crew.submit

    def _cancel(self, job: Job, crew: _AnyCrew) -> None:
        (job.crew or crew).cancel(job)

    def _remember(self, backend: str, schedule: Schedule) -> None:
        if self._limit != "fixed":
            with self._lock:
                self._limiters[backend] = schedule.limiter

    def _crew(self, backend: str) -> _AnyCrew:
        with self._lock:
            if self._is_closed:
                raise closed_error()
            if backend not in self._crews:
                self._crews[backend] = self._made_crew(backend)
            return self._crews[backend]

    def _made_crew(self, backend: str) -> _AnyCrew:
        if backend == "async":
            return LoopCrew(self._workers, self._tally)
        return Crew(
            self._workers,
            _lane_maker(backend, self._watch, self._limits, self._address),
            self._tally,
            is_round_robin=self._balance is LoadBalancingStrategy.ROUND_ROBIN,
        )

    def _peak_rss_bytes(self) -> int | None:
        with self._lock:
            crews = list(self._crews.values())
        lanes = [lane for crew in crews if isinstance(crew, Crew) for lane in crew.lanes()]
        apart = [
            p for lane in lanes if isinstance(lane, ProcessLane) if (p := lane.peak_rss_bytes())
        ]
        return sum(apart) if apart else own_peak_rss_bytes()


def _lane_maker(
    backend: str, watch: Watch, limits: ResourceLimits, address: str | None
) -> Callable[[Crew], Any]:
    if backend == "thread":
        return partial(_thread_lane, watch)
    if backend == "process":
        return lambda _: ProcessLane(limits)
    if backend == "interpreter":
        return lambda _: InterpreterLane()
    client = dask_client(address)
    return lambda _: DaskLane(client)


def _thread_lane(watch: Watch, crew: Crew) -> ThreadLane:
    return ThreadLane(crew, watch)


def _check_system(backend: str, limits: ResourceLimits) -> None:
    limits.check_system()
    if limits.is_any and backend not in ("process", "auto"):
        raise BackendUnavailableError(
            f'limits: only processes can be limited, not backend="{backend}"; use '
            'backend="process" or leave limits= away'
        )
    if backend == "interpreter":
        check_interpreters()


def _balance_of(balance: LoadBalancingStrategy | str) -> LoadBalancingStrategy:
    try:
        return LoadBalancingStrategy(balance)
    except ValueError:
        known = ", ".join(f'"{known}"' for known in LoadBalancingStrategy)
        raise ProcessorValueError(f"balance: got {balance!r}, needed one of {known}") from None


def _options(keywords: _Keywords, **more: Any) -> CallOptions:
    given: dict[str, Any] = dict(keywords)
    if "timeout" in given:
        given["timeout_s"] = given.pop("timeout")
    unknown = given.keys() - CallOptions.__dataclass_fields__.keys()
    if unknown:
        raise TypeError(f"ParallelProcessor: unknown option {', '.join(sorted(unknown))}")
    return CallOptions(**given, **more)


def _flat(chunks: Generator[Chunk, None, None], on_error: str) -> Iterator[Any]:
    with closing(chunks):
        for chunk in chunks:
            yield from _results(chunk, on_error)


def _results(chunk: Chunk, on_error: str) -> Iterable[Any]:
    """What the caller gets of a chunk."""
    if on_error == "return":
        return chunk.outcomes()
    if not chunk.errors and not chunk.moved:
        return chunk.values
    return _sifted(chunk, on_error)


def _sifted(chunk: Chunk, on_error: str) -> Iterator[Any]:
    for place in chunk.places():
        if (error := chunk.errors.get(place)) is None:
            yield chunk.values[place]
        elif on_error == "raise":
            raise error


def _close_all(crews: dict[str, _AnyCrew], watch: Watch) -> None:
    """What is left when nobody holds the processor any more, or the program ends."""
    for crew in crews.values():
        crew.close(is_draining=False)
    watch.close()
