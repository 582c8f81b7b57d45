import subprocess
import sys
import time

import pytest

from groundspeed.measure.occupancy import Occupancy, machine_use_s, occupancy

RESOLUTION_S = 0.05  # the kernel counts in hundredths, of each process and of the whole
WORK = "import time\nwhile time.process_time() < 0.4: pass\n"


def used(machine_s: float, busy_s: float, own_s: float) -> Occupancy:
    """A reading."""
    return Occupancy(machine_s=machine_s, busy_s=busy_s, own_s=own_s)


def test_the_difference_of_two_readings_is_what_came_between() -> None:
    """Count by count."""
    assert used(30.0, 12.0, 5.0).since(used(10.0, 4.0, 3.0)) == used(20.0, 8.0, 2.0)


@pytest.mark.parametrize(
    ("reading", "busy", "others"),
    [
        (used(20.0, 8.0, 2.0), 0.4, 0.3),
        (used(20.0, 20.0, 20.0), 1.0, 0.0),
        (used(20.0, 20.0, 0.0), 1.0, 1.0),
        (used(20.0, 8.0, 8.01), 0.4, 0.0),  # the two are not read at the same instant
        (used(0.0, 0.0, 0.0), 0.0, 0.0),
    ],
)
def test_shares_are_of_the_whole_machine(reading: Occupancy, busy: float, others: float) -> None:
    """From 0 to 1, and 0 where no time has passed."""
    assert (reading.busy_share, reading.others_share) == pytest.approx((busy, others))


def test_work_of_this_process_is_its_own() -> None:
    """And the machine was busy for as long."""
    before = occupancy()
    ends_s = time.process_time() + 0.4
    while time.process_time() < ends_s:
        pass
    found = occupancy().since(before)
    assert found.own_s >= 0.4 - RESOLUTION_S
    assert found.busy_s >= 0.4 - RESOLUTION_S
    assert found.machine_s >= found.busy_s


def test_work_of_a_process_it_started_is_its_own_when_that_runs_and_when_it_has_ended() -> None:
    """A service under test is not somebody else."""
    before = occupancy()
    script = f"{WORK}print('done', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        running = occupancy().since(before)
        child.communicate(b"\n")
    ended = occupancy().since(before)
    assert running.own_s >= 0.4 - RESOLUTION_S
    assert ended.own_s >= running.own_s - RESOLUTION_S


@pytest.mark.skipif(sys.platform == "win32", reason="nobody adopts processes there")
def test_work_of_a_process_that_left_the_tree_is_of_others() -> None:
    """Whoever is nobody's child here is somebody else: it cannot be told from other programs."""
    busy = f"{WORK}import sys; sys.stdin.read()"
    leave = (
        "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE,"
        " start_new_session=True)"
    )
    before = occupancy()
    python = (sys.executable, "-c")
    subprocess.run([*python, leave, *python, busy], check=True)
    ends_s = time.monotonic() + 30.0
    while occupancy().since(before).busy_s < 0.4 and time.monotonic() < ends_s:
        time.sleep(0.05)
    found = occupancy().since(before)
    assert found.busy_s >= 0.4
    assert found.own_s < found.busy_s


def test_the_machine_has_as_much_time_as_it_has_cpus() -> None:
    """What was used is no more than there was, and both only grow."""
    first, second = machine_use_s(), machine_use_s()
    for there_s, used_s in (first, second):
        assert 0.0 < used_s <= there_s
    assert second[0] >= first[0]
