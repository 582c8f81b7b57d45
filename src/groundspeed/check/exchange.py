"""How often this check would have alarmed on nothing: its own pairs, their labels exchanged."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from groundspeed.errors import TooFewSamplesError
from groundspeed.model import Comparison, LabelExchange
from groundspeed.stats import GateRule, exchange_rate

__all__ = ["exchange_labels"]

EXCHANGES = 200


def exchange_labels(
    comparisons: Sequence[Comparison],
    rule: GateRule,
    *,
    min_effects: Mapping[str, float],
    seed: int,
) -> LabelExchange | None:
    """Exchange base and candidate in random launch pairs, many times, and count the alarms.

    Args:
        comparisons: Every row; those without launch pairs are left out.
        rule: The rule the check used.
        min_effects: Least effects of rows that have one of their own, by label.
        seed: Of the draws.

    Returns:
        The count with its interval; None if no row had the pairs of a first look.
    """
    measured = [c for c in comparisons if c.pairs]
    differences = [[math.log(p.candidate_s / p.base_s) for p in c.pairs] for c in measured]
    if not differences:
        return None
    longest = max(map(len, differences))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(EXCHANGES, longest))
    effects = [min_effects.get(c.row.label, rule.min_effect) for c in measured]
    try:
        rate = exchange_rate(differences, rule, signs=signs, min_effects=effects)
    except TooFewSamplesError:
        return None
    low, high = rate.interval
    return LabelExchange(
        exchanges=rate.exchanges,
        alarmed=rate.alarmed,
        rate_low=low,
        rate_high=high,
        cut_short=rate.cut_short,
    )
