# ruff: noqa: SLF001 - a loan is a part of its pool, kept apart for its size
"""The `with` blocks in which a connection is on loan: the hot path of both pools.

Classes with slots cost a third of a generator's context manager. The `borrow` and `give_back` of
the machine are called here without the pool's lock; `_state` says why that is sound. Whatever an
interrupt or a cancellation cuts short is found and put right by `_recover` and `_salvage`.
"""

import sys
from types import FrameType
from typing import TYPE_CHECKING, Generic

from sergas.optimizations.connection_pool._model import ConnectionT, Member
from sergas.optimizations.connection_pool._state import Hand

if TYPE_CHECKING:
    from sergas.optimizations.connection_pool._asyncio import AsyncConnectionPool
    from sergas.optimizations.connection_pool._threads import ConnectionPool

__all__ = ["AsyncLoan", "Loan"]


def _place(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno


class Loan(Generic[ConnectionT]):
    """The `with` block of `ConnectionPool.connection`."""

    __slots__ = ("_member", "_pool", "_timeout_s")
    _member: Member[ConnectionT]

    def __init__(self, pool: "ConnectionPool[ConnectionT]", timeout_s: float | None) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    def __enter__(self) -> ConnectionT:
        pool = self._pool
        try:
            member = pool._machine.borrow(self, pool._now_s())
            if member is None or (pool._alive is not None and not pool._alive(member.connection)):
                member = pool._wait_for_one(self, self._timeout_s, member)
            if pool._tracks_borrowers:
                member.borrower = _place(sys._getframe(1))
            self._member = member
            return member.connection  # noqa: TRY300 - an interrupt here must find the handler, too
        except BaseException:
            pool._recover(self)
            raise

    def blame(self, frame: FrameType) -> None:
        """Note who borrowed."""
        self._member.borrower = _place(frame)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        pool, member = self._pool, self._member
        if member.owner is not self:
            pool._refuse_return(member)
            return
        member.owner = Hand.RETURNING
        try:
            if kind is not None or pool._reset is not None:
                pool._finish(member, is_success=kind is None)
                return
            if pool._commit is not None:
                pool._commit(member.connection)
            if not pool._machine.give_back(member, pool._now_s()):
                pool._rebalance()
        except BaseException as error:
            pool._salvage(member, error)
            raise


class AsyncLoan(Generic[ConnectionT]):
    """The `async with` block of `AsyncConnectionPool.connection`."""

    __slots__ = ("_member", "_pool", "_timeout_s")
    _member: Member[ConnectionT]

    def __init__(self, pool: "AsyncConnectionPool[ConnectionT]", timeout_s: float | None) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    async def __aenter__(self) -> ConnectionT:
        pool = self._pool
        try:
            member = pool._machine.borrow(self, pool._now_s())
            if member is None or (pool._alive is not None and not pool._alive(member.connection)):
                member = await pool._wait_for_one(self, self._timeout_s, member)
            if pool._tracks_borrowers:
                member.borrower = _place(sys._getframe(1))
            self._member = member
            return member.connection  # noqa: TRY300 - an interrupt here must find the handler, too
        except BaseException:
            pool._recover(self)
            raise

    def blame(self, frame: FrameType) -> None:
        """Note who borrowed."""
        self._member.borrower = _place(frame)

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        pool, member = self._pool, self._member
        if member.owner is not self:
            pool._refuse_return(member)
            return
        member.owner = Hand.RETURNING
        try:
            if kind is not None or pool._reset is not None:
                await pool._finish(member, is_success=kind is None)
                return
            if pool._commit is not None:
                await pool._commit(member.connection)
            if not pool._machine.give_back(member, pool._now_s()):
                pool._rebalance()
        except BaseException as error:
            await pool._salvage(member, error)
            raise
