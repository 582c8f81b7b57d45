"""Marks around a sample that callgrind sees: two functions of the C library that nobody else calls.

valgrind is started with `--zero-before` of the one and `--dump-before` of the other (see
`measure.instructions.valgrind`), so what a dump holds is what was executed between the two. Neither
function does anything, and both go by names that any C library has, so nothing need be compiled.
"""

import os

from .clocks import Clocks, Reading

__all__ = ["Marks"]

_NO_TIME: Reading = dict.fromkeys(("wall_ns", "cpu_ns", "main_ns", "delay_ns", "clean_ns"), 0)


class Marks(Clocks):
    """In the place of clocks: says where a sample begins and ends, and reads no time.

    Attributes:
        dumps: How many this process has made valgrind write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dumps = 0
        # Bound here: what looks them up would be counted.
        self._zero, self._dump = os.sched_get_priority_min, os.sched_get_priority_max

    # typing.override came with Python 3.12.
    def start(self) -> None:  # type: ignore[explicit-override]
        """Begin to count."""
        self._zero(os.SCHED_OTHER)

    def stop(self) -> Reading:  # type: ignore[explicit-override]
        """Write down what was counted since."""
        self._dump(os.SCHED_OTHER)
        self.dumps += 1
        return _NO_TIME
