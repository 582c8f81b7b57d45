# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Regular expressions."""

from toy import patterns


def time_match() -> None:
    """Time stamps found."""
    patterns.match()


def time_substitute() -> None:
    """Time stamps rewritten."""
    patterns.substitute()


def time_split() -> None:
    """A line split."""
    patterns.split()


def time_tokens() -> None:
    """A formula taken apart."""
    patterns.tokens()
