"""What a check measures with: system, clocks, frequency and interpreter; pure functions."""

from collections.abc import Sequence

from groundspeed.measure.conditions.finding import counted, graded, unknown
from groundspeed.measure.conditions.model import Clock, Conditions, Finding, Severity
from groundspeed.units import format_seconds

__all__ = [
    "judge_clock",
    "judge_container",
    "judge_fork",
    "judge_git",
    "judge_governor",
    "judge_heat",
    "judge_python",
    "judge_randomisation",
    "judge_schedstat",
    "judge_turbo",
    "judge_virtual",
]

OK, NOTE, WARNING, BAD = Severity

# Reading the clock twice in a sample of 1 ms (plan.SAMPLE_TARGET_S): 0.1 % and 1 % of it.
READ_NOTE_S = 0.5e-6
READ_WARNING_S = 5e-6
# A step of 1 % of the sample is as much as the smallest change worth reporting.
STEP_WARNING_S = 10e-6

# These drivers set the frequency themselves: their `powersave` follows the load.
_SELF_GOVERNED = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")
_FULL_RANDOMISATION = 2


def judge_fork(conditions: Conditions) -> Finding:
    """Launch twins need it."""
    name = "fork"
    effect = "Launch twins are forked from one interpreter; without fork no check runs"
    if conditions.fork:
        return Finding(name=name, severity=OK, seen="there is fork", effect=effect)
    return Finding(
        name=name,
        severity=BAD,
        seen=f"{conditions.platform} has no fork",
        effect=effect,
        fix="check on Linux or macOS, in WSL or in a container",
    )


def judge_git(conditions: Conditions) -> Finding:
    """Both versions come from it."""
    name, effect = "git", "The two versions are read from git; without it no check runs"
    if conditions.git_version is not None:
        return Finding(name=name, severity=OK, seen=conditions.git_version, effect=effect)
    if "git_version" in conditions.unknown:
        return unknown(name, conditions, "git_version", effect, "run `git version` to see why")
    return Finding(
        name=name,
        severity=BAD,
        seen="no git on PATH",
        effect=effect,
        fix="install git, or put its folder on PATH",
    )


def judge_schedstat(conditions: Conditions) -> Finding:
    """Whether waiting for a CPU can be told from work."""
    name = "run-queue delay"
    effect = (
        "The time a sample waited for a CPU is taken out of it. Where it is not counted CPU time "
        "is judged instead, in which waiting for disks and locks does not show"
    )
    if conditions.schedstat is None:
        return unknown(name, conditions, "schedstat", effect)
    if conditions.schedstat:
        seen = "counted in /proc/self/schedstat"
        return Finding(name=name, severity=OK, seen=seen, effect=effect)
    seen, fix = "only Linux counts it", "check on Linux, or in a container"
    if conditions.platform == "linux":
        seen = "/proc/self/schedstat is missing or counts nothing"
        fix = (
            "use a kernel built with CONFIG_SCHED_INFO (before 5.14, booting it with delayacct may "
            "be enough); kernel.sched_schedstats is not needed"
        )
    return Finding(name=name, severity=WARNING, seen=seen, effect=effect, fix=fix)


def judge_governor(conditions: Conditions) -> Finding:
    """How the clock frequency is set."""
    name = "frequency governor"
    effect = (
        "A frequency that follows the load makes the first samples after a pause slower (twins "
        "take turns and share most of it); the lowest one measures a CPU that nobody uses"
    )
    governors = conditions.governors
    if governors is None:
        return unknown(name, conditions, "governors", effect)
    severity = max(
        (_governed(governor, conditions.frequency_driver) for governor in governors),
        key=lambda severity: severity.rank,
    )
    driver = f" by {conditions.frequency_driver}" if conditions.frequency_driver else ""
    return Finding(
        name=name,
        severity=severity,
        seen=f"{', '.join(governors)}{driver}",
        effect=effect,
        fix="" if severity is OK else "sudo cpupower frequency-set -g performance",
    )


def _governed(governor: str, driver: str | None) -> Severity:
    if governor in ("performance", "userspace"):
        return OK
    if governor == "powersave" and driver not in _SELF_GOVERNED:
        return WARNING  # held at the lowest frequency, where memory looks faster than it is
    return NOTE


