import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundspeed.measure.conditions import (
    Conclusion,
    Conditions,
    Finding,
    Severity,
    System,
    conclude,
    judge,
    start_reading,
)
from groundspeed.measure.conditions.reading import describe_python, measure_clock

Examine = Callable[..., Conditions]

OK, NOTE, WARNING, BAD = Severity
CPU = "sys/devices/system/cpu"
GROUP = "sys/fs/cgroup"
MOUNTS_V1 = "33 23 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"


def finding(conditions: Conditions, name: str) -> Finding:
    """The one of that name."""
    (found,) = [finding for finding in judge(conditions) if finding.name == name]
    return found


def severities(conditions: Conditions) -> dict[str, Severity]:
    """What is not fine."""
    return {f.name: f.severity for f in judge(conditions) if f.severity is not OK}


def test_a_quiet_machine_is_fit(quiet: Any, examine: Examine) -> None:
    """Everything is known and nothing is to be done."""
    conditions = examine(quiet)
    assert severities(conditions) == {}
    assert conditions.unknown == {}
    assert conclude(judge(conditions)) is Conclusion.FIT
    assert [f.fix for f in judge(conditions) if f.fix] == []


def test_a_busy_virtual_machine_is_usable(busy: Any, examine: Examine) -> None:
    """Others' work and steal are seen on every CPU; what it does not show is unknown."""
    conditions = examine(busy)
    assert severities(conditions) == {
        "other work": WARNING,
        "steal": WARNING,
        "load average": NOTE,
        "autogroup": NOTE,
        "shared cores": NOTE,
        "virtual machine": NOTE,
        "frequency governor": NOTE,
        "turbo": NOTE,
        "heat": NOTE,
    }
    assert set(conditions.unknown) == {"governors", "turbo", "throttles"}
    assert conclude(judge(conditions)) is Conclusion.USABLE
    activity = conditions.activity
    assert activity is not None
    assert activity.busy_shares == pytest.approx((0.96, 0.60))
    assert activity.foreign_cpus == pytest.approx(1.56)
    assert activity.steal_share == pytest.approx(0.06)


def test_the_work_of_the_doctor_itself_is_not_others(busy: Any, examine: Examine) -> None:
    """What this process used is taken off."""
    used = iter([0.5, 1.5])
    activity = examine(busy, own_cpu_s=lambda: next(used)).activity
    assert activity is not None
    assert activity.foreign_cpus == pytest.approx(0.56)


def test_only_the_cpus_we_may_use_count(busy: Any, examine: Examine) -> None:
    """Others' work elsewhere is not held against ours."""
    activity = examine(busy, cpus=(1,)).activity
    assert activity is not None
    assert activity.busy_shares == pytest.approx((0.60,))
    assert activity.steal_share == pytest.approx(0.08)


QUOTAS = [
    pytest.param(
        {f"{GROUP}/user.slice/session-1.scope/cpu.max": "50000 100000\n"}, 0.5, id="v2, own group"
    ),
    pytest.param({f"{GROUP}/user.slice/cpu.max": "150000 100000\n"}, 1.5, id="v2, group above"),
    pytest.param(
        {
            "proc/self/cgroup": "0::/\n",
            f"{GROUP}/cpu.max": "200000 100000\n",
        },
        2.0,
        id="v2, container with a namespace",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/docker/4f\n0::/\n",
            "proc/self/mountinfo": "33 23 0:30 /docker/4f /sys/fs/cgroup/cpu ro - cgroup c ro,cpu\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            f"{GROUP}/cpu/cpu.cfs_quota_us": "50000\n",
            f"{GROUP}/cpu/cpu.cfs_period_us": "100000\n",
        },
        0.5,
        id="v1, container",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "proc/self/mountinfo": MOUNTS_V1,
            f"{GROUP}/cpu/cpu.cfs_quota_us": "-1\n",
            f"{GROUP}/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
        id="v1, no limit",
    ),
]


