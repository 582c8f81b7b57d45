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
from groundspeed.load.correction import corrected_for_omission
from groundspeed.load.figures import Figure, share
from groundspeed.load.models import (
    Closed,
    Model,
    Open,
    PartlyOpen,
    Ramp,
    Soak,
    Spike,
    Stage,
    Steady,
)
from groundspeed.load.running import Progress, run
from groundspeed.load.scenario import (
    Cache,
    Call,
    Http,
    Operation,
    Scenario,
    Sql,
    Target,
    read_scenario,
)
from groundspeed.load.selfchecking import Check, Selfcheck, StallPlan, selfcheck, stall_test
from groundspeed.load.service_levels import (
    SERVICE_LEVELS,
    ServiceLevel,
    Standing,
    Standings,
    judge,
)

__all__ = [
    "OK",
    "SERVICE_LEVELS",
    "Cache",
    "Call",
    "Check",
    "Closed",
    "Figure",
    "GeneratorFacts",
    "Http",
    "LoadResult",
    "Model",
    "Open",
    "Operation",
    "Overflow",
    "PartlyOpen",
    "Progress",
    "Ramp",
    "Resources",
    "Samples",
    "Scenario",
    "Selfcheck",
    "ServiceLevel",
    "Soak",
    "Spike",
    "Sql",
    "Stage",
    "StageSpan",
    "StallPlan",
    "Standing",
    "Standings",
    "Steady",
    "Target",
    "corrected_for_omission",
    "judge",
    "read_scenario",
    "run",
    "selfcheck",
    "share",
    "stall_test",
]
