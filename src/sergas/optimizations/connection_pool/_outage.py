"""When to try again after connecting has failed, and when to stop keeping callers waiting."""

from math import inf

from sergas.optimizations.connection_pool._limits import Limits

__all__ = ["Outage"]

_JITTER = 0.2  # the share of a delay that is left to chance: pools that failed together part ways
_AHEAD = 2.0  # connections that may come early: the first tries follow each other soon
_UNPROBED = 20  # attempts in a row without a probe, at most


class Outage:
    """The time during which no connection can be opened; quiet (`since_s` is None) otherwise.

    One try at a time for the whole pool. A try is an attempt to connect, after a probe if the
    server may be unreachable. A refused probe is no connection: the next follows soon. One that is
    answered is a connection, and so is the attempt that follows at once. Each connection that came
    to nothing takes `reconnect_delay_max_s` of the time, of which `_AHEAD` may be overdrawn (the
    generic cell rate algorithm, ITU-T I.371). So there are in any t seconds at most
    2 + _AHEAD + t / reconnect_delay_max_s of them, whatever the server does.

    A server that answers probes and fails attempts is not probed again, for a probe tells nothing
    there: not until an attempt fails in another way or `_UNPROBED` have failed, because it may be
    unreachable by then.
    """

    __slots__ = (
        "_is_probed",
        "_limits",
        "_paid_until_s",
        "_proof_s",
        "_unprobed",
        "attempt_at_s",
        "error",
        "failures",
        "needs_probe",
        "since_s",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._proof_s = self._paid_until_s = -inf
        self._is_probed = False  # this try's probe was answered
        self._unprobed = 0
        self.needs_probe = True
        self.since_s: float | None = None
        self.attempt_at_s = -inf
        self.failures = 0
        self.error: BaseException | None = None

    def failed(self, error: BaseException, now_s: float, draw: float) -> None:
        """An attempt failed; others that ran beside it, from before, count as connections only."""
        self._pay(now_s)
        last, self.error = self.error, error
        if self.since_s is None:
            self.since_s = now_s
        elif now_s < self.attempt_at_s:
            self.attempt_at_s = max(self.attempt_at_s, self._affordable_at_s())
            return
        elif self._is_probed:
            self._unprobed = 0
        else:
            self._unprobed += 1
            self.needs_probe = self._unprobed >= _UNPROBED or repr(error) != repr(last)
        self._is_probed = False
        longest_s = self._limits.reconnect_delay_max_s
        delay_s = min(longest_s, self._limits.reconnect_delay_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        self.attempt_at_s = max(
            now_s + delay_s * (1.0 - _JITTER * draw),
            self._affordable_at_s() + longest_s * _JITTER * draw,
        )

    def probed(self, now_s: float, *, is_reachable: bool) -> None:
        """A probe came back; when somebody answers, the attempt shall not be delayed."""
        if self.since_s is None:
            return
        self._is_probed = is_reachable
        self.needs_probe = not is_reachable
        if is_reachable:
            self._pay(now_s)
        else:
            self.failures = 0
            self.attempt_at_s = max(now_s + self._limits.probe_interval_s, self._affordable_at_s())

    def _pay(self, now_s: float) -> None:
        """A connection was made."""
        self._paid_until_s = max(self._paid_until_s, now_s) + self._limits.reconnect_delay_max_s

    def _affordable_at_s(self) -> float:
        """When the next may be."""
        return self._paid_until_s - _AHEAD * self._limits.reconnect_delay_max_s

    def overdue(self, started_s: float) -> None:
        """An attempt that began at `started_s` takes longer than any should."""
        if self.since_s is None:
            self.since_s = started_s
            self.error = TimeoutError(
                f"connect() has not returned within {self._limits.connect_timeout_s:g} s"
            )

    def end(self) -> None:
        """A connection was opened."""
        self.since_s = None
        self.failures = 0
        self.attempt_at_s = -inf
        self.needs_probe, self._is_probed = True, False

    def proved(self, now_s: float) -> None:
        """A connection answered: whoever waits for one to come back does not wait in vain."""
        self._proof_s = now_s

    def fails_fast_at_s(self) -> float:
        """From when on callers are refused; infinity when there is no outage."""
        if self.since_s is None:
            return inf
        return max(self.since_s, self._proof_s) + self._limits.fail_fast_after_s
