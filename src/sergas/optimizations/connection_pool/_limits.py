"""What a pool can be asked for, checked in one place."""

import threading

__all__ = [
    "lifetime_s",
    "valid_lifetime_s",
    "valid_max_waiting",
    "valid_sizes",
    "valid_timeout_s",
]

# A lifetime is shortened by up to this share, drawn once per connection: connections opened
# together must not all be replaced together.
_LIFETIME_SPREAD = 0.1


def lifetime_s(max_lifetime_s: float, draw: float) -> float:
    """The lifetime of one connection: `max_lifetime_s` less up to a tenth.

    Args:
        max_lifetime_s: Seconds, > 0.
        draw: From [0, 1).
    """
    return max_lifetime_s * (1.0 - _LIFETIME_SPREAD * draw)


def valid_sizes(min_size: int, max_size: int | None) -> tuple[int, int]:
    """Both limits, or why they make no pool."""
    top = min_size if max_size is None else max_size
    if not (0 <= min_size <= top and top >= 1):
        raise ValueError(
            f"ConnectionPool: min_size is {min_size} and max_size {max_size}, needed 0 <= min_size "
            "<= max_size and room for at least one connection"
        )
    return min_size, top


def valid_timeout_s(timeout_s: float) -> float:
    """The same, or why nobody can wait that long."""
    if not 0 <= timeout_s <= threading.TIMEOUT_MAX:
        raise ValueError(
            f"ConnectionPool: timeout_s is {timeout_s}, needed 0 to {threading.TIMEOUT_MAX:g}"
        )
    return timeout_s


def valid_lifetime_s(max_lifetime_s: float) -> float:
    """The same, or why no connection can live that long."""
    if not max_lifetime_s > 0:
        raise ValueError(f"ConnectionPool: max_lifetime_s is {max_lifetime_s}, needed above 0")
    return max_lifetime_s


def valid_max_waiting(max_waiting: int) -> int:
    """The same, or why no queue can be that long."""
    if max_waiting < 0:
        raise ValueError(f"ConnectionPool: max_waiting is {max_waiting}, needed 0 or more")
    return max_waiting