@pytest.mark.parametrize(("files", "granted"), QUOTAS)
def test_a_cpu_quota_is_found(
    files: dict[str, str | None], granted: float | None, quiet: Any, examine: Examine
) -> None:
    """Of either version, in the own group or one above, as a container sees it."""
    conditions = examine(quiet, files)
    assert conditions.quota_cpus == granted
    expected = {None: OK, 2.0: OK, 1.5: NOTE, 0.5: WARNING}[granted]
    assert finding(conditions, "CPU quota").severity is expected


def test_the_least_of_several_quotas_holds(quiet: Any, examine: Examine) -> None:
    """A group cannot have more than the one above it."""
    files = {
        f"{GROUP}/user.slice/cpu.max": "50000 100000\n",
        f"{GROUP}/user.slice/session-1.scope/cpu.max": "300000 100000\n",
    }
    assert examine(quiet, files).quota_cpus == 0.5


def test_one_cpu_is_noted(quiet: Any, examine: Examine) -> None:
    """It measures as well, but nothing can start meanwhile; all the quota there can be is one."""
    conditions = examine(quiet, {f"{GROUP}/user.slice/cpu.max": "100000 100000\n"}, cpus=(3,))
    assert severities(conditions) == {"CPUs": NOTE}
    assert finding(conditions, "CPUs").seen == "1 CPU may be used (3)"


@pytest.mark.parametrize("text", [None, "0 0 0\n", "42\n"], ids=["missing", "zeros", "short"])
def test_a_kernel_that_counts_no_delay(text: str | None, quiet: Any, examine: Examine) -> None:
    """A file of zeros is as good as none, and others' work then says what is judged instead."""
    conditions = examine(quiet, {"proc/self/schedstat": text})
    assert conditions.schedstat is False
    assert severities(conditions) == {"run-queue delay": WARNING}
    assert "CPU time is judged" in finding(conditions, "other work").effect


@pytest.mark.parametrize(
    ("governors", "driver", "severity"),
    [
        (("powersave",) * 4, "acpi-cpufreq", WARNING),
        (("powersave",) * 4, "intel_pstate", NOTE),
        (("performance", "powersave", "performance", "performance"), "acpi-cpufreq", WARNING),
        (("schedutil", "performance", "ondemand", "performance"), "acpi-cpufreq", NOTE),
        (("performance",) * 4, "amd-pstate-epp", OK),
    ],
)
def test_the_worst_governor_decides(
    governors: tuple[str, ...], driver: str, severity: Severity, quiet: Any, examine: Examine
) -> None:
    """Held at the lowest frequency, following the load, or held at the highest."""
    files: dict[str, str | None] = {}
    for cpu, governor in enumerate(governors):
        files[f"{CPU}/cpu{cpu}/cpufreq/scaling_governor"] = f"{governor}\n"
        files[f"{CPU}/cpu{cpu}/cpufreq/scaling_driver"] = f"{driver}\n"
    found = finding(examine(quiet, files), "frequency governor")
    assert found.severity is severity
    assert found.seen == f"{', '.join(sorted(set(governors)))} by {driver}"
    assert bool(found.fix) is (severity is not OK)


@pytest.mark.parametrize(
    ("switch", "text", "fix"),
    [
        (f"{CPU}/intel_pstate/no_turbo", "0\n", "echo 1 | sudo tee"),
        (f"{CPU}/cpufreq/boost", "1\n", "echo 0 | sudo tee"),
    ],
)
def test_turbo_is_switched_off_where_it_is(
    switch: str, text: str, fix: str, quiet: Any, examine: Examine
) -> None:
    """Two drivers, two files, opposite meanings."""
    files: dict[str, str | None] = {f"{CPU}/intel_pstate/no_turbo": None, switch: text}
    found = finding(examine(quiet, files), "turbo")
    assert (found.severity, found.fix) == (NOTE, f"{fix} /{switch}")


