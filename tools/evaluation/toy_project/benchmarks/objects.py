# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Objects, with the garbage collector running."""

from toy import objects


def time_cycles() -> None:
    """Rings that only the collector frees."""
    objects.cycles()


def time_create() -> None:
    """Objects made and dropped."""
    objects.create()


def time_tree() -> None:
    """Trees whose nodes point both ways."""
    objects.tree()


def time_update() -> None:
    """Attributes read and written."""
    objects.update()


def time_copy() -> None:
    """Objects copied with all they hold."""
    objects.copy()
