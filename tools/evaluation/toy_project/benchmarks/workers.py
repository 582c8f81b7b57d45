# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Threads."""

from toy import workers


def time_handover() -> None:
    """The turn handed to a thread and back."""
    workers.handover()


def time_pool() -> None:
    """Calls given to a pool."""
    workers.pool()


def time_contended() -> None:
    """A lock that two threads want."""
    workers.contended()


def time_start() -> None:
    """A thread started and joined."""
    workers.start()