@pytest.mark.parametrize(
    ("files", "in_effect"),
    [
        ({"proc/self/cgroup": "0::/\n"}, True),
        ({"proc/self/cgroup": "0::/\n", f"{GROUP}/cpu.weight": "100\n"}, False),
        ({f"{GROUP}/user.slice/cpu.weight": "100\n"}, False),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "proc/self/mountinfo": MOUNTS_V1,
            },
            True,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/jobs\n",
                "proc/self/mountinfo": MOUNTS_V1,
            },
            False,
        ),
        ({"proc/self/mountinfo": ""}, True),
    ],
    ids=["root", "namespace", "group", "v1 root", "v1 group", "no groups"],
)
def test_autogroup_counts_only_outside_of_cpu_groups(
    files: dict[str, str | None], in_effect: bool, quiet: Any, examine: Examine
) -> None:
    """Switched on, it decides for processes that no CPU group decides for."""
    on = {"proc/sys/kernel/sched_autogroup_enabled": "1\n"}
    assert examine(quiet, on | files).autogroup is in_effect
    assert examine(quiet, files).autogroup is False


def test_siblings_are_told_with_a_way_round(quiet: Any, examine: Examine) -> None:
    """One CPU of each core is named in a command, if two cores are left."""
    files: dict[str, str | None] = {
        f"{CPU}/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}\n"
        for cpu in range(4)
    }
    found = finding(examine(quiet, files), "shared cores")
    assert found.seen == "CPUs that share a core: 0 and 2; 1 and 3"
    assert found.fix == "taskset -c 0,1 groundspeed check"
    alone = finding(examine(quiet, files, cpus=(0, 2)), "shared cores")
    assert "taskset" not in alone.fix


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"proc/vmstat": "pswpin 0\npswpout 0\n"}, WARNING),
        (
            {"proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 4 kB\nSwapTotal: 0\nSwapFree: 0\n"},
            WARNING,
        ),
        (
            {
                "proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 50 kB\n"
                "SwapTotal: 900000 kB\nSwapFree: 0 kB\n"
            },
            NOTE,
        ),
        ({"proc/pressure/memory": "some avg10=3.00 avg60=2.50 avg300=1.00 total=9\n"}, WARNING),
        ({"proc/pressure/memory": None}, OK),
    ],
    ids=["pages move", "little left", "swap in use", "stalls", "no PSI"],
)
def test_short_memory_is_seen(
    files: dict[str, str | None], severity: Severity, quiet: Any, examine: Examine
) -> None:
    """By pages moved while watching, by what is left, by stalls; swap that lies still is a note."""
    quiet.later["proc/vmstat"] = "pswpin 12\npswpout 30\n"
    assert finding(examine(quiet, files), "memory").severity is severity


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"proc/sys/kernel/randomize_va_space": "0\n"}, WARNING),
        ({"proc/sys/kernel/randomize_va_space": "1\n"}, NOTE),
        ({"proc/self/personality": "00040000\n"}, WARNING),
        ({"proc/self/personality": None}, OK),
    ],
    ids=["off", "no heap", "setarch -R", "not told"],
)
def test_a_fixed_layout_is_seen(
    files: dict[str, str | None], severity: Severity, quiet: Any, examine: Examine
) -> None:
    """Switched off for the system or for this process."""
    assert finding(examine(quiet, files), "address layout").severity is severity


def test_heat_is_worse_while_it_lasts(quiet: Any, examine: Examine) -> None:
    """Slowed once upon a time is a note, slowed while watched a warning."""
    counter = f"{CPU}/cpu2/thermal_throttle/core_throttle_count"
    assert finding(examine(quiet, {counter: "7\n"}), "heat").severity is NOTE
    quiet.later[counter] = "9\n"
    found = finding(examine(quiet, {counter: "7\n"}), "heat")
    assert (found.severity, found.seen) == (
        WARNING,
        "slowed 9 times since the start, 2 of them just now",
    )


ARM = {"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"}


