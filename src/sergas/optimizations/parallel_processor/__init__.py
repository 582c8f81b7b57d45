"""Many items through one function on threads or processes, each item on its own account."""

from sergas.optimizations.parallel_processor._outcome import Outcome
from sergas.optimizations.parallel_processor._processor import ParallelProcessor

__all__ = ["Outcome", "ParallelProcessor"]
