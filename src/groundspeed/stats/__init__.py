"""Pure statistics: numbers in, numbers out.

Without any input, output, clock or chance of its own. The gate's chain reads `interquartile_mean`
(one launch), `summarise` (the launch pairs of a row), `moderate` (the variances of a suite),
`benjamini_hochberg` (many rows), `look` and `GateRule` (when to stop and what to call it).
"""

from groundspeed.stats.arrays import BoolArray, FloatArray, IntArray
from groundspeed.stats.distributions import (
    digamma,
    student_t_ppf,
    student_t_sf,
    trigamma,
    trigamma_inverse,
)
from groundspeed.stats.exchange import ExchangeRate, exchange_rate
from groundspeed.stats.location import interquartile_mean
from groundspeed.stats.moderated import ModeratedVariance, VariancePrior, fit_prior, moderate
from groundspeed.stats.multiplicity import benjamini_hochberg
from groundspeed.stats.paired import PairedSummary, summarise
from groundspeed.stats.power import minimum_detectable_effect
from groundspeed.stats.sequential import (
    Conclusion,
    Course,
    Estimates,
    GateRule,
    Look,
    estimate,
    look,
    run_to_conclusion,
)

__all__ = [
    "BoolArray",
    "Conclusion",
    "Course",
    "Estimates",
    "ExchangeRate",
    "FloatArray",
    "GateRule",
    "IntArray",
    "Look",
    "ModeratedVariance",
    "PairedSummary",
    "VariancePrior",
    "benjamini_hochberg",
    "digamma",
    "estimate",
    "exchange_rate",
    "fit_prior",
    "interquartile_mean",
    "look",
    "minimum_detectable_effect",
    "moderate",
    "run_to_conclusion",
    "student_t_ppf",
    "student_t_sf",
    "summarise",
    "trigamma",
    "trigamma_inverse",
]
