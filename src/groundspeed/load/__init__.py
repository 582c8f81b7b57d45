"""Load that tells the truth: open arrivals, latency from the intended start, and a self-check."""

from groundspeed.load._result import (
    OK,
    GeneratorFacts,
    LoadResult,
    Overflow,
    Resources,
    Samples,
    StageSpan,
)

__all__ = [
    "OK",
    "GeneratorFacts",
    "LoadResult",
    "Overflow",
    "Resources",
    "Samples",
    "StageSpan",
]
