# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""JSON."""

from toy import documents


def time_encode() -> None:
    """A small document written."""
    documents.encode()


def time_decode() -> None:
    """A small document read."""
    documents.decode()


def time_encode_deep() -> None:
    """A nested document written."""
    documents.encode_deep()


def time_round_trip() -> None:
    """A document read, changed and written."""
    documents.round_trip()
