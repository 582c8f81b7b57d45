"""Pure statistics: numbers in, numbers out.

Without any input, output, clock or chance of its own. The gate's chain reads `faster_half_mean`
(one launch), `summarise` (the launch pairs of a row), `moderate` (the variances of a suite),
`benjamini_hochberg` (many rows), `look` and `GateRule` (when to stop and what to call it).
Load has `OrderedSamples` and `BlockedSamples` (percentiles with intervals), `Histogram` and
`fit_scaling`.
"""

from groundspeed.stats.arrays import BoolArray, Families, FloatArray, IntArray
from groundspeed.stats.bootstrap import BlockedSamples, block_interval, is_correlated
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
from groundspeed.stats.histogram import (
    Histogram,
    HistogramLayout,
    decode_histogram,
    encode_histogram,
)
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
from groundspeed.stats.quantile import (
    OrderedSamples,
    QuantileEstimate,
    estimate_quantile,
    interval_ranks,
    percentile_name,
    quantile_rank,
    samples_needed,
)
from groundspeed.stats.scaling import (
    Coefficient,
    ScalingFit,
    fit_amdahl,
    fit_scaling,
    fit_usl,
)
from groundspeed.stats.sequential import (
    Conclusion,
    Course,
    GateRule,
    Look,
    look,
    run_to_conclusion,
)

__all__ = [
    "BlockedSamples",
    "BoolArray",
    "Coefficient",
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
    "Histogram",
    "HistogramLayout",
    "IntArray",
    "Look",
    "ModeratedVariance",
    "OrderedSamples",
    "PairedSummary",
    "QuantileEstimate",
    "ScalingFit",
    "VariancePrior",
    "benjamini_hochberg",
    "block_interval",
    "decode_histogram",
    "digamma",
    "encode_histogram",
    "estimate",
    "estimate_quantile",
    "exchange_rate",
    "faster_half_mean",
    "fit_amdahl",
    "fit_prior",
    "fit_scaling",
    "fit_usl",
    "interval_ranks",
    "is_correlated",
    "look",
    "minimum_detectable_effect",
    "moderate",
    "moderate_families",
    "percentile_name",
    "quantile_rank",
    "run_to_conclusion",
    "samples_needed",
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
