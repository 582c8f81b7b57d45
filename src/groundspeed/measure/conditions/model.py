"""Facts about a machine and findings made of them, as frozen records.

A fact that could not be read is None, and `Conditions.unknown` has the reason under the field's
name; shares are plain numbers (0.5 is 50 %).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Activity",
    "Clock",
    "Conclusion",
    "Conditions",
    "Finding",
    "Memory",
    "PythonBuild",
    "Severity",
]


class Severity(StrEnum):
    """How much a finding matters, from nothing to everything."""

    OK = "ok"
    """Nothing to do."""
    NOTE = "note"
    """Worth knowing; a check is as sure as elsewhere, though it may take longer."""
    WARNING = "warning"
    """Samples scatter more or do not show what they should; rows may stay undecided."""
    BAD = "bad"
    """No check can run."""

    @property
    def rank(self) -> int:
        """0 for the least; the higher, the worse."""
        return list(Severity).index(self)


class Conclusion(StrEnum):
    """The one word on a machine."""

    FIT = "fit"
    USABLE = "usable"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, a few words.
        severity: How much it matters; an unknown fact is never worse than a note.
        known: Whether it could be read.
        seen: What was seen, or why nothing was.
        effect: What it means for a check, in plain words.
        fix: What to do, with a command where there is one; empty where nothing need be done.
    """

    name: str
    severity: Severity
    known: bool = True
    seen: str
    effect: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What happened on the machine while it was watched.

    Attributes:
        window_s: How long it was watched.
        busy_shares: Per allowed CPU, in the order of `Conditions.cpus`: the share of the time it
            worked for anyone, this process included.
        foreign_cpus: How many of the allowed CPUs' time others used, this process left out.
        steal_share: Share of the allowed CPUs' time the host gave to other machines; None where the
            system does not count it.
        swapped_pages: Pages moved to or from swap, by anyone; None where that is not counted.
        throttled: How often a CPU was slowed for heat; None where that is not counted.
    """

    window_s: float
    busy_shares: tuple[float, ...]
    foreign_cpus: float
    steal_share: float | None = None
    swapped_pages: int | None = None
    throttled: int | None = None

    @property
    def quietest_share(self) -> float:
        """Share of its time that the least busy CPU, the one to measure on, works for others."""
        return min([*self.busy_shares, self.foreign_cpus])


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The clock samples are read from, as measured.

    Attributes:
        source: The kernel's name for it; None where there is none to be read.
        step_s: The smallest advance seen between two reads; None if it did not move.
        read_s: What one read costs.
    """

    source: str | None
    step_s: float | None
    read_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How short memory is.

    Attributes:
        available_share: Of all memory, what programs could still get without swapping.
        swap_used_bytes: What lies in swap.
        stalled_share: Share of the last minute in which some process waited for memory; None where
            the kernel does not count it (no PSI).
    """

    available_share: float
    swap_used_bytes: int
    stalled_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonBuild:
    """The interpreter that is measured with, and what the environment makes of it.

    Attributes:
        version: Implementation and version, with `free-threaded` where it is.
        debug: Built with --with-pydebug.
        variables: `NAME=value` of the variables that slow every interpreter they reach.
    """

    version: str
    debug: bool
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All that was read; None means unknown where `unknown` names the field.

    Attributes:
        platform: `linux`, `darwin`, `win32`: what `sys.platform` says.
        fork: Whether processes can be forked.
        git_version: Of the git on PATH; None also when there is none.
        cpus: The CPUs this process may use; empty where the system does not tell which.
        cpu_count: How many it may use.
        machine_cpu_count: How many there are.
        quota_cpus: CPU time the control group grants, in CPUs; None without limit.
        schedstat: Whether run-queue delay is counted.
        activity: What happened while the machine was watched.
        load_average_1m: Processes that ran or wanted to, mean of the last minute.
        governors: The frequency governors of the allowed CPUs, each once.
        frequency_driver: Who sets the frequency, such as `intel_pstate`.
        turbo: Whether CPUs may exceed their nominal frequency.
        turbo_switch: The file that switches it.
        throttles: How often CPUs were slowed for heat since the machine was started.
        autogroup: Whether CPU time is shared out between login sessions first.
        clock: What time is read from.
        hypervisor: What kind of virtual machine this is; empty for none.
        container: What kind of container this is; empty for none.
        siblings: Groups of two or more of the machine's CPUs that share a core, where at least one
            of them is allowed.
        memory: How short memory is.
        randomisation: 0 none, 1 without the heap, 2 full address-space randomisation.
        python: The interpreter.
        unknown: Why a field could not be read, by its name.
    """

    platform: str
    fork: bool
    git_version: str | None
    cpus: tuple[int, ...]
    cpu_count: int
    machine_cpu_count: int
    quota_cpus: float | None
    schedstat: bool | None
    activity: Activity | None
    load_average_1m: float | None
    governors: tuple[str, ...] | None
    frequency_driver: str | None
    turbo: bool | None
    turbo_switch: str | None
    throttles: int | None
    autogroup: bool | None
    clock: Clock
    hypervisor: str | None
    container: str | None
    siblings: tuple[tuple[int, ...], ...] | None
    memory: Memory | None
    randomisation: int | None
    python: PythonBuild
    unknown: Mapping[str, str] = field(default_factory=dict)