@pytest.mark.parametrize(
    ("files", "hypervisor"),
    [
        ({}, ""),
        (ARM, None),
        (ARM | {"proc/device-tree/hypervisor/compatible": "xen"}, "of a kind it does not name"),
        (ARM | {"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "QEMU"),
        ({"proc/cpuinfo": "flags : tsc hypervisor\n"}, "of a kind it does not name"),
    ],
    ids=["real", "does not tell", "device tree", "firmware", "flag"],
)
def test_a_virtual_machine_is_told_by_its_signs(
    files: dict[str, str | None], hypervisor: str | None, quiet: Any, examine: Examine
) -> None:
    """By the processor's flag, by what the firmware says, or not at all."""
    conditions = examine(quiet, files)
    assert conditions.hypervisor == hypervisor
    found = finding(conditions, "virtual machine")
    assert (found.severity, found.known) == (
        OK if hypervisor == "" else NOTE,
        hypervisor is not None,
    )


@pytest.mark.parametrize(
    ("files", "fact", "reason"),
    [
        ({"proc/stat": "intr 1 0 0\n"}, "activity", "/proc/stat: not understood: it names no CPU"),
        (
            {f"{GROUP}/user.slice/cpu.max": "50000 0\n"},
            "quota_cpus",
            "/sys/fs/cgroup/user.slice/cpu.max: not understood: its period is 0 microseconds",
        ),
        ({"proc/vmstat": None, "proc/loadavg": None}, "load_average_1m", "/proc/loadavg: No such"),
        ({"proc/meminfo": "MemTotal: 5 kB\n"}, "memory", "/proc/meminfo: without MemAvailable, "),
    ],
)
def test_the_reason_names_the_file(
    files: dict[str, str | None], fact: str, reason: str, quiet: Any, examine: Examine
) -> None:
    """As it is called on the machine, with what is wrong with it."""
    quiet.later.clear()
    assert examine(quiet, files).unknown[fact].startswith(reason)


def test_a_debug_build_is_no_measure(quiet: Any, examine: Examine) -> None:
    """It is a warning, and the way out is another build."""
    conditions = examine(quiet)
    debug = replace(conditions, python=replace(conditions.python, debug=True))
    found = finding(debug, "Python")
    assert (found.severity, found.fix) == (WARNING, "use a release build of Python")


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({}, ""),
        ({".dockerenv": ""}, "docker, says /.dockerenv"),
        ({"run/.containerenv": ""}, "podman, says /run/.containerenv"),
        ({"run/systemd/container": "lxc\n"}, "lxc, says /run/systemd/container"),
        ({"proc/self/cgroup": "0::/kubepods/pod1\n"}, "kubepods, says /proc/self/cgroup"),
    ],
)
def test_a_container_is_told_by_its_signs(
    files: dict[str, str | None], container: str, quiet: Any, examine: Examine
) -> None:
    """It is no fault in itself."""
    conditions = examine(quiet, files)
    assert conditions.container == container
    assert finding(conditions, "container").severity is OK


def test_nothing_to_read_is_nothing_bad(tmp_path: Path, examine: Examine, quiet: Any) -> None:
    """An empty tree makes every fact of it unknown, each with a reason, none above a note."""
    conditions = examine(quiet, {**dict.fromkeys(quiet.files)})
    assert set(conditions.unknown) == {
        "activity", "load_average_1m", "governors", "turbo", "throttles", "autogroup", "quota_cpus",
        "schedstat", "hypervisor", "container", "siblings", "memory", "randomisation",
    }  # fmt: skip
    assert all(conditions.unknown.values())
    for found in judge(conditions):
        assert found.known or found.severity is NOTE
    assert conclude(judge(conditions)) is Conclusion.FIT


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # they are not changed
)
@given(data=st.data())
def test_a_damaged_file_is_nothing_bad(data: st.DataObject, busy: Any, examine: Examine) -> None:
    """Whatever a file holds, the rest is read, and what cannot be understood is unknown."""
    path = data.draw(st.sampled_from(sorted(p for p, text in busy.files.items() if text)))
    text = data.draw(
        st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(r"(-?[0-9 :./,a-c]*\n?)*")
    )
    conditions = examine(busy, {path: text})
    for found in judge(conditions):
        assert found.known or found.severity is NOTE
        assert found.seen or found.name == "frequency governor"


