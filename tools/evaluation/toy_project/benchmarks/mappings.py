# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Dictionaries."""

from toy import mappings


def time_lookup() -> None:
    """Keys looked up."""
    mappings.lookup()


def time_count() -> None:
    """Words counted."""
    mappings.count()


def time_merge() -> None:
    """Two dictionaries merged."""
    mappings.merge()


def time_invert() -> None:
    """Keys grouped by value."""
    mappings.invert()
