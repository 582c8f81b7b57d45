"""Two versions of a project made importable: as source trees, or as wheels with dependencies."""

from groundspeed.measure.environments.model import Environments, Mode, Side
from groundspeed.measure.environments.prepare import prepare

__all__ = ["Environments", "Mode", "Side", "prepare"]
