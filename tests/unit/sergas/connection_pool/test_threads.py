"""The pool between threads: who is served and woken, what nobody waits for, what a fork keeps."""

import dis
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from sergas.errors import PoolClosedError, PoolTimeoutError, PoolUnavailableError
from sergas.optimizations.connection_pool import ConnectionPool, Driver


class Link:
    """A connection with nothing behind it, which remembers what happened to it."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def commit(self) -> None:
        """Noted."""
        self.events.append("commit")

    def rollback(self) -> None:
        """Noted."""
        self.events.append("rollback")

    def close(self) -> None:
        """Noted."""
        self.events.append("close")


Pool: TypeAlias = ConnectionPool[Link]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Sixteen threads that have ended when the test has."""
    with ThreadPoolExecutor(16) as executor:
        yield executor


def until(holds: Callable[[], object]) -> None:
    """Returns once something holds that other threads bring about."""
    ends_s = time.monotonic() + 10
    while time.monotonic() < ends_s:
        if holds():
            return
        threading.Event().wait(0.0005)
    raise AssertionError("it did not happen within ten seconds")


def test_waiters_are_served_in_the_order_they_came(threads: ThreadPoolExecutor) -> None:
    """One connection goes through all hands, first come, first served."""
    served: list[int] = []
    with ConnectionPool(Link, min_size=1) as pool:

        def borrow(number: int) -> None:
            with pool.connection():
                served.append(number)

        loan = pool.getconn()
        borrowers = []
        for number in range(10):
            borrowers.append(threads.submit(borrow, number))
            until(lambda: pool.get_stats().waiting == len(borrowers))
        pool.putconn(loan)
        for borrower in borrowers:
            borrower.result(20.0)
        assert served == list(range(10))
        stats = pool.get_stats()
        assert (stats.requests, stats.opened) == (11, 1)
        assert stats.wait_s_total > 0


def test_newcomer_cannot_overtake_a_waiter(threads: ThreadPoolExecutor) -> None:
    """A returned connection belongs to the waiter before its thread has even woken up."""
    with ConnectionPool(Link, min_size=1) as pool:
        loan = pool.getconn()
        waiter = threads.submit(pool.getconn)
        until(lambda: pool.get_stats().waiting == 1)
        pool.putconn(loan)
        with pytest.raises(PoolTimeoutError):
            pool.getconn(timeout_s=0)
        pool.putconn(waiter.result(20.0))


def test_nobody_starves_under_contention(threads: ThreadPoolExecutor) -> None:
    """Sixteen threads on four connections get about the same.

    How nearly is measured by tools/evaluation/pool_checkout.py on a quiet machine; on a busy one a
    thread that is not running asks for nothing. Without a queue, four threads take everything.
    """
    turns: Counter[int] = Counter()
    is_over = threading.Event()
    start = threading.Barrier(16)
    with ConnectionPool(Link, min_size=4) as pool:
        pool.wait()

        def borrow(number: int) -> None:
            start.wait()
            while not is_over.is_set():
                with pool.connection():
                    is_over.wait(0.0005)
                    turns[number] += 1

        borrowers = [threads.submit(borrow, number) for number in range(16)]
        until(lambda: sum(turns.values()) >= 640)
        is_over.set()
        for borrower in borrowers:
            borrower.result(20.0)
    assert len(turns) == 16
    assert max(turns.values()) <= 3 * min(turns.values())


def test_timed_out_waiter_is_skipped(threads: ThreadPoolExecutor) -> None:
    """Those behind it are served as if it had never been there."""
    with ConnectionPool(Link, min_size=1) as pool:
        loan = pool.getconn()
        with pytest.raises(PoolTimeoutError, match=r"within 0\.01 s"):
            pool.getconn(timeout_s=0.01)
        waiter = threads.submit(pool.getconn)
        until(lambda: pool.get_stats().waiting == 1)
        pool.putconn(loan)
        pool.putconn(waiter.result(20.0))


