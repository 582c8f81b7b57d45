"""Names for how work is done and shared out, as a service's settings give them."""

from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = ["BackendName", "LimitName", "LoadBalancingStrategy", "ProcessingStrategy"]

BackendName: TypeAlias = Literal[
    "auto", "thread", "process", "async", "interpreter", "serial", "dask"
]
LimitName: TypeAlias = Literal["fixed", "aimd", "gradient"]


class ProcessingStrategy(StrEnum):
    """Where items are worked on; each is the name of a backend."""

    ASYNC_CONCURRENT = "async"
    THREAD_POOL = "thread"
    PROCESS_POOL = "process"
    HYBRID = "auto"
    """Threads, processes or neither, by what the first items are seen to do."""


class LoadBalancingStrategy(StrEnum):
    """Which worker gets which items."""

    ROUND_ROBIN = "round-robin"
    """Chunk after chunk goes to the next worker, however busy it is."""
    LEAST_BUSY = "least-busy"
    """Each single item goes to the worker that is free first."""
    ADAPTIVE = "adaptive"
    """Chunks go to the worker that is free first, in sizes that follow what items take."""
