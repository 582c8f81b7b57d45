"""The program `sergas`: where the parts are put together, and its command line."""

from sergas.app.cli import main

__all__ = ["main"]
