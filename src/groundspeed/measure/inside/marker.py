"""`@pytest.mark.groundspeed(...)`: what a test says about how it is to be judged."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

__all__ = ["DECLARATION", "KEYWORDS", "METRICS", "MarkerError", "read_marker"]

DECLARATION = (
    "groundspeed(scenario, metrics, metric, direction, min_effect, ignore, reason, until): "
    "how groundspeed judges this benchmark"
)
KEYWORDS = (
    "scenario",
    "metrics",
    "metric",
    "direction",
    "min_effect",
    "ignore",
    "reason",
    "until",
)
METRICS = ("time", "clean", "wall", "cpu", "allocations")
_DIRECTIONS = ("lower", "higher")
_CHOICES: Mapping[str, Sequence[str]] = {"direction": _DIRECTIONS, "metric": METRICS}


class MarkerError(ValueError):
    """A marker is not written as it must be; the message names the test and what is allowed."""


def read_marker(
    test: str, marks: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]
) -> dict[str, Any]:
    """What the markers of one test say together, as JSON can carry it.

    Args:
        test: The test's name, for messages.
        marks: Positional and keyword arguments of each marker, the closest to the test first; of
            several that say something the first holds.

    Returns:
        The stated keywords. `min_effect` is a share of 1 and `until` an ISO 8601 day.

    Raises:
        MarkerError: If a keyword is unknown or a value is not what it must be.
    """
    said: dict[str, Any] = {}
    for positional, keywords in marks:
        if positional:
            raise MarkerError(
                f"{test}: groundspeed marker: got {positional[0]!r} without a keyword; "
                f"it takes {_listed(KEYWORDS)}"
            )
        for name, value in keywords.items():
            if name not in KEYWORDS:
                raise MarkerError(_unknown(f"{test}: groundspeed marker", name, KEYWORDS))
            said.setdefault(name, value)
    values = {name: _checked(test, name, value) for name, value in said.items()}
    _check_together(test, values)
    return values


def _checked(test: str, name: str, value: Any) -> Any:
    if name == "metrics":
        return _directions(test, value)
    if name in _CHOICES:
        return _one_of(test, name, value, _CHOICES[name])
    read, need = _READERS.get(name, (_text, "a text that is not empty"))
    kept = read(value)
    return _kept(test, name, value if kept is None else kept, kept is not None, need)


def _kept(test: str, name: str, value: Any, right: bool, need: str) -> Any:
    if not right:
        raise MarkerError(f"{test}: groundspeed marker: {name} is {value!r}; it must be {need}")
    return value


def _one_of(test: str, name: str, value: Any, allowed: Sequence[str]) -> Any:
    if value in allowed:
        return value
    place = f"{test}: groundspeed marker: {name}"
    raise MarkerError(_unknown(place, value, allowed))


def _directions(test: str, value: Any) -> dict[str, str]:
    right = isinstance(value, Mapping) and bool(value) and all(isinstance(n, str) for n in value)
    need = 'which way is better of each, such as {"latency_s_p99": "lower"}'
    _kept(test, "metrics", value, right, need)
    return {name: _one_of(test, f"metrics[{name!r}]", d, _DIRECTIONS) for name, d in value.items()}


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _share(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
    return share if 0 < share < 1 else None


def _day(value: Any) -> str | None:
    if isinstance(value, date):
        return date(value.year, value.month, value.day).isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        return None


def _check_together(test: str, values: Mapping[str, Any]) -> None:
    place = f"{test}: groundspeed marker"
    ignored = values.get("ignore", False)
    for name in ("reason", "until"):
        if ignored and name not in values:
            raise MarkerError(f"{place}: ignore=True needs {name}= as well: why, and until when")
        if name in values and not ignored:
            raise MarkerError(
                f"{place}: {name} says why or how long a row is ignored; add ignore=True, or "
                "remove it"
            )
    if "metrics" in values and not values.get("scenario"):
        raise MarkerError(
            f"{place}: metrics are those that a whole scenario records; add scenario=True, or "
            "remove it"
        )


def _unknown(place: str, seen: Any, allowed: Sequence[str]) -> str:
    import difflib  # only a mistake needs it, and every start of pytest imports this module

    near = difflib.get_close_matches(str(seen), allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{place}: got {seen!r}{hint}; allowed are {_listed(allowed)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


_READERS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "scenario": (_flag, "True or False"),
    "ignore": (_flag, "True or False"),
    "min_effect": (_share, 'a share above 0 and below 1 such as "2%" or 0.02'),
    "until": (_day, 'a day such as "2027-01-31"'),
}
