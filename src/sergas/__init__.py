"""Sergas: an account service and the four optimizations whose speed is tracked here."""

from sergas.errors import SergasError

__all__ = ["SergasError"]
