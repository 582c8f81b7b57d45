"""The worker's side of the conversation, with both ends in one process."""

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from tests.unit.sergas.parallel_processor import jobs

from sergas.clock import SystemClock
from sergas.errors import NotPicklableError
from sergas.optimizations.parallel_processor._worker import serve

Ask: TypeAlias = Callable[
    [bytes | None, list[bytes]], list[tuple[float, Any, BaseException | None]]
]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Sends one request to a worker that is ready, and receives one answer for each item."""
    near, far = multiprocessing.Pipe()
    worker = threading.Thread(target=serve, args=(far,))
    worker.start()
    assert near.recv_bytes() == b""

    def send(
        payload: bytes | None, blobs: list[bytes]
    ) -> list[tuple[float, Any, BaseException | None]]:
        near.send_bytes(pickle.dumps((payload, list(enumerate(blobs)))))
        return [near.recv() for _ in blobs]

    yield send
    near.close()
    worker.join(20.0)
    assert not worker.is_alive(), "it leaves when nobody listens"
    far.close()


def payload(function: Callable[[Any], Any]) -> bytes:
    """A function as it is sent."""
    return pickle.dumps((function, SystemClock()))


def test_worker_keeps_the_function_between_requests(ask: Ask) -> None:
    """It is sent once; each item gets an answer of its own, good or bad."""
    blobs = [pickle.dumps(-1), pickle.dumps("x")]
    for sent in (payload(abs), None):
        (_, value, no_error), (_, no_value, error) = ask(sent, blobs)
        assert (value, no_error) == (1, None)
        assert (no_value, type(error)) == (None, TypeError)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"not a pickle", "the function cannot be loaded in the worker process"),
        (payload(jobs.fail_to_return), None),
    ],
    ids=["unloadable", "loadable"],
)
def test_function_that_does_not_load_is_every_items_error(
    ask: Ask, sent: bytes, message: str | None
) -> None:
    """The worker lives on and takes the next function."""
    for _, value, error in ask(sent, [pickle.dumps("fine")] * 2):
        assert value == ("fine" if message is None else None)
        assert message is None or (isinstance(error, NotPicklableError) and message in str(error))
    assert ask(payload(abs), [pickle.dumps(-2)])[0][1] == 2


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"not a pickle", "it cannot be loaded in the worker process"),
        (pickle.dumps("result"), "its result, a lock, cannot be sent back"),
        (pickle.dumps("unpicklable"), "UnpicklableError: locked, which cannot be sent back"),
        (pickle.dumps("unloadable"), "UnloadableError: nothing at nowhere, which cannot be sent"),
    ],
    ids=["item", "result", "unpicklable error", "unloadable error"],
)
def test_what_cannot_travel_is_told_apart(ask: Ask, blob: bytes, message: str) -> None:
    """One item's trouble is worded for that item, and the next one is not affected."""
    (_, value, error), (_, next_value, _) = ask(
        payload(jobs.fail_to_return), [blob, pickle.dumps("fine")]
    )
    assert (value, next_value) == (None, "fine")
    assert isinstance(error, NotPicklableError)
    assert "item 0" in str(error)
    assert message in str(error)
