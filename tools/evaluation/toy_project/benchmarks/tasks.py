# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""An event loop and its tasks."""

from toy import tasks


def time_relay() -> None:
    """The turn passed to a new task."""
    tasks.relay()


def time_gather() -> None:
    """Tasks gathered."""
    tasks.gather()


def time_queue() -> None:
    """Numbers sent to a task and back."""
    tasks.queue()


def time_fresh_loop() -> None:
    """A loop started and closed."""
    tasks.fresh_loop()
