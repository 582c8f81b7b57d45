"""Collect lookups by key that come at about the same time, and make them at once.

The same idea as in Facebook's DataLoader (2015): callers ask for one key each, and one function
that takes many keys is called once for all of them.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from sergas.errors import LoaderError

__all__ = ["BatchLoader", "ThreadBatchLoader"]

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


def _checked(max_batch: int) -> int:
    if max_batch < 1:
        raise LoaderError(f"loader: got max_batch={max_batch}, needed 1 or more")
    return max_batch


def _batches(keys: Sequence[KeyT], size: int) -> Iterable[Sequence[KeyT]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _value(found: Mapping[KeyT, ValueT], key: KeyT) -> ValueT:
    """The value of a key.

    Raises:
        LoaderError: If the batch has none for it.
        Exception: If its value is one.
    """
    if key not in found:
        raise LoaderError(f"loader: the batch has no value for {key!r}")
    value = found[key]
    if isinstance(value, Exception):
        raise value
    return value


class BatchLoader(Generic[KeyT, ValueT]):
    """For tasks: what they ask for in one turn of the event loop is one batch.

    Keeps what it has loaded for as long as it lives, so make one for a request, not for a program.

    Args:
        batch: Gives a value for each key. A key that it leaves out is an error of that key; a value
            that is an exception is raised for that key.
        max_batch: Most keys in one call, >= 1.

    Raises:
        LoaderError: If `max_batch` is below 1.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[KeyT]], Awaitable[Mapping[KeyT, ValueT]]],
        *,
        max_batch: int = 500,
    ) -> None:
        self._batch = batch
        self._max_batch = _checked(max_batch)
        self._known: dict[KeyT, asyncio.Future[ValueT]] = {}
        self._asked: list[KeyT] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, key: KeyT) -> ValueT:
        """The value of a key; asked for once, however many want it.

        Raises:
            LoaderError: If the batch has no value for it.
            Exception: What the batch raises, or has as the key's value.
        """
        known = self._known.get(key)
        if known is None:
            loop = asyncio.get_running_loop()
            known = self._known[key] = loop.create_future()
            self._asked.append(key)
            if len(self._asked) == 1:
                loop.call_soon(self._send)
        # One of those who wait may be cancelled; the others still get the value.
        return await asyncio.shield(known)

    async def load_many(self, keys: Iterable[KeyT]) -> list[ValueT]:
        """Their values, in the order of the keys."""
        return list(await asyncio.gather(*map(self.load, keys)))

    def forget(self, key: KeyT) -> None:
        """Ask anew the next time."""
        self._known.pop(key, None)

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        for keys in _batches(asked, self._max_batch):
            task = asyncio.get_running_loop().create_task(self._run(keys))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, keys: Sequence[KeyT]) -> None:
        waiting = {key: self._known[key] for key in keys if key in self._known}
        try:
            found = await self._batch(keys)
        except BaseException as error:
            for key, future in waiting.items():
                self._fail(key, future, error)
            if not isinstance(error, Exception):
                raise
            return
        for key, future in waiting.items():
            try:
                value = _value(found, key)
            except Exception as error:  # noqa: BLE001 - the key's own
                self._fail(key, future, error)
            else:
                if not future.done():
                    future.set_result(value)

    def _fail(self, key: KeyT, future: "asyncio.Future[ValueT]", error: BaseException) -> None:
        """Errors are not kept: the next who asks tries again."""
        self.forget(key)
        if not future.done():
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # whoever waited may be gone
            else:
                future.cancel()


class ThreadBatchLoader(Generic[KeyT, ValueT]):
    """For threads: what they ask for within a short wait is one batch.

    The first to ask waits, then loads for all who asked meanwhile. Keeps what it has loaded.

    Args:
        batch: As in `BatchLoader`, but no coroutine.
        max_batch: Most keys in one call, >= 1.
        wait_s: Seconds to collect keys, >= 0.

    Raises:
        LoaderError: If a value is out of its range.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[KeyT]], Mapping[KeyT, ValueT]],
        *,
        max_batch: int = 500,
        wait_s: float = 0.001,
    ) -> None:
        if wait_s < 0.0:
            raise LoaderError(f"loader: got wait_s={wait_s}, needed 0 or more")
        self._batch = batch
        self._max_batch = _checked(max_batch)
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._known: dict[KeyT, Future[ValueT]] = {}
        self._asked: list[KeyT] = []
        self._pause = threading.Event()

    def load(self, key: KeyT) -> ValueT:
        """The value of a key; asked for once, however many want it.

        Raises:
            LoaderError: If the batch has no value for it.
            Exception: What the batch raises, or has as the key's value.
        """
        return self.load_many([key])[0]

    def load_many(self, keys: Iterable[KeyT]) -> list[ValueT]:
        """Their values, in the order of the keys."""
        wanted = list(keys)
        with self._lock:
            is_first = not self._asked
            futures = [self._future(key) for key in wanted]
            leads = is_first and bool(self._asked)
        if leads:
            self._pause.wait(self._wait_s)  # nobody sets it: only time passes
            with self._lock:
                asked, self._asked = self._asked, []
            for batch in _batches(asked, self._max_batch):
                self._run(batch)
        return [future.result() for future in futures]

    def forget(self, key: KeyT) -> None:
        """Ask anew the next time."""
        with self._lock:
            self._known.pop(key, None)

    def _future(self, key: KeyT) -> "Future[ValueT]":
        if key not in self._known:
            self._known[key] = Future()
            self._asked.append(key)
        return self._known[key]

    def _run(self, keys: Sequence[KeyT]) -> None:
        with self._lock:
            waiting = {key: self._known[key] for key in keys if key in self._known}
        found: Mapping[KeyT, ValueT] = {}
        failure: BaseException | None = None
        try:
            found = self._batch(keys)
        except BaseException as error:  # noqa: BLE001 - whoever waits has to hear of it
            failure = error
        for key, future in waiting.items():
            if failure is not None:
                self._fail(key, future, failure)
                continue
            try:
                value = _value(found, key)
            except Exception as error:  # noqa: BLE001 - the key's own
                self._fail(key, future, error)
            else:
                future.set_result(value)

    def _fail(self, key: KeyT, future: "Future[ValueT]", error: BaseException) -> None:
        """Errors are not kept: the next who asks tries again."""
        self.forget(key)
        future.set_exception(error)
