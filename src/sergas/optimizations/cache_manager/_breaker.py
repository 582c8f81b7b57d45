"""Whether to ask a level that has failed lately."""

from sergas.errors import CacheValueError

__all__ = ["Breaker"]


class Breaker:
    """Opens after failures in a row, and lets one call through now and then to see.

    Not thread-safe; the caller passes the time.

    Args:
        failures_max: Failures in a row after which it opens, >= 1.
        pause_s: Seconds between attempts while it is open, > 0.

    Raises:
        CacheValueError: If a number is out of its range.
    """

    __slots__ = ("_failures", "_failures_max", "_pause_s", "_retry_at_s")

    def __init__(self, *, failures_max: int = 3, pause_s: float = 1.0) -> None:
        if failures_max < 1 or not pause_s > 0:
            raise CacheValueError(
                f"Breaker: got failures_max={failures_max}, pause_s={pause_s}; needed 1 or more"
                f" failures and more than 0 seconds"
            )
        self._failures_max = failures_max
        self._pause_s = pause_s
        self._failures = 0
        self._retry_at_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused."""
        return self._failures >= self._failures_max

    def allows(self, now_s: float) -> bool:
        """Whether to call now; while it is open, one caller in `pause_s` seconds hears yes."""
        if self._failures < self._failures_max:
            return True
        if now_s < self._retry_at_s:
            return False
        self._retry_at_s = now_s + self._pause_s
        return True

    def succeeded(self) -> None:
        """A call went well: close."""
        self._failures = 0

    def failed(self, now_s: float) -> None:
        """A call failed."""
        self._failures += 1
        if self._failures >= self._failures_max:
            self._retry_at_s = now_s + self._pause_s
