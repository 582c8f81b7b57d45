"""Chooses and starts the engine for one share of a scenario."""

import math
import sys
from collections.abc import Callable
from time import perf_counter_ns

from groundspeed.errors import UsageError
from groundspeed.load.agenda import agenda_for
from groundspeed.load.arrivals import legs_of
from groundspeed.load.async_engine import AsyncEngine
from groundspeed.load.callers import is_asynchronous
from groundspeed.load.http_client import resolve
from groundspeed.load.http_engine import HttpEngine
from groundspeed.load.models import Closed
from groundspeed.load.part import Beat, Part
from groundspeed.load.recorder import Outcomes, Recorder
from groundspeed.load.scenario import Http, Scenario
from groundspeed.load.thread_engine import ThreadEngine

__all__ = ["Engine", "check_descriptors", "connections_of", "engine_for", "part_of"]

Engine = HttpEngine | ThreadEngine | AsyncEngine

_HTTP_CONNECTIONS = 1000
_THREADS = 256
_SPARE_DESCRIPTORS = 64


def connections_of(scenario: Scenario) -> int:
    """How many connections, threads or tasks the whole run may have."""
    if scenario.connections is not None:
        return scenario.connections
    if isinstance(scenario.model, Closed):
        legs = legs_of(scenario.model, scenario.stages)
        return math.ceil(max(max(leg.level_start, leg.level_end) for leg in legs))
    return _HTTP_CONNECTIONS if scenario.is_http else _THREADS


def check_descriptors(scenario: Scenario) -> None:
    """Raise this process's limit of open files if need be; generators inherit it.

    Raises:
        UsageError: If the system allows fewer than the scenario's connections need.
    """
    if sys.platform == "win32" or not scenario.is_http:
        return
    import resource

    needed = math.ceil(connections_of(scenario) / scenario.processes) + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise UsageError(
            f"connections: {connections_of(scenario):,} in {scenario.processes} processes need "
            f"{needed:,} file descriptors each, the system allows {hard:,}; raise `ulimit -n`, or "
            "ask for fewer users or more processes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def part_of(scenario: Scenario, *, part: int, start_ns: int, say: Callable[[Beat], None]) -> Part:
    """One share of the scenario, to start at `start_ns` on the monotonic clock."""
    legs = legs_of(scenario.model, scenario.stages)
    return Part(
        agenda=agenda_for(
            scenario.model, legs, seed=scenario.seed, part=part, parts=scenario.processes
        ),
        recorder=Recorder(max(1, scenario.samples_max // scenario.processes)),
        outcomes=Outcomes(),
        start_ns=start_ns,
        clock=perf_counter_ns,
        timeout_ns=round(scenario.timeout * 1e9),
        say=say,
    )


def engine_for(part: Part, scenario: Scenario, *, number: int) -> Engine:
    """The engine that the scenario's targets need, for the share of that number.

    Raises:
        UsageError: If a host or a function is not found.
    """
    # What is drawn for the choices shall not be what was drawn for the arrivals.
    seed = (scenario.seed, number, 1)
    most = max(1, math.ceil(connections_of(scenario) / scenario.processes))
    target = scenario.operations[0].target
    if isinstance(target, Http):
        return HttpEngine(part, scenario, resolve(*target.address()), most, seed)
    if is_asynchronous(scenario.operations):
        return AsyncEngine(part, scenario, most, seed)
    return ThreadEngine(part, scenario, most, seed)
