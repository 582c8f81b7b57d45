"""The caller's side of a call, for those who wait in a thread and for those who await."""

import asyncio
import queue
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import suppress
from itertools import islice
from typing import Any

from sergas.optimizations.parallel_processor._checkpoint import Checkpoint
from sergas.optimizations.parallel_processor._chunk import Chunk
from sergas.optimizations.parallel_processor._options import CallOptions, Progress
from sergas.optimizations.parallel_processor._schedule import Schedule

__all__ = ["Call", "stream", "stream_async"]


class Call:
    """What a call needs besides its schedule: its workers, its journal and its progress.

    Args:
        schedule: What goes out when.
        submit: Hands a chunk to the workers.
        cancel: Tells the workers that the call is over before its end.
        on_end: Called when it is over, either way.
        options: What the call was asked for.
        checkpoint: Where finished items are kept, if they are.
        total: Items altogether, if the input tells.
    """

    def __init__(  # noqa: PLR0913 - by name only
        self,
        schedule: Schedule,
        *,
        submit: Callable[[Chunk], object],
        cancel: Callable[[], object],
        on_end: Callable[[], object],
        options: CallOptions,
        checkpoint: Checkpoint | None,
        total: int | None,
    ) -> None:
        self.schedule = schedule
        self.submit = submit
        self.checkpoint = checkpoint
        self.failure: Exception | None = None  # of reading the input; told when all else is done
        self._cancel = cancel
        self._on_end = on_end
        self._options = options
        self._total = total
        self._index = 0
        self._done = self._failed = 0
        self._began_s = time.monotonic()

    def offer(self, items: list[Any]) -> None:
        """Give items that were read to the workers, except those whose values are known."""
        if self.checkpoint is None:
            self.submit(self.schedule.offer(items))
            return
        run: list[Any] = []
        run_is_known = False
        for item in items:
            known = self.checkpoint.known(self._index, item)
            self._index += 1
            if run and (known is not None) is not run_is_known:
                self._offer_run(run, is_known=run_is_known)
                run = []
            run_is_known = known is not None
            run.append(item if known is None else known.value)
        self._offer_run(run, is_known=run_is_known)

    def _offer_run(self, run: list[Any], *, is_known: bool) -> None:
        if is_known:
            self.schedule.offer_known(run)
        else:
            self.submit(self.schedule.offer(run))

    def stop_reading(self, failure: Exception | None = None) -> None:
        """The input has ended, or cannot be read."""
        self.failure = failure
        self.schedule.exhaust()

    def submit_due(self) -> None:
        """Give further attempts whose time has come to the workers."""
        for chunk in self.schedule.due(now_s=time.monotonic()):
            self.submit(chunk)

    def wait_s(self) -> float | None:
        """How long at most to wait for a chunk."""
        return self.schedule.wait_s(now_s=time.monotonic())

    def take_back(self, chunk: Chunk) -> None:
        """A chunk has come back."""
        self.schedule.take_back(chunk, now_s=time.monotonic())

    def next_ready(self) -> Chunk | None:
        """The next chunk to give back, written down and told of; None while there is none."""
        chunk = self.schedule.next_ready()
        if chunk is not None:
            if self.checkpoint is not None:
                self.checkpoint.keep(chunk)
            self._tell(chunk)
        return chunk

    def end(self) -> None:
        """Leave nothing running and nothing open."""
        if not self.schedule.is_over:
            self.schedule.cancel()
            self._cancel()
        if self.checkpoint is not None:
            self.checkpoint.close()
        self._on_end()

    def _tell(self, chunk: Chunk) -> None:
        if self._options.progress is None:
            return
        places = chunk.places()
        self._done += len(list(places))
        self._failed += sum(place in chunk.errors for place in places)
        self._options.progress(
            Progress(
                done=self._done,
                failed=self._failed,
                total=self._total,
                elapsed_s=time.monotonic() - self._began_s,
            )
        )


def stream(
    call: Call, items: Iterable[Any], done: "queue.SimpleQueue[Chunk]"
) -> Generator[Chunk, None, None]:
    """Run a call; chunks that workers deliver come through `done`.

    An input that raises ends there: what was read before it is worked off and given back, then its
    error comes up.
    """
    try:
        source = iter(items)
        while True:
            _fill(call, source)
            call.submit_due()
            while not done.empty():
                call.take_back(done.get())
            if (chunk := call.next_ready()) is not None:
                yield chunk
            elif call.schedule.is_over:
                break
            elif not call.schedule.want():
                with suppress(queue.Empty):
                    call.take_back(done.get(timeout=call.wait_s()))
        if call.failure is not None:
            raise call.failure
    finally:
        call.end()


def _fill(call: Call, source: Iterator[Any]) -> None:
    while size := call.schedule.want():
        items: list[Any] = []
        failure = None
        try:
            items.extend(islice(source, size))
        except Exception as error:  # noqa: BLE001 - reading runs code of the user's
            failure = error
        if items:
            call.offer(items)
        if failure is not None or len(items) < size:
            call.stop_reading(failure)


async def stream_async(
    call: Call,
    items: Iterable[Any] | AsyncIterable[Any],
    done: "asyncio.Queue[Chunk]",
) -> AsyncGenerator[Chunk, None]:
    """As `stream`, awaiting what it waits for."""
    try:
        source = _as_async(items)
        while True:
            await _fill_async(call, source)
            call.submit_due()
            while not done.empty():
                call.take_back(done.get_nowait())
            if (chunk := call.next_ready()) is not None:
                yield chunk
            elif call.schedule.is_over:
                break
            elif not call.schedule.want():
                with suppress(TimeoutError):
                    async with asyncio.timeout(call.wait_s()):
                        call.take_back(await done.get())
        if call.failure is not None:
            raise call.failure
    finally:
        call.end()


async def _fill_async(call: Call, source: AsyncIterator[Any]) -> None:
    while size := call.schedule.want():
        items: list[Any] = []
        failure = None
        try:
            while len(items) < size:
                items.append(await anext(source))
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - reading runs code of the user's
            failure = error
        if items:
            call.offer(items)
        if failure is not None or len(items) < size:
            call.stop_reading(failure)


async def _as_async(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
