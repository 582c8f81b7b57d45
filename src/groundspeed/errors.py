"""What can go wrong that a user can mend; each class carries the exit code of its kind.

A message says what was seen, what was needed and the next command. Anything else that escapes is a
fault of groundspeed itself.
"""

from typing import ClassVar

__all__ = ["BrokenError", "GroundspeedError", "NoBaselineError", "TooFewSamplesError", "UsageError"]


class GroundspeedError(Exception):
    """Base of every error a user can mend.

    Attributes:
        exit_code: The process exit code of this kind of error (docs/reference/exit-codes.md).
    """

    exit_code: ClassVar[int] = 5


class UsageError(GroundspeedError):
    """The command, a setting or a path is not what it must be."""

    exit_code = 2


class NoBaselineError(GroundspeedError):
    """There is nothing to compare with."""

    exit_code = 4


class BrokenError(GroundspeedError):
    """An environment, a build or the whole suite failed; nothing can be said about speed."""

    exit_code = 5


class TooFewSamplesError(GroundspeedError, ValueError):
    """A statistic was asked of fewer values than it is defined for."""
