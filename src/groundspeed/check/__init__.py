"""The use case of `groundspeed check`: measures two commits and decides; prints nothing."""

from groundspeed.check.plan import CheckPlan
from groundspeed.check.request import CheckRequest, Progress, Silence
from groundspeed.check.run import run_check
from groundspeed.check.verdict import decide

__all__ = ["CheckPlan", "CheckRequest", "Progress", "Silence", "decide", "run_check"]
