"""How busy the machine is, and how much of that is this process and those it has started."""

import contextlib
from dataclasses import dataclass

import psutil

__all__ = ["Occupancy", "machine_use_s", "occupancy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """CPU seconds, of all CPUs together: counts since some moment, or the difference of two.

    Attributes:
        machine_s: That there were.
        busy_s: In which somebody used them.
        own_s: In which this process or one that it has started did.
    """

    machine_s: float
    busy_s: float
    own_s: float

    def since(self, earlier: "Occupancy") -> "Occupancy":
        """What came after an earlier reading."""
        return Occupancy(
            machine_s=self.machine_s - earlier.machine_s,
            busy_s=self.busy_s - earlier.busy_s,
            own_s=self.own_s - earlier.own_s,
        )

    @property
    def busy_share(self) -> float:
        """How much of the machine was used, 0 to 1; 0 where no time has passed."""
        return self.busy_s / self.machine_s if self.machine_s > 0.0 else 0.0

    @property
    def others_share(self) -> float:
        """How much of the machine others used, 0 to 1."""
        return max(0.0, self.busy_s - self.own_s) / self.machine_s if self.machine_s > 0.0 else 0.0


def occupancy() -> Occupancy:
    """Read the counts; finding the processes takes some milliseconds."""
    machine_s, busy_s = machine_use_s()
    return Occupancy(machine_s=machine_s, busy_s=busy_s, own_s=_own_s())


def machine_use_s() -> tuple[float, float]:
    """CPU seconds of all CPUs since the machine began: that there were, and that were used."""
    times = psutil.cpu_times()._asdict()
    # Guests are counted in user and nice already.
    counted = {name: value for name, value in times.items() if not name.startswith("guest")}
    machine_s = sum(counted.values())
    return machine_s, machine_s - counted["idle"] - counted.get("iowait", 0.0)


def _own_s() -> float:
    """Of the tree; a child that has ended is counted in its parent's sums."""
    root = psutil.Process()
    total_s = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total_s += sum(process.cpu_times()[:4])
    return total_s
