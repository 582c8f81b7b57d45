"""How much one client may ask: a token bucket each (Turner, IEEE Communications 24(10), 1986)."""

from collections import OrderedDict
from dataclasses import dataclass

from sergas.api._failures import ApiError
from sergas.clock import Clock, SystemClock

__all__ = ["RateLimiter", "Standing"]

_CLIENTS_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a client stands after a request.

    Attributes:
        limit: Requests at once.
        remaining: Requests it may make right now.
        reset_s: Seconds until it has all of them again.
    """

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """For the answer, by the names of the IETF draft on rate limit headers."""
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset_s),
        }


class RateLimiter:
    """Buckets of the clients that were seen last.

    Args:
        rate_per_s: Requests a second in the long run, > 0.
        burst: Requests at once, >= 1.
        clock: The monotonic clock.
    """

    def __init__(self, rate_per_s: float, burst: int, *, clock: Clock | None = None) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._now_s = (clock or SystemClock()).monotonic_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> Standing:
        """Count a request.

        Raises:
            ApiError: 429, if the client has to wait; the answer says how long.
        """
        now_s = self._now_s()
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(float(self._burst), now_s)
            if len(self._buckets) > _CLIENTS_MAX:
                # The one unheard for longest has a full bucket again, or nearly.
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(client)
        filled = bucket.tokens + (now_s - bucket.filled_s) * self._rate_per_s
        bucket.tokens = min(float(self._burst), filled)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            wait_s = int((1 - bucket.tokens) / self._rate_per_s) + 1
            raise ApiError(
                429,
                f"more than {self._rate_per_s:g} requests a second; wait {wait_s} s",
                headers={"retry-after": str(wait_s), **self._standing(bucket).headers()},
            )
        bucket.tokens -= 1
        return self._standing(bucket)

    def _standing(self, bucket: _Bucket) -> Standing:
        lacking = self._burst - bucket.tokens
        return Standing(
            limit=self._burst,
            remaining=int(bucket.tokens),
            reset_s=int(lacking / self._rate_per_s) + 1,
        )
