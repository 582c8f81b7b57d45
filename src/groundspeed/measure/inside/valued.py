"""A row that is a value: taken once in a process of its own, on request."""

import gc
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

from .channel import Channel
from .timed import Work

__all__ = ["allocation_peak", "serve_value"]


def serve_value(channel: Channel, take: Callable[[], Any]) -> None:
    """Answer with the value that `take` gives, until told to quit.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is NaN or infinite, which nothing can be compared with.
    """
    while (request := channel.receive()) is not None:
        match request["op"]:
            case "value":
                channel.send({"value": _number(take())})
            case "quit":
                return
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"it gives back {value!r}; a value that is compared must be a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"it gives back {number}, which cannot be compared; give a finite number")
    return number


def allocation_peak(work: Work) -> int:
    """Bytes that Python has allocated at the peak of one call, above what was there before.

    The call before it fills caches and builds what is built only once. It is tracemalloc that
    counts: what goes past Python's allocators, such as memory of a C library's own, is not seen.
    """
    work.function(*work.arguments, **work.keywords)
    if work.has_setup:
        work.renew()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work.function(*work.arguments, **work.keywords)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
