"""How often this check would have alarmed on nothing: its own pairs, their labels exchanged."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from groundspeed.check.ledger import family_of
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
        comparisons: Every row; those without launch pairs, or with one that has no finite ratio,
            are left out.
        rule: The rule the check used.
        min_effects: Least effects of rows that have one of their own, by label.
        seed: Of the draws.

    Returns:
        The count with its interval; None if no row had the pairs of a first look.
    """
    recorded = [(c, c.log_ratios) for c in comparisons]
    measured = [(c, ratios) for c, ratios in recorded if ratios and all(map(math.isfinite, ratios))]
    if not measured:
        return None
    longest = max(len(ratios) for _, ratios in measured)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(EXCHANGES, longest))
    try:
        rate = exchange_rate(
            [ratios for _, ratios in measured],
            rule,
            signs=signs,
            min_effects=[min_effects.get(c.row.label, rule.min_effect) for c, _ in measured],
            families=[family_of(c.metric) for c, _ in measured],
        )
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
