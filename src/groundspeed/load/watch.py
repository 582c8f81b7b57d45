"""What is read of the target and of the machine while a run goes on."""

import os
import time

from groundspeed.load.crew import Crew
from groundspeed.load.monitor import Monitor, listener_of
from groundspeed.load.scenario import Http, Scenario
from groundspeed.measure.occupancy import machine_use_s
from groundspeed.measure.wakefulness import read_clocks, slept_s

__all__ = ["Watch"]


class Watch:
    """Reads what it can from its making until `stop`.

    Args:
        scenario: Says what the target is.
        crew: The generators, which have begun.
    """

    def __init__(self, scenario: Scenario, crew: Crew) -> None:
        self.start_ns = crew.start_ns
        self.monitor = Monitor(
            roots=_roots(scenario, crew), leave_out=crew.pids, elapsed_s=self.elapsed_s
        )
        self._clocks = read_clocks()
        self._used_s = machine_use_s()
        self.slept_s = self.machine_s = self.busy_s = 0.0
        self.monitor.start()

    def elapsed_s(self) -> float:
        """Seconds of the run."""
        return (time.perf_counter_ns() - self.start_ns) * 1e-9

    def stop(self) -> None:
        """Read for the last time."""
        self.monitor.stop()
        self.slept_s = slept_s(self._clocks, read_clocks())
        machine_s, busy_s = machine_use_s()
        self.machine_s, self.busy_s = machine_s - self._used_s[0], busy_s - self._used_s[1]


def _roots(scenario: Scenario, crew: Crew) -> tuple[int, ...]:
    if scenario.watch:
        return scenario.watch
    target = scenario.operations[0].target
    if isinstance(target, Http):
        listener = listener_of(*target.address())
        return () if listener is None else (listener,)
    return () if crew.pids else (os.getpid(),)
