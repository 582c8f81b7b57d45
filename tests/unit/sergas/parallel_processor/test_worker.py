"""The worker's side of the conversation, with both ends in one process."""

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeAlias

import pytest
from tests.unit.sergas.parallel_processor import jobs

from sergas.errors import NotPicklableError
from sergas.optimizations.parallel_processor._tray import Tray
from sergas.optimizations.parallel_processor._worker import (
    BEGUN,
    ENDED,
    ERROR,
    REFUSED,
    SPILL,
    VALUE,
    serve,
)

Answers: TypeAlias = list[tuple[int, Any]]


class Near:
    """The side that asks."""

    def __init__(self, connection: Any, tray: Tray) -> None:
        self.connection = connection
        self.tray = tray
        self.numbers = count()

    def ask(self, function: bytes, packed: bytes) -> bytes:
        """Send a job's first request; the worker's first message."""
        self.connection.send_bytes(pickle.dumps((next(self.numbers), function, 0, packed)))
        return bytes(self.connection.recv_bytes())

    def answers(self, function: Callable[[Any], Any], items: list[Any]) -> Answers:
        """What lies on the tray when a request has ended: kind and what was put."""
        assert self.ask(pickle.dumps(function), pickle.dumps(items)) == BEGUN
        assert self.connection.recv_bytes().startswith(ENDED)
        return [(kind, pickle.loads(body)) for kind, _, body in self.tray.take()]  # noqa: S301


@pytest.fixture
def near() -> Iterator[Near]:
    """A worker that is ready, in a thread."""
    connection, far = multiprocessing.Pipe()
    tray = Tray()
    worker = threading.Thread(target=serve, args=(far, Tray(tray.name)))
    worker.start()
    assert connection.recv_bytes() == b""
    yield Near(connection, tray)
    connection.close()
    worker.join(20.0)
    assert not worker.is_alive(), "it leaves when nobody listens"
    tray.close()
    far.close()


def test_each_item_gets_an_answer_of_its_own(near: Near) -> None:
    """Good or bad, in order, request after request."""
    for _ in range(2):
        (good, value), (bad, error) = near.answers(abs, [-1, "x"])
        assert (good, value) == (VALUE, 1)
        assert (bad, type(error)) == (ERROR, TypeError)


def test_a_function_that_does_not_load_is_every_items_error(near: Near) -> None:
    """The worker lives on and takes the next function."""
    assert near.ask(b"not a pickle", pickle.dumps([1, 2])) == BEGUN
    assert near.connection.recv_bytes().startswith(ENDED)
    for kind, _, body in near.tray.take():
        error = pickle.loads(body)  # noqa: S301 - from our own worker
        assert kind == ERROR
        assert isinstance(error, NotPicklableError)
        assert "the function cannot be loaded in the worker process" in str(error)
    assert near.answers(abs, [-2]) == [(VALUE, 2)]


def test_items_that_do_not_load_are_refused_as_a_whole(near: Near) -> None:
    """Which of them it is, the other side finds out."""
    said = near.ask(pickle.dumps(abs), b"not a pickle")
    assert said.startswith(REFUSED)
    assert near.answers(abs, [-2]) == [(VALUE, 2)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("result", "its result, a lock, cannot be sent back"),
        ("unpicklable", "UnpicklableError: locked, which cannot be sent back"),
        ("unloadable", "UnloadableError: nothing at nowhere, which cannot be sent"),
    ],
)
def test_what_cannot_travel_is_told_apart(near: Near, kind: str, message: str) -> None:
    """One item's trouble is worded for that item, and the next one is not affected."""
    (bad, error), fine = near.answers(jobs.fail_to_return, [kind, "fine"])
    assert (bad, fine) == (ERROR, (VALUE, "fine"))
    assert isinstance(error, NotPicklableError)
    assert "item 0" in str(error)
    assert message in str(error)


def test_a_full_tray_is_told_and_a_cancellation_ends_the_request(near: Near) -> None:
    """What was finished stays; the worker takes the next request."""
    assert near.ask(pickle.dumps(bytes), pickle.dumps([100_000] * 5)) == BEGUN
    assert near.connection.recv_bytes() == SPILL
    assert near.tray.count == 2
    near.connection.send_bytes(b"c")
    assert near.connection.recv_bytes().startswith(ENDED)
    assert near.answers(abs, [-2]) == [(VALUE, 2)]
