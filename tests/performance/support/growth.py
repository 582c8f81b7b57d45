"""Whether a running service grows with the requests that it answers."""

import math

import numpy as np

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Figure, LoadResult
from groundspeed.stats import FloatArray, student_t_ppf

__all__ = ["growth_figure", "memory_over_requests"]

_STEPS_MIN = 6


def memory_over_requests(result: LoadResult) -> tuple[FloatArray, FloatArray]:
    """How many requests were answered by each reading of the memory after the warm-up.

    Returns:
        Requests and bytes, each of shape (readings,).
    """
    watched = result.resources
    assert watched is not None, "the service was not watched"
    ends_s = np.sort(result.samples.end_ns) * 1e-9
    used = (watched.at_s >= result.warm_up_s) & (watched.at_s <= ends_s[-1])
    requests = np.searchsorted(ends_s, watched.at_s[used]).astype(np.float64)
    return requests, watched.rss_bytes[used]


def growth_figure(metric: str, requests: FloatArray, rss_bytes: FloatArray) -> Figure:
    """Bytes gained with each request, with Student's 95 % interval over the readings.

    The steps between readings are taken for independent. Memory that goes up and down about a
    level has steps that undo each other, so the interval is then too wide rather than too narrow.

    Raises:
        TooFewSamplesError: If there are fewer than 7 readings.
    """
    steps = np.diff(rss_bytes)
    if len(steps) < _STEPS_MIN:
        raise TooFewSamplesError(f"{metric}: got {len(steps)} steps, needed {_STEPS_MIN}")
    per_step = float(np.diff(requests).mean())
    error = float(steps.std(ddof=1)) / math.sqrt(len(steps))
    reach = -float(student_t_ppf(0.025, len(steps) - 1.0)) * error
    middle = float(steps.mean())
    return Figure(
        metric=metric,
        value=middle / per_step,
        low=(middle - reach) / per_step,
        high=(middle + reach) / per_step,
    )
