"""Which way is better of what a test records, by its name, where nobody states it."""

import re
from collections.abc import Mapping, Sequence

from groundspeed.model import Direction

__all__ = ["direction_of", "unit_of"]

_split = str.split

_BAD = frozenset(
    _split(
        "conflict conflicts drop dropped drops error errors exceptions fail failed failure "
        "failures lost miss missed misses rejected retries retry timeouts"
    )
)
_MORE = frozenset(
    _split("bandwidth goodput hit hits ops qps rate rps speed success successes throughput tps")
)
_LESS = frozenset(
    _split(
        "allocated allocations bytes cost cpu delay duration elapsed instructions latency memory "
        "overhead peak queries rss seconds size time wait"
    )
)
_TIME_UNITS = {"ns": "ns", "us": "us", "ms": "ms", "s": "s", "sec": "s", "seconds": "s"}
_PER_TIME = frozenset({"h", "hour", "min", "minute", "ms", "s", "sec", "second", "us"})
_SIZES = frozenset({"bytes", "kb", "mb", "gb", "kib", "mib", "gib"})
_PERCENTILE = re.compile(r"p\d{2,5}")


def direction_of(name: str, stated: Mapping[str, Direction] | None = None) -> Direction | None:
    """Which way is better of the quantity `name`; None where neither a statement nor its name says.

    The words of a name are what stands between dots, underscores and the like. Errors and misses
    are better low even as a rate; so is what a thing costs `per` anything but a time. Throughput,
    rates, hits and anything per second are better high; times, percentiles and bytes low.

    Args:
        name: As recorded: `latency_s.p99`.
        stated: What the test itself says, by the whole name.
    """
    if stated is not None and name in stated:
        return stated[name]
    words = _words(name)
    if "per" in words and not _BAD & set(words):
        cut = words.index("per")
        words, per = words[:cut], words[cut + 1 :]
        if per and per[0] in _PER_TIME:
            return "higher"
    return _by_words(words)


def _by_words(words: Sequence[str]) -> Direction | None:
    present = set(words)
    if present & _BAD:
        return "lower"
    if present & _MORE:
        return "higher"
    is_time = bool(words) and words[-1] in _TIME_UNITS
    if is_time or present & (_LESS | _SIZES) or any(map(_PERCENTILE.fullmatch, words)):
        return "lower"
    return None


def unit_of(name: str) -> str:
    """The unit that the name of a recorded quantity holds: `s`, `bytes`, `per s`; else `unit`."""
    words = _words(name)
    if "per" in words[:-1]:
        return f"per {words[words.index('per') + 1]}"
    named = [word for word in words if word in _TIME_UNITS or word in _SIZES]
    return _TIME_UNITS.get(named[-1], named[-1]) if named else "unit"


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
