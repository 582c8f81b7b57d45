"""Where a run has settled: found from its samples, not guessed."""

import numpy as np

from groundspeed.stats import FloatArray

__all__ = ["WarmUp", "find_warm_up"]

_WINDOWS_MAX = 100
_PER_WINDOW_MIN = 10
_IN_A_ROW = 3
_SIGMAS = 3.0
_MAD_TO_SIGMA = 1.4826
_LEAST = 0.05
"""Within 5 % of the settled level nothing is a warm-up, however quiet the rest is."""

WarmUp = tuple[int, bool]
"""How many samples come before the settled part, and whether there is one."""


def find_warm_up(service_s: FloatArray) -> WarmUp:
    """Find the samples at the start that are slower than the run later is.

    The samples are cut into windows of equal count, each standing by its median, so that a stall,
    which is what tails are made of, is never taken for a warm-up unless the run begins with it. The
    second half says what settled is; the warm-up ends with the first three windows in a row that
    are not above that, by three sigma of the windows' medians or 5 %, whichever is more.

    Args:
        service_s: Service times of good answers in the order of their starts, shape (n,).

    Returns:
        The count to leave out, at most half of them, and True; 0 and False where the first half
        does not settle; 0 and True where there are too few to tell.
    """
    windows = min(_WINDOWS_MAX, len(service_s) // _PER_WINDOW_MIN)
    if windows < 2 * _IN_A_ROW:
        return 0, True
    size = len(service_s) // windows
    medians = np.median(service_s[: windows * size].reshape(windows, size), axis=1)
    levels = np.log(np.maximum(medians, 1e-9))
    later = levels[windows // 2 :]
    centre = np.median(later)
    # From one window to the next, so that a trend is not taken for noise.
    sigma = _MAD_TO_SIGMA / np.sqrt(2.0) * float(np.median(np.abs(np.diff(later))))
    calm = levels <= centre + max(_SIGMAS * sigma, np.log1p(_LEAST))
    for first in range(windows // 2 + 1):
        if calm[first : first + _IN_A_ROW].all():
            return first * size, True
    return 0, False
