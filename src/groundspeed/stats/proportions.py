"""Shares: how sure one is, and whether chance explains it."""

import math

from groundspeed.stats.distributions import student_t_ppf

__all__ = ["binomial_tail", "wilson_interval"]


def wilson_interval(
    successes: int, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of a share, inside [0, 1] and around successes / trials.

    Args:
        successes: From 0 to `trials`.
        trials: At least 1.
        confidence: Two-sided, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.

    References:
        Wilson (1927), Probable inference, the law of succession, and statistical inference, Journal
        of the American Statistical Association 22.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"got {successes} of {trials}, needed at most all of at least one")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence: got {confidence}, needed a number between 0 and 1")
    z = -float(student_t_ppf((1.0 - confidence) / 2.0, math.inf))
    share, weight = successes / trials, z**2 / trials
    centre = share + weight / 2.0
    half = math.sqrt(share * (1.0 - share) * weight + weight**2 / 4.0)
    low, high = (centre - half) / (1.0 + weight), (centre + half) / (1.0 + weight)
    # Rounding must not put the interval beside a share of 0 or 1.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """The chance of at least so many successes in independent trials.

    Args:
        successes: From 0 to `trials`.
        trials: At least 0.
        chance: Of each trial, in [0, 1].

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 <= successes <= trials or not 0.0 <= chance <= 1.0:
        raise ValueError(f"got {successes} of {trials} at {chance}, needed a share and a chance")
    return math.fsum(
        math.comb(trials, count) * chance**count * (1.0 - chance) ** (trials - count)
        for count in range(successes, trials + 1)
    )
