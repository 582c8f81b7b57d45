"""Random numbers of our own."""

import os
import random
import struct

import pytest

from sergas.chance import draw


def test_what_a_program_has_seeded_is_not_disturbed() -> None:
    """Numbers drawn in between leave Python's own source where it was."""
    before = random.getstate()
    numbers = {draw() for _ in range(100)}
    assert len(numbers) == 100
    assert all(0.0 <= number < 1.0 for number in numbers)
    assert random.getstate() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_of_a_fork_do_not_draw_alike() -> None:
    """Two workers forked from one process have jitter of their own."""
    drawn = set()
    for _ in range(3):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, struct.pack("d", draw()))
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        drawn.add(os.read(reading, 8))
        os.close(reading)
    assert len(drawn) == 3
