"""`run`: make a scenario's requests, watch the target, and say whether the run can be believed."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.errors import BrokenError
from groundspeed.load._result import LoadResult
from groundspeed.load.arrivals import legs_of
from groundspeed.load.assembling import assemble
from groundspeed.load.crew import Crew, crew_for
from groundspeed.load.engines import check_descriptors
from groundspeed.load.http_client import resolve
from groundspeed.load.scenario import Http, Scenario
from groundspeed.load.watch import Watch

__all__ = ["Progress", "run"]

_TELL_S = 0.5
_REACH_S = 5.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        at_s: Seconds since its start.
        left_s: Seconds until the end of its stages.
        count: Samples until now.
        rate_per_s: Samples a second, lately.
        response_s_p95: Of the latest good answers; 0 without one.
        failed_share: Of the latest requests.
    """

    at_s: float
    left_s: float
    count: int
    rate_per_s: float
    response_s_p95: float
    failed_share: float


def run(scenario: Scenario, *, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Run a scenario to its end, or to Ctrl-C, which leaves a result that says it is partial.

    Args:
        scenario: What to ask, how often and for how long.
        progress: Told twice a second how far it is.

    Raises:
        UsageError: If the scenario cannot be run here.
        BrokenError: If the target is not there, or a generator failed.
    """
    legs_of(scenario.model, scenario.stages)  # whatever is wrong with them is said now
    check_descriptors(scenario)
    _check_reachable(scenario)
    crew = crew_for(scenario)
    try:
        crew.start()
        watch = Watch(scenario, crew)
        partial = _supervise(crew, scenario, progress)
        watch.stop()
        found = crew.found()
    finally:
        crew.close()
    return assemble(scenario, found, watch, partial=partial)


def _check_reachable(scenario: Scenario) -> None:
    target = scenario.operations[0].target
    if not isinstance(target, Http):
        return
    host, port = target.address()
    family, address = resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(min(_REACH_S, scenario.timeout))
        try:
            probe.connect(address)
        except OSError as error:
            raise BrokenError(
                f"target {host}:{port}: {error.strerror or error}; start the server, or correct "
                "the URL"
            ) from None


def _supervise(crew: Crew, scenario: Scenario, progress: Callable[[Progress], None] | None) -> bool:
    """Wait for the end; whether it came early."""
    teller = _Teller(crew, scenario, progress)
    try:
        while not crew.wait(_TELL_S):
            teller.tell()
    except KeyboardInterrupt:
        crew.stop()
        crew.wait(_STOP_S)
        return True
    return False


class _Teller:
    """Turns the generators' signs of life into progress."""

    def __init__(
        self, crew: Crew, scenario: Scenario, progress: Callable[[Progress], None] | None
    ) -> None:
        self._crew, self._duration_s, self._progress = crew, scenario.duration, progress
        self._last = (0.0, 0)

    def tell(self) -> None:
        """Tell how far the run is."""
        beats = list(self._crew.beats.values())
        if self._progress is None or not beats:
            return
        at_s = (time.perf_counter_ns() - self._crew.start_ns) * 1e-9
        count = sum(beat.count for beat in beats)
        since_s = max(at_s - self._last[0], 1e-9)
        recent = sum(beat.recent for beat in beats)
        self._progress(
            Progress(
                at_s=at_s,
                left_s=max(0.0, self._duration_s - at_s),
                count=count,
                rate_per_s=(count - self._last[1]) / since_s,
                response_s_p95=max(beat.response_s_p95 for beat in beats),
                failed_share=sum(beat.failures for beat in beats) / recent if recent else 0.0,
            )
        )
        self._last = (at_s, count)
