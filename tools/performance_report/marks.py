"""A shape for each state, so that none is told by its colour alone."""

from types import MappingProxyType

from tools.performance_report.blocks import State

__all__ = ["TONES", "shape_of"]

_GOOD, _DOUBT, _BAD, _OPEN, _PLAIN = "good", "doubt", "bad", "open", "plain"

TONES = MappingProxyType[State, str](
    {
        "passed": _GOOD,
        "met": _GOOD,
        "better": "better",
        "looks better": "better",
        "not worse": _PLAIN,
        "looks alike": _PLAIN,
        "looks worse": _DOUBT,
        "warned": _DOUBT,
        "missed": _DOUBT,
        "failed": _BAD,
        "critical": _BAD,
        "worse": _BAD,
        "undecided": _OPEN,
        "not run": _OPEN,
        "not judged": _OPEN,
    }
)
"""What each state means to a reader; a shape and a colour belong to each."""

_SHAPES = {_GOOD: "●", _PLAIN: "●", _DOUBT: "▲", _BAD: "■", _OPEN: "○", "better": "◆"}


def shape_of(state: State) -> str:
    """The shape that stands before the word."""
    return _SHAPES[TONES[state]]
