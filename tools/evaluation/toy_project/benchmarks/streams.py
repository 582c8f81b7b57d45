# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Generators."""

from toy import streams


def time_chain() -> None:
    """Generators chained."""
    streams.chain()


def time_delegate() -> None:
    """Generators that delegate."""
    streams.delegate()


def time_send() -> None:
    """A generator fed."""
    streams.send()
