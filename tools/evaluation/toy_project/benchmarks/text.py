# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Strings."""

from toy import text


def time_parse() -> None:
    """Fields taken apart."""
    text.parse()


def time_format() -> None:
    """Numbers formatted."""
    text.format_lines()


def time_clean() -> None:
    """A messy line brought into order."""
    text.clean()


def time_transcode() -> None:
    """A text encoded and decoded."""
    text.transcode()