def judge_turbo(conditions: Conditions) -> Finding:
    """Whether speed depends on heat and the other cores."""
    name = "turbo"
    effect = (
        "Above the nominal frequency, speed depends on heat and on what the other cores do; "
        "that changes slowly beside a turn of the twins"
    )
    if conditions.turbo is None:
        return unknown(name, conditions, "turbo", effect)
    if not conditions.turbo:
        return Finding(name=name, severity=OK, seen="off", effect=effect)
    switch = conditions.turbo_switch or ""
    off = "1" if switch.endswith("no_turbo") else "0"
    fix = f"echo {off} | sudo tee {switch}"
    return Finding(name=name, severity=NOTE, seen="on", effect=effect, fix=fix)


def judge_heat(conditions: Conditions) -> Finding:
    """Whether CPUs are slowed for heat."""
    name = "heat"
    effect = "A CPU that is too hot is slowed in steps, for both twins but not always alike"
    if conditions.throttles is None:
        return unknown(name, conditions, "throttles", effect)
    now = conditions.activity.throttled if conditions.activity else None
    severity = WARNING if now else NOTE if conditions.throttles else OK
    lately = f", {now} of them just now" if now else ""
    return Finding(
        name=name,
        severity=severity,
        seen=f"slowed {counted(conditions.throttles, 'time')} since the start{lately}",
        effect=effect,
        fix="" if severity is OK else "let it cool, clear its vents, or switch turbo off",
    )


def judge_clock(conditions: Conditions) -> Finding:
    """What a sample is read from."""
    clock = conditions.clock
    severity = _clock_severity(clock)
    source = f"{clock.source}: " if clock.source else ""
    step = f"steps {format_seconds(clock.step_s)}" if clock.step_s else "no step seen"
    return Finding(
        name="clock",
        severity=severity,
        seen=f"{source}a read takes {format_seconds(clock.read_s)}, {step}",
        effect="A sample of about 1 ms is the difference of two reads; both twins pay for them",
        fix=""
        if severity is OK
        else "see if a better one can be had: "
        "cat /sys/devices/system/clocksource/clocksource0/available_clocksource",
    )


def _clock_severity(clock: Clock) -> Severity:
    if clock.step_s is None or clock.step_s >= STEP_WARNING_S:
        return WARNING
    return graded(clock.read_s, READ_NOTE_S, READ_WARNING_S)


def judge_randomisation(conditions: Conditions) -> Finding:
    """Whether each launch pair draws a layout."""
    name, level = "address layout", conditions.randomisation
    effect = (
        "Each launch pair draws a layout of memory that its twins share; without randomisation "
        "all pairs have nearly the same one, and what is found may hold for that one only"
    )
    if level is None:
        return unknown(name, conditions, "randomisation", effect)
    if level >= _FULL_RANDOMISATION:
        return Finding(name=name, severity=OK, seen="randomised", effect=effect)
    return Finding(
        name=name,
        severity=WARNING if level == 0 else NOTE,
        seen="not randomised" if level == 0 else "randomised except for the heap",
        effect=effect,
        fix="sudo sysctl kernel.randomize_va_space=2, and no setarch -R",
    )


def judge_virtual(conditions: Conditions) -> Finding:
    """Whether there are neighbours we cannot see."""
    name, kind = "virtual machine", conditions.hypervisor
    effect = "The host's other machines share caches, memory and frequency unseen; steal shows part"
    if kind is None:
        return unknown(name, conditions, "hypervisor", effect)
    if not kind:
        return Finding(name=name, severity=OK, seen="no", effect=effect)
    fix = "for the last percent, a machine of one's own"
    return Finding(name=name, severity=NOTE, seen=f"yes, {kind}", effect=effect, fix=fix)


def judge_container(conditions: Conditions) -> Finding:
    """Whether limits may come from one."""
    name, kind = "container", conditions.container
    effect = "It costs nothing itself; its CPU quota and its neighbours, listed apart, may"
    if kind is None:
        return unknown(name, conditions, "container", effect)
    return Finding(name=name, severity=OK, seen=kind or "no", effect=effect)


def judge_python(conditions: Conditions) -> Finding:
    """Whether the interpreter is the one people use."""
    python = conditions.python
    faults = (["a debug build"] if python.debug else []) + list(python.variables)
    return Finding(
        name="Python",
        severity=WARNING if faults else OK,
        seen=", ".join([python.version, *faults]),
        effect="Debug builds and these variables change allocation and calls: the code is measured "
        "as nobody runs it",
        fix=_python_fix(python.variables, debug=python.debug) if faults else "",
    )


def _python_fix(variables: Sequence[str], *, debug: bool) -> str:
    steps = ["use a release build of Python"] if debug else []
    if variables:
        steps.append(f"unset {' '.join(text.partition('=')[0] for text in variables)}")
    return "; ".join(steps)
