"""Arrays in shared memory: seen by every worker, freed once, and nothing said about it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sergas.errors import ProcessorClosedError, ProcessorValueError
from sergas.optimizations.parallel_processor import SharedArray

SHARED = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory
PROGRAM = """
from functools import partial
from pathlib import Path
import numpy as np
from sergas.optimizations.parallel_processor import ParallelProcessor, SharedArray

def fill(shared, row):
    shared.array[row] = row
    return float(shared.array[row].sum())

if __name__ == "__main__":
    with SharedArray((50, 1000), "float64") as shared:
        name = shared._memory.name
        with ParallelProcessor(2, backend="process") as processor:
            sums = processor.map(partial(fill, shared), range(50))
        assert sums == [1000.0 * row for row in range(50)], sums
        assert (shared.array == np.arange(50.0)[:, None]).all()
        assert Path("/dev/shm", name).exists()
    assert not Path("/dev/shm", name).exists()
    kept = SharedArray.copy_of([1, 2, 3])
    print(kept._memory.name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is looked for in /dev/shm")
def test_workers_write_one_array_and_it_is_freed_once(tmp_path: Path) -> None:
    """Also one that is not closed; no warning at exit, from any process."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (SHARED / done.stdout.strip()).exists()


def test_a_copy_is_a_copy() -> None:
    """Of the same shape, type and content, apart from the original."""
    source = np.arange(6, dtype=np.int16).reshape(2, 3)
    with SharedArray.copy_of(source) as shared:
        assert shared.array.dtype == source.dtype
        assert (shared.array == source).all()
        shared.array[0, 0] = 99
        assert source[0, 0] == 0


def test_what_cannot_be_shared_is_refused() -> None:
    """Objects of Python, and nothing at all."""
    with pytest.raises(ProcessorValueError, match="elements are Python objects"):
        SharedArray.copy_of(np.array([object()]))
    with pytest.raises(ProcessorValueError, match="needed at least one element"):
        SharedArray((0, 3), "float64")


def test_a_closed_array_says_so() -> None:
    """And may be closed again."""
    shared = SharedArray((2,), "float64")
    shared.close()
    shared.close()
    with pytest.raises(ProcessorClosedError, match="it is closed"):
        _ = shared.array
