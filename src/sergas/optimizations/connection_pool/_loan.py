"""The `with` block in which a connection is on loan."""

from collections.abc import Callable
from typing import Generic

from sergas.optimizations.connection_pool._model import ConnectionT

__all__ = ["Loan"]


class Loan(Generic[ConnectionT]):
    """The `with` block of `ConnectionPool.connection`: half the cost of a generator's."""

    __slots__ = ("_connection", "_end", "_getconn", "_timeout_s")
    _connection: ConnectionT

    def __init__(
        self,
        getconn: Callable[[float | None], ConnectionT],
        end: Callable[[ConnectionT, bool], None],
        timeout_s: float | None,
    ) -> None:
        self._getconn = getconn
        self._end = end
        self._timeout_s = timeout_s

    def __enter__(self) -> ConnectionT:
        self._connection = self._getconn(self._timeout_s)
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._end(self._connection, kind is None)
