# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Rows that need no preparation."""

from toy import documents, loops, mappings, objects, text


def time_arithmetic() -> None:
    """A loop over small integers."""
    loops.arithmetic()


def time_collatz() -> None:
    """A loop that branches."""
    loops.collatz()


def time_parse() -> None:
    """Strings taken apart in Python."""
    text.parse()


def time_match() -> None:
    """A regular expression."""
    text.match()


def time_format() -> None:
    """Numbers formatted."""
    text.format_lines()


def time_count() -> None:
    """A dictionary filled."""
    mappings.count()


def time_lookup() -> None:
    """A dictionary read."""
    mappings.lookup()


def time_encode() -> None:
    """JSON written."""
    documents.encode()


def time_decode() -> None:
    """JSON read."""
    documents.decode()


def time_create() -> None:
    """Objects made."""
    objects.create()


def time_generate() -> None:
    """Generators chained."""
    objects.generate()