def test_close_wakes_every_waiter(threads: ThreadPoolExecutor) -> None:
    """Nobody waits for what will never come."""
    pool = ConnectionPool(Link, min_size=1)
    pool.open()
    loan = pool.getconn()
    waiters = [threads.submit(pool.getconn) for _ in range(5)]
    until(lambda: pool.get_stats().waiting == 5)
    pool.close()
    for waiter in waiters:
        with pytest.raises(PoolClosedError):
            waiter.result(20.0)
    pool.putconn(loan)
    assert loan.events == ["rollback", "close"]


def test_graceful_close_waits_for_loans(threads: ThreadPoolExecutor) -> None:
    """It returns when the last one is back and closed, or when its time is over."""
    pool = ConnectionPool(Link, min_size=1)
    pool.open()
    loan = pool.getconn()
    pool.close(timeout_s=0.01, is_graceful=True)
    assert pool.get_stats().lent == 1
    closing = threads.submit(pool.close, 20.0, is_graceful=True)
    until(lambda: pool._watchers)
    pool.putconn(loan)
    closing.result(20.0)
    assert pool.get_stats().size == 0


def test_connections_are_opened_at_the_same_time() -> None:
    """As many as there are workers: each waits for the others, and the pool gets full."""
    together = threading.Barrier(3)

    def connect() -> Link:
        together.wait(20.0)
        return Link()

    with ConnectionPool(connect, min_size=3, num_workers=3) as pool:
        pool.wait(20.0)
        assert pool.get_stats().idle == 3


def test_connect_that_hangs_keeps_nobody() -> None:
    """Callers keep to their time, closing to its own; what comes late is closed."""
    may_go_on = threading.Event()
    late = Link()

    def connect() -> Link:
        assert may_go_on.wait(20.0)
        return late

    pool = ConnectionPool(connect, min_size=0, max_size=1)
    pool.open()
    with pytest.raises(PoolTimeoutError, match="1 being opened"):
        pool.getconn(timeout_s=0.02)
    pool.close(timeout_s=0.02)
    may_go_on.set()
    until(lambda: late.events == ["close"])
    pool.close()
    assert pool.get_stats().size == 0


def test_hanging_connects_are_no_more_than_the_workers() -> None:
    """However many callers come and go, threads do not pile up; new callers are told at once."""
    may_go_on = threading.Event()
    calls: list[int] = []

    def connect() -> Link:
        calls.append(1)
        assert may_go_on.wait(20.0)
        return Link()

    pool = ConnectionPool(
        connect,
        min_size=0,
        max_size=10,
        num_workers=2,
        connect_timeout_s=0.02,
        fail_fast_after_s=0.0,
    )
    with pool:
        for _ in range(10):
            with pytest.raises((PoolTimeoutError, PoolUnavailableError)):
                pool.getconn(timeout_s=0.01)
        until(lambda: pool.get_stats().is_failing_fast)
        with pytest.raises(PoolUnavailableError, match="has not returned"):
            pool.getconn()
        assert len(calls) <= 2
        may_go_on.set()


def test_threads_end_with_the_pool() -> None:
    """After close there is none left, and before open there is none yet."""
    before = set(threading.enumerate())
    pool = ConnectionPool(Link, min_size=4)
    assert set(threading.enumerate()) == before
    pool.open(wait=True)
    assert set(threading.enumerate()) > before
    pool.close()
    assert set(threading.enumerate()) == before


FORGET = """
import gc, threading, time, warnings
from sergas.optimizations.connection_pool import ConnectionPool

class Link:
    closed = False
    def close(self):
        self.closed = True

links = []
def connect():
    links.append(Link())
    return links[-1]

pool = ConnectionPool(connect, min_size=2)
pool.open(wait=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    del pool
    ends_s = time.monotonic() + 10
    while time.monotonic() < ends_s and not (caught and threading.active_count() == 1):
        gc.collect()
        time.sleep(0.001)
print([str(warning.message) for warning in caught])
print([link.closed for link in links], threading.active_count())
"""


