"""Who else uses what a check needs: CPUs, cores and memory; pure functions.

Effects that carry figures were measured (statistics.md §1.6); the others follow from how samples
are taken, and say what can be disturbed, not by how much.
"""

from collections.abc import Sequence

from groundspeed.measure.conditions.finding import counted, graded, unknown
from groundspeed.measure.conditions.model import Activity, Conditions, Finding, Memory, Severity
from groundspeed.units import format_percent

__all__ = [
    "judge_autogroup",
    "judge_cpus",
    "judge_load",
    "judge_memory",
    "judge_other_work",
    "judge_quota",
    "judge_siblings",
    "judge_steal",
]

OK, NOTE, WARNING, _ = Severity

# The system's own housekeeping stays below it, and so does the counters' step of 10 ms in a second.
FOREIGN_NOTE_CPUS = 0.1
# A quarter of the measuring CPU taken by others: samples are interrupted, caches are cleared.
FOREIGN_WARNING_SHARE = 0.25
# One step of the counters, 10 ms, in a second of one CPU.
STEAL_NOTE_SHARE = 0.01
# What is judged is the faster half of the samples; with one moment in twenty stolen, those that
# are hit begin to be more than the other half in some launch pairs.
STEAL_WARNING_SHARE = 0.05
# One pair measures while the next one starts and imports: two CPUs are used at a time.
CPUS_USED = 2
# PSI: in the last minute somebody waited for memory that long; 0 on a machine with enough.
STALLED_WARNING_SHARE = 0.01
# With less to spare, the file cache is given up and read anew.
AVAILABLE_WARNING_SHARE = 0.05
# What a system puts there in idle hours; harmless unless pages move.
SWAP_NOTE_BYTES = 64 * 2**20

_SHOWN_GROUPS = 4
_MIB = 2**20


def judge_other_work(conditions: Conditions) -> Finding:
    """Who else uses the allowed CPUs."""
    name, activity = "other work", conditions.activity
    effect = (
        "Programs beside a check interrupt its samples, clear caches and take memory bandwidth. "
        f"{_what_waiting_does(conditions)}"
    )
    if activity is None:
        return unknown(name, conditions, "activity", effect)
    severity = _other_work_severity(activity)
    shares = ", ".join(format_percent(share) for share in activity.busy_shares)
    return Finding(
        name=name,
        severity=severity,
        seen=f"{activity.foreign_cpus:.2f} CPUs used by others; busy, per CPU: {shares}",
        effect=effect,
        fix="" if severity is OK else "end what is not needed; see what it is with: top -o %CPU",
    )


def _what_waiting_does(conditions: Conditions) -> str:
    if conditions.schedstat is False:
        return "Waiting for a CPU cannot be told from work here, so CPU time is judged"
    return (
        "Waiting for a CPU is taken out: in the study two busy programs on the measuring CPU "
        "raised no false alarm, but a check took 12.4 s instead of 4.7 s"
    )


def _other_work_severity(activity: Activity) -> Severity:
    # A check measures on the least busy CPU; work on the others only delays the next pair.
    if activity.quietest_share >= FOREIGN_WARNING_SHARE:
        return WARNING
    return NOTE if activity.foreign_cpus >= FOREIGN_NOTE_CPUS else OK


def judge_load(conditions: Conditions) -> Finding:
    """Who else wants to run."""
    name, load = "load average", conditions.load_average_1m
    effect = "More programs than CPUs want to run: what starts a launch pair has to wait"
    if load is None:
        return unknown(name, conditions, "load_average_1m", effect)
    count = conditions.machine_cpu_count  # the load is the whole machine's
    crowded = load > count
    return Finding(
        name=name,
        severity=NOTE if crowded else OK,
        seen=f"{load:.2f} in the last minute, for {counted(count, 'CPU')}",
        effect=effect,
        fix="wait until it is below the number of CPUs: uptime" if crowded else "",
    )


def judge_steal(conditions: Conditions) -> Finding:
    """What the host takes away."""
    name, activity = "steal", conditions.activity
    effect = (
        "The host halts this machine's CPUs to serve other machines; nothing here can tell that "
        "from work, so it stays in the samples"
    )
    if activity is None:
        return unknown(name, conditions, "activity", effect)
    share = activity.steal_share
    if share is None:
        uncounted = f"not counted on {conditions.platform}"
        return Finding(name=name, severity=NOTE, known=False, seen=uncounted, effect=effect)
    severity = graded(share, STEAL_NOTE_SHARE, STEAL_WARNING_SHARE)
    return Finding(
        name=name,
        severity=severity,
        seen=f"{format_percent(share)} of the CPUs' time",
        effect=effect,
        fix="" if severity is OK else "use a machine with CPUs of its own, or another hour",
    )


