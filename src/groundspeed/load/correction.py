"""What a closed run would have seen of the requests that its waiting users did not make.

A user who waits for a stalled answer makes no requests meanwhile, so that a stall is one sample
where an open model has many: coordinated omission. The correction adds those that were not made. It
assumes that the user would have gone on at the same pace, so its numbers are a column of their own
and never replace the measured ones.

References:
    Tene, HdrHistogram, recordValueWithExpectedInterval.
"""

import math

import numpy as np

from groundspeed.stats import FloatArray

__all__ = ["corrected_for_omission"]


def corrected_for_omission(response_s: FloatArray, expected_interval_s: float) -> FloatArray:
    """Add, for each value v, v - i, v - 2 i and so on as long as they are at least i.

    Args:
        response_s: Response times, >= 0, shape (n,); infinite ones are kept and add nothing.
        expected_interval_s: From one request of a user to the next, had nothing stalled; above 0.

    Returns:
        All of them in no particular order, shape (m,), m >= n.

    Raises:
        ValueError: If the interval is not above 0.
    """
    if not 0.0 < expected_interval_s < math.inf:
        raise ValueError(f"expected_interval_s: got {expected_interval_s:g}, needed above 0")
    finite = response_s[np.isfinite(response_s)]
    # The last one added is at least one interval long.
    counts = np.maximum(np.floor(finite / expected_interval_s).astype(np.int64) - 1, 0)
    values = np.repeat(finite, counts)
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    steps = np.arange(len(values)) - firsts + 1
    return np.concatenate([response_s, values - steps * expected_interval_s])
