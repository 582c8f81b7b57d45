# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Plain Python loops."""

from toy import loops


def time_arithmetic() -> None:
    """Small integers summed and masked."""
    loops.arithmetic()


def time_collatz() -> None:
    """A loop that branches."""
    loops.collatz()


def time_sieve() -> None:
    """Multiples struck out."""
    loops.sieve()


def time_grid() -> None:
    """Neighbours of a grid's cells summed up."""
    loops.grid()