@pytest.mark.parametrize(("platform", "fork"), [("darwin", True), ("win32", False)])
def test_other_systems_are_examined_as_far_as_they_can_be(
    platform: str, fork: bool, tmp_path: Path
) -> None:
    """What needs Linux is unknown and says so; without fork there is nothing to hope for."""
    reading = start_reading(System(root=tmp_path, platform=platform, fork=fork, cpus=()))
    conditions = reading.finish()
    assert conditions.unknown["autogroup"] == f"groundspeed does not read it on {platform}"
    assert finding(conditions, "run-queue delay").seen == "only Linux counts it"
    assert conditions.memory is not None
    assert conditions.cpu_count == os.cpu_count()
    assert finding(conditions, "fork").severity is (OK if fork else BAD)
    assert finding(conditions, "steal").known is False
    expected = Conclusion.USABLE if fork else Conclusion.UNFIT
    assert conclude(judge(conditions)) is expected


def test_this_machine_can_be_examined() -> None:
    """With nothing given, the real one is read, and it can fork and has git."""
    conditions = start_reading().finish()
    assert conditions.platform == sys.platform
    assert conditions.activity is not None
    assert conditions.git_version
    assert conditions.clock.read_s > 0
    assert conclude(judge(conditions)) is not Conclusion.UNFIT


def test_without_git_nothing_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing git is bad; one that fails is unknown, with what it said."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    missing = start_reading().finish()
    assert (missing.git_version, finding(missing, "git").severity) == (None, BAD)
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\necho no licence >&2\nexit 69\n", "utf-8")
    git.chmod(stat.S_IRWXU)
    failing = finding(start_reading().finish(), "git")
    assert (failing.severity, failing.known) == (NOTE, False)
    assert "no licence" in failing.seen


def clock_of(times: list[int]) -> Callable[[], int]:
    """A clock that shows these times, one a read."""
    return iter(times).__next__


@pytest.mark.parametrize(
    ("times", "step_s", "read_s"),
    [
        ([0, 50, 100, 190, 240], 50e-9, 50e-9),
        ([0, 0, 0, 1000, 1000], 1e-6, 250e-9),
        ([7, 7, 7, 7, 7], None, 0.0),
    ],
    ids=["fine", "coarse", "stands still"],
)
def test_the_clock_is_measured_by_reading_it(
    times: list[int], step_s: float | None, read_s: float
) -> None:
    """The smallest step, and the median cost or, where most reads see no step, the mean."""
    clock = measure_clock(clock_of(times), "tsc", len(times))
    assert (clock.step_s, clock.read_s) == (step_s, read_s)


@pytest.mark.parametrize(
    ("step_ns", "severity"), [(50, OK), (700, NOTE), (6000, WARNING), (0, WARNING)]
)
def test_a_dear_clock_is_seen(
    step_ns: int, severity: Severity, quiet: Any, examine: Examine
) -> None:
    """By what a read costs; one that stands still is no clock."""
    now = {"ns": 0}

    def clock() -> int:
        now["ns"] += step_ns
        return now["ns"]

    assert finding(examine(quiet, clock_ns=clock), "clock").severity is severity


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({}, ()),
        ({"PYTHONMALLOC": "pymalloc", "PYTHONDEVMODE": ""}, ()),
        ({"PYTHONMALLOC": "debug"}, ("PYTHONMALLOC=debug",)),
        (
            {"PYTHONTRACEMALLOC": "5", "PYTHONDEVMODE": "1"},
            ("PYTHONDEVMODE=1", "PYTHONTRACEMALLOC=5"),
        ),
    ],
)
def test_variables_that_slow_python_are_named(
    environ: Mapping[str, str], variables: tuple[str, ...], quiet: Any, examine: Examine
) -> None:
    """Those in force, and how to be rid of them."""
    assert describe_python(environ).variables == variables
    found = finding(examine(quiet, environ=environ), "Python")
    assert found.severity is (WARNING if variables else OK)
    assert all(text.partition("=")[0] in found.fix for text in variables)
