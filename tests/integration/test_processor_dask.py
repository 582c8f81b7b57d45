"""The processor on a real cluster of `distributed`, where the extra `dask` is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from sergas.errors import MissingExtraError
from sergas.optimizations.parallel_processor import ParallelProcessor

PROGRAM = """
import os
from sergas.optimizations.parallel_processor import ParallelProcessor

def double(number):
    return 2 * number

def crash_at_five(number):
    if number == 5:
        os._exit(1)
    return number

if __name__ == "__main__":
    with ParallelProcessor(2, backend="dask") as processor:
        assert processor.map(double, range(100)) == [2 * number for number in range(100)]
        outcomes = processor.map(crash_at_five, range(10), on_error="return")
        failed = {o.index: type(o.error).__name__ for o in outcomes if o.error is not None}
        assert failed == {5: "WorkerCrashedError"}, failed
        (late,) = processor.map(double, [1], timeout=1.0, on_error="return")
        assert "cannot be ended on a cluster" in str(late.error), late
    print("held")
"""


def test_a_cluster_gives_what_a_loop_gives_and_a_crash_costs_its_item(tmp_path: Path) -> None:
    """In a program of its own: a cluster starts processes that import it."""
    pytest.importorskip("distributed")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


def test_a_missing_cluster_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that brings it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        ParallelProcessor(1, backend="dask") as processor,
        pytest.raises(MissingExtraError, match=r"groundspeed\[dask\]"),
    ):
        processor.map(abs, [1])
