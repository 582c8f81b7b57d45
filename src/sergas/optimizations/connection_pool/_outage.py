"""When to try again after connecting has failed, and when to stop keeping callers waiting."""

from math import inf

from sergas.optimizations.connection_pool._limits import Limits

__all__ = ["Outage"]

_JITTER = 0.2  # the share of a delay that chance takes off: pools that failed together part ways


class Outage:
    """The time during which no connection can be opened; quiet (`since_s` is None) otherwise.

    One attempt at a time for the whole pool. After a failed one the next waits twice as long, up to
    a limit. Where the server can be probed, an attempt is made only once it is reachable, and the
    first one without delay, because it failed for another reason before.
    """

    __slots__ = ("_limits", "_proof_s", "attempt_at_s", "error", "failures", "since_s")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._proof_s = -inf
        self.since_s: float | None = None
        self.attempt_at_s = -inf
        self.failures = 0
        self.error: BaseException | None = None

    def failed(self, error: BaseException, now_s: float, draw: float) -> None:
        """An attempt failed. Others that ran beside it, from before, do not prolong the delay."""
        self.error = error
        if self.since_s is None:
            self.since_s = now_s
        elif now_s < self.attempt_at_s:
            return
        growth: float = 2.0 ** min(self.failures, 60)
        delay_s = min(self._limits.reconnect_delay_max_s, self._limits.reconnect_delay_s * growth)
        self.failures += 1
        self.attempt_at_s = now_s + delay_s * (1.0 - _JITTER * draw)

    def unreachable(self, now_s: float) -> None:
        """A probe found nobody; when somebody answers, the first attempt shall not be delayed."""
        self.failures = 0
        self.attempt_at_s = now_s + self._limits.probe_interval_s

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

    def proved(self, now_s: float) -> None:
        """A connection answered: whoever waits for one to come back does not wait in vain."""
        self._proof_s = now_s

    def fails_fast_at_s(self) -> float:
        """From when on callers are refused; infinity when there is no outage."""
        if self.since_s is None:
            return inf
        return max(self.since_s, self._proof_s) + self._limits.fail_fast_after_s
