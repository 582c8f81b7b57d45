"""How many connections a load needs: Little's law for what is busy, Erlang's C for who must wait.

Requests that come at random at rate r and hold a connection for s seconds keep a = r * s of them
busy on average (Little 1961). With c connections, a request waits longer than t with probability
C(c, a) * exp(-(c - a) * t / s), where C is Erlang's delay formula for M/M/c (Erlang 1917; Gross et
al., Fundamentals of Queueing Theory, 4th ed., section 2.4). Where holds vary more or less than
exponential ones, waits are longer or shorter by about (1 + v) / 2, v the squared coefficient of
variation (Allen-Cunneen); the formula is asked for a wait that much shorter or longer.
"""

from dataclasses import dataclass
from math import exp, inf

from sergas.errors import PoolValueError
from sergas.optimizations.connection_pool._model import PoolStats

__all__ = ["Advice", "advice", "erlang_c"]

_LOANS_MIN = 100  # fewer say too little about rate and hold
_SATURATED = 0.95  # a pool this busy slows its clients down, and with them the rate it sees
_SIZE_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A size for a pool, or why there is none.

    Attributes:
        size: The least `max_size` that meets the wished wait; None if it cannot be said.
        reason: What the size rests on, or why it cannot be said.
        rate_per_s: Requests per second measured; None if nothing was.
        hold_s_mean: Seconds a connection was held, on average; None if none was.
        hold_cv2: Squared coefficient of variation of the hold: 1 for exponential ones.
        busy_mean: Connections busy on average, by Little's law.
        wait_share_now: The share of requests expected to wait longer than wished at the size of
            now, 1 where the pool cannot keep up; None if it cannot be said.
    """

    size: int | None
    reason: str
    rate_per_s: float | None = None
    hold_s_mean: float | None = None
    hold_cv2: float | None = None
    busy_mean: float | None = None
    wait_share_now: float | None = None


def erlang_c(servers: int, load: float) -> float:
    """The probability that a request must wait, in M/M/c.

    Args:
        servers: c, >= 1.
        load: a, >= 0; from c on everybody waits.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang's B for 0 servers, and its recursion, which does not overflow
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def _share_waiting(size: int, load: float, wait_in_holds: float) -> float:
    return erlang_c(size, load) * exp(-max(0.0, size - load) * wait_in_holds)


def advice(stats: PoolStats, *, wait_s: float, share: float) -> Advice:
    """The least size at which `share` of the requests wait `wait_s` at most.

    Args:
        stats: What a pool has measured.
        wait_s: Seconds, > 0.
        share: Above 0 and below 1.

    Raises:
        PoolValueError: If an argument is out of range.
    """
    if not 0 < wait_s < inf:
        raise PoolValueError(f"advise: wait_s is {wait_s}, needed above 0")
    if not 0 < share < 1:
        raise PoolValueError(f"advise: share is {share}, needed above 0 and below 1")
    moments = stats.use.moments()
    if stats.loans < _LOANS_MIN or moments is None or not stats.window_s > 0:
        return Advice(
            size=None,
            reason=f"only {stats.loans} loans measured, needed {_LOANS_MIN}: ask again later",
        )
    rate = stats.requests / stats.window_s
    hold_s = stats.used_s_total / stats.loans
    load = rate * hold_s
    cv2 = moments[1]
    stretch = (1.0 + cv2) / 2.0
    wait_in_holds = wait_s / hold_s / stretch if hold_s > 0 else inf
    measured = (
        f"{rate:.4g} requests/s holding {hold_s * 1e3:.4g} ms (variation squared {cv2:.2g}) "
        f"over {stats.window_s:.4g} s: {load:.3g} connections busy on average"
    )
    facts = {
        "rate_per_s": rate,
        "hold_s_mean": hold_s,
        "hold_cv2": cv2,
        "busy_mean": load,
        "wait_share_now": _share_waiting(stats.max_size, load, wait_in_holds),
    }
    if load > _SATURATED * stats.max_size:
        reason = (
            f"{measured} of {stats.max_size}; so busy a pool holds its clients back, and the rate "
            "they would have is unknown: raise max_size and ask again"
        )
        return Advice(size=None, reason=reason, **facts)
    if stats.refused > 0.01 * stats.requests:
        reason = f"{measured}, but {stats.refused} requests got none: mend that first, ask again"
        return Advice(size=None, reason=reason, **facts)
    size = max(1, int(load))
    while size < _SIZE_MAX and _share_waiting(size, load, wait_in_holds) > 1.0 - share:
        size += 1
    reason = (
        f"{measured}; with {size}, {share:.4g} of requests that come at random wait at most "
        f"{wait_s * 1e3:.4g} ms (M/M/c); peaks shorter than the window are averaged out"
    )
    return Advice(size=size, reason=reason, **facts)
