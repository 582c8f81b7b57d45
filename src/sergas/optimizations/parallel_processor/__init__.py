"""Calls a function on many items at once; each item's error, crash or delay is its own."""

from sergas.optimizations.parallel_processor._auto import Choice
from sergas.optimizations.parallel_processor._options import Backoff, Progress
from sergas.optimizations.parallel_processor._outcome import Outcome
from sergas.optimizations.parallel_processor._processor import ParallelProcessor
from sergas.optimizations.parallel_processor._resources import ResourceLimits
from sergas.optimizations.parallel_processor._shared import SharedArray
from sergas.optimizations.parallel_processor._strategy import (
    LoadBalancingStrategy,
    ProcessingStrategy,
)
from sergas.optimizations.parallel_processor._tally import ProcessorMetrics

__all__ = [
    "Backoff",
    "Choice",
    "LoadBalancingStrategy",
    "Outcome",
    "ParallelProcessor",
    "ProcessingStrategy",
    "ProcessorMetrics",
    "Progress",
    "ResourceLimits",
    "SharedArray",
]
