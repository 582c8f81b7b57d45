"""The fixtures `measured` and `service_levels`, also for a conftest that asks for them by name.

In ordinary runs the plugin has them; in those of `groundspeed check` no plugin of groundspeed is
loaded, and nothing is judged there. Nothing is imported until a test asks for them.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from groundspeed.load.level_table import LevelTable
    from groundspeed.plugins.measured import Measured

__all__ = ["MEASURED", "measured", "service_levels"]

MEASURED: "pytest.StashKey[Measured]" = pytest.StashKey()


@pytest.fixture
def service_levels() -> "LevelTable":
    """What tests are held to: nothing, until a conftest.py says more by `read_levels`."""
    from groundspeed.load.level_table import LevelTable

    return LevelTable()


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, benchmark: Any, service_levels: "LevelTable"
) -> "Measured":
    """Keep figures in pytest-benchmark's JSON, and hold them to the test's service levels."""
    from groundspeed.plugins.measured import Measured

    mode = request.config.getoption("sla", None)  # which the plugin brings
    made = Measured(
        benchmark,
        service_levels.of(request.node.nodeid),
        mode=mode or "report",
        is_detailed=mode is not None,
        skip=pytest.skip,
    )
    request.node.stash[MEASURED] = made
    return made