def judge_cpus(conditions: Conditions) -> Finding:
    """Whether two can be used at a time."""
    effect = (
        "One CPU measures while another starts and imports the next launch pair; with one, both "
        "share it: the check takes longer and is not pinned"
    )
    count = conditions.cpu_count
    which = f" ({', '.join(map(str, conditions.cpus))})" if conditions.cpus else ""
    few = count < CPUS_USED
    return Finding(
        name="CPUs",
        severity=NOTE if few else OK,
        seen=f"{counted(count, 'CPU')} may be used{which}",
        effect=effect,
        fix="allow a second one: taskset, docker run --cpuset-cpus or the size of the machine"
        if few
        else "",
    )


def judge_quota(conditions: Conditions) -> Finding:
    """Whether a control group halts us."""
    name, quota = "CPU quota", conditions.quota_cpus
    effect = (
        "A control group that has used up its share is halted for the rest of each period, in the "
        "middle of samples; that counts as waiting, which a check takes out, but it takes longer"
    )
    if "quota_cpus" in conditions.unknown:
        return unknown(name, conditions, "quota_cpus", effect)
    if quota is None:
        return Finding(name=name, severity=OK, seen="no limit", effect=effect)
    enough = quota >= min(CPUS_USED, conditions.cpu_count)
    severity = OK if enough else NOTE if quota >= 1 else WARNING
    return Finding(
        name=name,
        severity=severity,
        seen=f"{format_percent(quota)} of one CPU",
        effect=effect,
        fix=""
        if severity is OK
        else "grant two whole CPUs: docker run --cpus=2, in Kubernetes a limit of cpu: 2, or "
        "systemctl set-property UNIT CPUQuota=200%",
    )


def judge_autogroup(conditions: Conditions) -> Finding:
    """Whether `nice` counts between sessions."""
    name = "autogroup"
    effect = (
        "CPU time is shared out between login sessions first, so `nice` on work in another "
        "session gives a check nothing"
    )
    if conditions.autogroup is None:
        return unknown(name, conditions, "autogroup", effect)
    if not conditions.autogroup:
        return Finding(name=name, severity=OK, seen="not in effect", effect=effect)
    return Finding(
        name=name,
        severity=NOTE,
        seen="in effect",
        effect=effect,
        fix="lower the other session as a whole: echo 19 > /proc/PID/autogroup, with the PID of "
        "any process in it",
    )


def judge_siblings(conditions: Conditions) -> Finding:
    """Which CPUs share a core."""
    name, groups = "shared cores", conditions.siblings
    effect = (
        "CPUs of one core share its units and caches: what runs on the sibling, the start of the "
        "next launch pair included, slows the samples"
    )
    if groups is None:
        return unknown(name, conditions, "siblings", effect)
    if not groups:
        return Finding(name=name, severity=OK, seen="every CPU has its own core", effect=effect)
    pairs = "; ".join(" and ".join(map(str, group)) for group in groups[:_SHOWN_GROUPS])
    more = f" and {len(groups) - _SHOWN_GROUPS} more" if len(groups) > _SHOWN_GROUPS else ""
    return Finding(
        name=name,
        severity=NOTE,
        seen=f"CPUs that share a core: {pairs}{more}",
        effect=effect,
        fix=_one_per_core(conditions.cpus, groups),
    )


def _one_per_core(cpus: Sequence[int], groups: Sequence[Sequence[int]]) -> str:
    second = {cpu for group in groups for cpu in sorted(set(group) & set(cpus))[1:]}
    chosen = [cpu for cpu in cpus if cpu not in second]
    if len(chosen) < CPUS_USED:
        return "keep other work off this machine; there is no second core to use"
    return f"taskset -c {','.join(map(str, chosen))} groundspeed check"


def judge_memory(conditions: Conditions) -> Finding:
    """Whether memory is short."""
    name, memory = "memory", conditions.memory
    effect = "When memory is short, samples wait for pages to be read back, as would any program"
    if memory is None:
        return unknown(name, conditions, "memory", effect)
    moved = conditions.activity.swapped_pages if conditions.activity else None
    severity = _memory_severity(memory, moved)
    return Finding(
        name=name,
        severity=severity,
        seen=_memory_seen(memory, moved),
        effect=effect,
        fix="" if severity is OK else "end what uses most of it: top -o %MEM",
    )


def _memory_severity(memory: Memory, moved: int | None) -> Severity:
    short = memory.available_share < AVAILABLE_WARNING_SHARE
    stalled = (memory.stalled_share or 0.0) >= STALLED_WARNING_SHARE
    if short or stalled or moved:
        return WARNING
    return NOTE if memory.swap_used_bytes >= SWAP_NOTE_BYTES else OK


def _memory_seen(memory: Memory, moved: int | None) -> str:
    parts = [f"{format_percent(memory.available_share)} available"]
    if memory.swap_used_bytes:
        parts.append(f"{memory.swap_used_bytes / _MIB:.0f} MiB in swap")
    if moved:
        parts.append(f"{counted(moved, 'page')} swapped just now")
    if memory.stalled_share:
        parts.append(f"somebody waited for it {format_percent(memory.stalled_share)} of the minute")
    return ", ".join(parts)
