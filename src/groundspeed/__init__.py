"""Groundspeed: did this change make us slower, and how sure is that?"""

from groundspeed.errors import BrokenError, GroundspeedError, NoBaselineError, UsageError

__all__ = ["BrokenError", "GroundspeedError", "NoBaselineError", "UsageError", "__version__"]

__version__ = "0.1.0"
