"""Pure statistics: numbers in, numbers out.

Without any input, output, clock or chance of its own. The gate's chain reads `faster_half_mean`
(one launch), `summarise` (the launch pairs of a row), `moderate` (the variances of a suite),
`benjamini_hochberg` (many rows), `look` and `GateRule` (when to stop and what to call it).
"""

from groundspeed.stats.arrays import BoolArray, Families, FloatArray, IntArray
from groundspeed.stats.distributions import (
    digamma,
    student_t_ppf,
    student_t_sf,
    student_t_tails,
    trigamma,
    trigamma_inverse,
)
from groundspeed.stats.estimates import Estimates, estimate
from groundspeed.stats.exact import ExactPair, spread_of_repeats
from groundspeed.stats.exchange import ExchangeRate, exchange_rate
from groundspeed.stats.groups import Groups, two_groups
from groundspeed.stats.location import faster_half_mean, slower_half_mean
from groundspeed.stats.moderated import (
    FamilyVariances,
    ModeratedVariance,
    VariancePrior,
    fit_prior,
    moderate,
    moderate_families,
)
from groundspeed.stats.multiplicity import benjamini_hochberg
from groundspeed.stats.paired import PairedSummary, summarise
from groundspeed.stats.power import minimum_detectable_effect
from groundspeed.stats.sequential import (
    Conclusion,
    Course,
    GateRule,
    Look,
    look,
    run_to_conclusion,
)

__all__ = [
    "BoolArray",
    "Conclusion",
    "Course",
    "Estimates",
    "ExactPair",
    "ExchangeRate",
    "Families",
    "FamilyVariances",
    "FloatArray",
    "GateRule",
    "Groups",
    "IntArray",
    "Look",
    "ModeratedVariance",
    "PairedSummary",
    "VariancePrior",
    "benjamini_hochberg",
    "digamma",
    "estimate",
    "exchange_rate",
    "faster_half_mean",
    "fit_prior",
    "look",
    "minimum_detectable_effect",
    "moderate",
    "moderate_families",
    "run_to_conclusion",
    "slower_half_mean",
    "spread_of_repeats",
    "student_t_ppf",
    "student_t_sf",
    "student_t_tails",
    "summarise",
    "trigamma",
    "trigamma_inverse",
    "two_groups",
]
