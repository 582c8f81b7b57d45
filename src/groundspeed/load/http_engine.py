"""Runs an HTTP scenario in one thread: takes what is due, sends, reads, records.

The thread sleeps until shortly before the next arrival and spins for the rest, as a sleeping thread
wakes late. An arrival that finds no free connection waits for one, and its waiting counts; one
that finds the backlog full is dropped, and has failed.
"""

import errno
from collections import deque
from collections.abc import Iterator

from groundspeed.load._result import OK
from groundspeed.load.agenda import NEVER, OpenAgenda
from groundspeed.load.http_client import READ, WRITE, Connection, bytes_of, open_poll
from groundspeed.load.part import Part, choices
from groundspeed.load.recorder import Begun
from groundspeed.load.scenario import Http, Scenario

__all__ = ["HttpEngine"]

_SPIN_NS = 250_000
_BURST = 64
_TICK_NS = 20_000_000
_PAUSE_NS = 10_000_000
_STOP_NS = 1_000_000_000
_GOOD = frozenset(range(200, 400))

Waiting = tuple[int, int, int, int, bytes]
"""Intended and taken nanoseconds, token, operation and request of one without a connection."""


class HttpEngine:
    """One generator of an HTTP scenario.

    Args:
        part: Its share.
        scenario: What is asked.
        endpoint: Family and address, resolved.
        connections: How many it may open.
        seed: Of the choice of operations.
    """

    def __init__(
        self,
        part: Part,
        scenario: Scenario,
        endpoint: tuple[int, tuple[str, int]],
        connections: int,
        seed: tuple[int, ...],
    ) -> None:
        targets = [o.target for o in scenario.operations if isinstance(o.target, Http)]
        self._part = part
        self._endpoint = endpoint
        self._connections_max = connections
        self._pipeline = scenario.pipeline
        self._backlog_max = scenario.backlog
        self._good = [frozenset(target.expect) or _GOOD for target in targets]
        self._choices: Iterator[tuple[int, bytes]] = choices(
            [bytes_of(target) for target in targets],
            [operation.weight for operation in scenario.operations],
            seed,
        )
        self._table: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        self._backlog: deque[Waiting] = deque()
        self._in_flight = 0
        self._tick_ns = _TICK_NS
        self._stop_ns = NEVER
        self._poll = open_poll()
        recorder = part.recorder
        self._record = (recorder.begun.append, recorder.end.append, recorder.outcome.append)

    def run(self) -> int:
        """Run until nothing is due and nothing in flight; returns the nanoseconds it took."""
        part, clock, ready, handle = self._part, self._part.clock, self._poll.ready, self._handle
        try:
            while True:
                now_ns = clock() - part.start_ns
                if part.agenda.next_ns <= now_ns:
                    self._take(now_ns)
                if now_ns >= self._tick_ns:
                    self._tick(now_ns)
                next_ns = part.agenda.next_ns
                if next_ns == NEVER and not self._in_flight and not self._backlog:
                    return now_ns
                left_ns = min(next_ns, self._tick_ns) - now_ns
                for fd, event in ready() if left_ns < 0 else self._rest(left_ns):
                    handle(fd, event)
        finally:
            for connection in list(self._table.values()):
                connection.close()
            self._poll.close()

    def _rest(self, left_ns: int) -> list[tuple[int, int]]:
        """Sleep until shortly before the time has gone, or spin; give the events that woke."""
        part = self._part
        before_ns = part.clock()
        wait_s = (left_ns - _SPIN_NS) * 1e-9
        events = self._poll.wait(wait_s) if wait_s > 0.0 else self._poll.ready()
        part.idle_ns += part.clock() - before_ns
        return events

    def _take(self, now_ns: int) -> None:
        """Take up what is due, but not so much at once that answers wait to be read."""
        part, agenda = self._part, self._part.agenda
        for _ in range(_BURST):
            if agenda.next_ns > now_ns:
                return
            intended_ns, token = agenda.take()
            operation, request = next(self._choices)
            part.offered += 1
            taken_ns = part.clock() - part.start_ns
            self._begin((intended_ns, taken_ns, token, operation, request), taken_ns)

    def _begin(self, waiting: Waiting, now_ns: int) -> None:
        """Send on a free or a new connection, or have it wait for one."""
        connection = self._connection()
        if connection is None and len(self._table) < self._connections_max:
            try:
                connection = Connection(*self._endpoint, self._poll)
            except OSError as error:
                self._fail_waiting(waiting, _failure_of(error))
                return
            self._table[connection.fd] = connection
        if connection is not None:
            self._send(connection, waiting, now_ns)
            self._offer(connection)
        elif len(self._backlog) < self._backlog_max:
            self._backlog.append(waiting)
        else:
            self._fail_waiting(waiting, "dropped")

    def _connection(self) -> Connection | None:
        """A connection with room, if any; it is taken off the free ones."""
        free = self._free
        while free:
            connection = free.pop() if self._pipeline == 1 else free.popleft()
            if len(connection.pending) < self._pipeline:
                return connection
        return None

    def _offer(self, connection: Connection) -> None:
        """Put a connection that is on no list among the free ones, if it has room."""
        has_room = len(connection.pending) < self._pipeline
        if has_room and self._table.get(connection.fd) is connection:
            self._free.append(connection)

    def _send(self, connection: Connection, waiting: Waiting, sent_ns: int) -> None:
        intended_ns, taken_ns, token, operation, request = waiting
        part = self._part
        connection.pending.append((intended_ns, taken_ns, sent_ns, token, operation))
        part.in_flight_ns -= sent_ns
        self._in_flight += 1
        try:
            connection.send(request)
        except OSError as error:
            self._close(connection, _failure_of(error))

    def _handle(self, fd: int, event: int) -> None:
        connection = self._table.get(fd)
        if connection is None or (event == READ and not connection.connected):
            return  # it was closed earlier in this turn
        failure = ""
        try:
            if event & WRITE or not connection.connected:
                connection.writable()
            if event & ~WRITE and connection.connected and not connection.receive():
                failure = "closed early"
        except OSError as error:
            failure = _failure_of(error)
        except Exception:  # noqa: BLE001 - the parser's own classes: whatever it says, it is no HTTP
            failure = "bad answer"
        if connection.statuses:
            self._answered(connection)
        if failure and fd in self._table:
            self._close(connection, failure)

    def _answered(self, connection: Connection) -> None:
        part, pending = self._part, connection.pending
        begun, end, outcome = self._record
        now_ns = part.clock() - part.start_ns
        was_full = len(pending) >= self._pipeline
        for status in connection.statuses:
            if not pending:
                connection.reusable = False  # it answers what nobody asked
                break
            request = pending.popleft()
            begun(request)
            end(now_ns)
            if status in self._good[request[4]]:
                outcome(OK)
                part.agenda.finished(request[3], now_ns)
            else:
                outcome(part.outcomes.number(f"status {status}"))
                part.agenda.finished(request[3], now_ns + _PAUSE_NS)
            part.in_flight_ns += now_ns
            self._in_flight -= 1
        connection.statuses.clear()
        if not connection.reusable:
            self._close(connection, "closed early")
            return
        while self._backlog and len(pending) < self._pipeline and connection.fd in self._table:
            self._send(connection, self._backlog.popleft(), now_ns)
        if was_full:
            self._offer(connection)

    def _close(self, connection: Connection, failure: str) -> None:
        """End a connection; what was pending on it has failed."""
        del self._table[connection.fd]
        connection.close()
        if connection in self._free:
            self._free.remove(connection)
        while connection.pending:
            self._fail(connection.pending.popleft(), failure)
        if self._backlog and len(self._table) < self._connections_max:
            self._begin(self._backlog.popleft(), self._part.clock() - self._part.start_ns)

    def _fail(self, request: Begun, failure: str) -> None:
        part = self._part
        now_ns = part.clock() - part.start_ns
        begun, end, outcome = self._record
        begun(request)
        end(now_ns)
        outcome(part.outcomes.number(failure))
        part.in_flight_ns += now_ns
        self._in_flight -= 1
        part.agenda.finished(request[3], now_ns + _PAUSE_NS)

    def _fail_waiting(self, waiting: Waiting, failure: str) -> None:
        """Fail what was never sent."""
        intended_ns, taken_ns, token, operation, _ = waiting
        part = self._part
        sent_ns = part.clock() - part.start_ns
        part.in_flight_ns -= sent_ns
        self._in_flight += 1
        self._fail((intended_ns, taken_ns, sent_ns, token, operation), failure)

    def _tick(self, now_ns: int) -> None:
        """Fail what has taken too long, and do the chores."""
        part = self._part
        self._tick_ns = now_ns + _TICK_NS
        part.chores(now_ns)
        if part.stopping and self._stop_ns == NEVER:
            self._stop_ns = now_ns + _STOP_NS
            part.agenda = OpenAgenda(iter(()))
        if now_ns >= self._stop_ns:
            self._give_up("unfinished")
        self._end_late(now_ns - part.timeout_ns)
        for _ in range(len(self._backlog)):
            if len(self._table) >= self._connections_max:
                break
            self._begin(self._backlog.popleft(), now_ns)

    def _end_late(self, limit_ns: int) -> None:
        """Fail what was sent, or has waited for a connection, since before `limit_ns`."""
        for connection in list(self._table.values()):
            if connection.pending and connection.pending[0][2] < limit_ns:
                self._close(connection, "timeout")
        while self._backlog and self._backlog[0][1] < limit_ns:
            self._fail_waiting(self._backlog.popleft(), "timeout")

    def _give_up(self, failure: str) -> None:
        while self._backlog:
            self._fail_waiting(self._backlog.popleft(), failure)
        for connection in list(self._table.values()):
            self._close(connection, failure)


_NAMES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "closed early",
    errno.EPIPE: "closed early",
    errno.EMFILE: "no descriptors",
    errno.ENFILE: "no descriptors",
    errno.EADDRNOTAVAIL: "no ports",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}


def _failure_of(error: OSError) -> str:
    number = error.errno or 0
    return _NAMES.get(number, errno.errorcode.get(number, "other").lower())
