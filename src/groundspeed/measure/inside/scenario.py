"""What one whole run of a scenario test gives: its wall time, its memory, and what it recorded."""

import contextlib
import decimal
import math
import numbers
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["flat_numbers", "peak_memory_bytes", "reset_peak_memory"]

_DEEPEST = 20


def flat_numbers(recorded: Mapping[Any, Any]) -> dict[str, float]:
    """The finite numbers in nested dicts, their keys joined by dots; anything else is left out.

    Args:
        recorded: As a test wrote it: `{"latency_s": {"p99": 0.02}, "host": "a"}` gives
            `{"latency_s.p99": 0.02}`.
    """
    return dict(_numbers(recorded, "", _DEEPEST))


def _numbers(recorded: Mapping[Any, Any], prefix: str, deeper: int) -> Iterator[tuple[str, float]]:
    for key, value in recorded.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if deeper:
                yield from _numbers(value, f"{name}.", deeper - 1)
        elif (number := _number(value)) is not None:
            yield name, number


def _number(value: Any) -> float | None:
    """A finite float, of a library's own numbers too; None for anything else, a bool included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real | decimal.Decimal):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def reset_peak_memory() -> None:
    """Let the kernel forget this process's peak so far (Linux; elsewhere it stays)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - pathlib costs start-up
        file.write("5")


def peak_memory_bytes() -> int:
    """The most memory this process has held since the last reset, in bytes."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