def test_forgotten_pool_ends_its_threads_and_says_so() -> None:
    """Nothing of the pool keeps the pool alive; in a program of its own, nothing else does."""
    done = subprocess.run(
        [sys.executable, "-c", FORGET], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[\"unclosed 'pool': call close()\"]\n[True, True] 1\n"


class Interrupt:
    """Raises KeyboardInterrupt at the n-th place in the hot path where the interpreter would.

    It looks for signals when a function begins and after each call. Only the beginning of
    `__exit__` is left out: an interrupt there keeps any context manager from ending.
    """

    def __init__(self, at: int) -> None:
        self.left = at
        self.before: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Any:
        """A trace function."""
        if Path(frame.f_code.co_filename).name not in ("_loan.py", "_state.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before = self.before.get(frame, "CALL")
            self.before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith("CALL") and not is_at_the_door(frame):
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt
        return self


def is_at_the_door(frame: FrameType) -> bool:
    """Whether `__exit__` has not yet taken the connection back."""
    if frame.f_code.co_name != "__exit__":
        return False
    loan = frame.f_locals["self"]
    return loan._member.owner is loan


@pytest.mark.parametrize("is_success", [True, False], ids=["block", "block that raises"])
def test_interrupt_at_any_instruction_loses_nothing(is_success: bool) -> None:
    """Ctrl-C comes out wherever it strikes, and both connections can be borrowed afterwards."""

    def borrow(pool: Pool) -> None:
        with pool.connection():
            if not is_success:
                raise LookupError

    with ConnectionPool(Link, min_size=2, max_size=2) as pool:
        pool.wait()
        count = 0
        was_interrupted = True
        while was_interrupted:
            count += 1
            interrupt = Interrupt(count)
            sys.settrace(interrupt)
            try:
                borrow(pool)
            except (KeyboardInterrupt, LookupError):
                pass
            finally:
                sys.settrace(None)
            was_interrupted = interrupt.left <= 0
            for _ in range(2):  # half a minute passes, in which strays are found
                pool._tend()
                strays = pool._machine._strays
                strays.update({member: since_s - 30.0 for member, since_s in strays.items()})
            pool.wait()
            with pool.connection(timeout_s=20.0), pool.connection(timeout_s=20.0):
                pass
            stats = pool.get_stats()
            assert (stats.idle, stats.lent) == (2, 0), count
    assert count >= 8


def in_child(work: Callable[[], object]) -> bytes:
    """What `work` returns in a forked child, as text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = b"nothing"
        try:
            text = str(work()).encode()
        except BaseException as error:  # noqa: BLE001 - a child must not return into pytest
            text = repr(error).encode()
        finally:
            os.write(writing, text)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_of_a_fork_leaves_the_parents_connections_alone() -> None:
    """It connects anew; the loan it was forked in ends without a word on the parent's socket."""
    with ConnectionPool(Link, min_size=2, max_size=2) as pool:
        pool.wait()
        parents = [member.connection for member in pool._machine.members.values()]

        def work() -> object:
            with pool.connection(timeout_s=20.0) as link:
                is_new = link not in parents
            pool.close()
            return is_new, [parent.events for parent in parents], pool.get_stats().size

        with pool.connection():
            assert in_child(work) == b"(True, [[], []], 0)"

            def leave() -> object:
                return [parent.events for parent in parents]

        loan = pool.connection()
        loan.__enter__()
        for parent in parents:
            parent.events.clear()

        def leave_block() -> object:
            loan.__exit__(None, None, None)
            return leave()

        assert in_child(leave_block) == b"[[], []]"
        loan.__exit__(None, None, None)
        assert pool.get_stats().idle == 2


def test_credentials_are_fetched_for_each_connection() -> None:
    """`connect` is called anew each time, so what it reads may change."""
    passwords = iter(["first", "second"])
    used: list[str] = []

    def connect() -> Link:
        used.append(next(passwords))
        return Link()

    with ConnectionPool(connect, min_size=1) as pool:
        pool.wait()
        pool.drain()
        pool.wait()
    assert used == ["first", "second"]


def test_fast_lane_may_be_shut() -> None:
    """Without it, as on interpreters without a lock of their own, everything else is the same."""
    with ConnectionPool(Driver(connect=Link, close=Link.close), min_size=2) as pool:
        pool._machine._has_fast_lane = False
        pool.wait()
        for _ in range(10):
            with pool.connection(), pool.connection():
                pass
        stats = pool.get_stats()
        assert (stats.loans, stats.idle, stats.queued) == (20, 2, 0)
