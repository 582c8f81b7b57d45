"""What only processes can do wrong: die, and not understand each other."""

import multiprocessing
import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sergas.parallel_processor import jobs

from sergas.errors import NotPicklableError, WorkerCrashedError
from sergas.optimizations.parallel_processor import ParallelProcessor


@pytest.fixture(scope="module")
def processor() -> Iterator[ParallelProcessor]:
    """Two worker processes that survive, or are replaced after, whatever the tests do."""
    with ParallelProcessor(2, backend="process") as processor:
        yield processor


def test_items_run_in_other_processes(processor: ParallelProcessor) -> None:
    """At most as many as there are workers, and never here."""
    where = set(processor.map(jobs.process_id, range(100)))
    assert 1 <= len(where) <= 2
    assert os.getpid() not in where


@pytest.mark.parametrize("crashes", [[50], [0], [99], [10, 11, 12, 13, 14, 15], [0, 50, 99]])
def test_crash_costs_its_item_only_and_nothing_runs_twice(
    processor: ParallelProcessor, tmp_path: Path, crashes: list[int]
) -> None:
    """Of a hundred items those that kill their worker fail, the others do not notice."""
    log = tmp_path / "log"
    numbers = [-number - 100 if number in crashes else number for number in range(100)]
    outcomes = processor.map(
        jobs.crash_when_negative, [(str(log), n) for n in numbers], on_error="return"
    )
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert [outcome.index for outcome in failed] == crashes
    for outcome in failed:
        assert isinstance(outcome.error, WorkerCrashedError)
        assert f"item {outcome.index}: its worker process died (exit code 3)" in str(outcome.error)
    assert sorted(map(int, log.read_text().split())) == sorted(numbers)
    assert [o.value for o in outcomes if o.error is None] == [n for n in numbers if n >= 0]


def test_crash_by_signal_is_named(processor: ParallelProcessor, tmp_path: Path) -> None:
    """The kernel ends processes when memory runs out; the message shows the signal."""
    with pytest.raises(WorkerCrashedError, match="killed by signal 9, Killed"):
        processor.map(jobs.crash_when_negative, [(str(tmp_path / "log"), -9)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the worker forks a child of its own")
def test_crash_is_seen_though_a_child_keeps_the_connection_open(
    processor: ParallelProcessor, tmp_path: Path
) -> None:
    """The process is watched, not only what it sends."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outcomes = processor.map(
        jobs.crash_with_child, [(str(pipe), n) for n in range(4)], on_error="return"
    )
    with pipe.open("w"):  # lets the child go, which was there until now
        assert [outcome.value for outcome in outcomes] == [0, None, 2, 3]
    assert isinstance(outcomes[1].error, WorkerCrashedError)


def test_worker_that_died_idle_is_replaced(processor: ParallelProcessor) -> None:
    """No item is blamed for what happened between calls."""
    processor.map(jobs.double, range(10))
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    assert processor.map(jobs.double, range(10)) == [2 * number for number in range(10)]


@pytest.mark.parametrize("name", ["<lambda>", "local", "ParallelProcessor.map"])
def test_function_that_cannot_travel_is_named_with_the_remedy(
    processor: ParallelProcessor, name: str
) -> None:
    """Before anything is read or started, and also when there is nothing to do."""

    def local(number: int) -> int:
        return number

    functions: dict[str, Any] = {
        "<lambda>": lambda number: number,
        "local": local,
        "ParallelProcessor.map": processor.map,
    }
    with pytest.raises(NotPicklableError, match=rf'{name} cannot be sent .* use backend="thread"'):
        processor.map(functions[name], [])


def test_function_the_worker_cannot_import_fails_each_item(
    processor: ParallelProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pickles here by name, and there is no such name over there."""
    module = types.ModuleType("only_here")
    exec("def double(number): return 2 * number", module.__dict__)  # noqa: S102 - a module not on disk
    monkeypatch.setitem(sys.modules, "only_here", module)
    outcomes = processor.map(module.double, [1, 2], on_error="return")
    for outcome in outcomes:
        assert isinstance(outcome.error, NotPicklableError)
        assert "cannot be loaded in the worker process" in str(outcome.error)
        assert "only_here" in str(outcome.error)
    assert processor.map(jobs.double, [1]) == [2]


def test_items_that_cannot_travel_keep_their_places(processor: ParallelProcessor) -> None:
    """Also within a chunk, whose other items go and come back."""
    items = [threading.Lock() if number % 7 == 3 else number for number in range(300)]
    outcomes = processor.map(jobs.none_of, items, on_error="return")
    assert [outcome.index for outcome in outcomes] == list(range(300))
    failed = [outcome.index for outcome in outcomes if outcome.error is not None]
    assert failed == [number for number in range(300) if number % 7 == 3]


def test_item_that_cannot_travel_fails_alone(processor: ParallelProcessor) -> None:
    """Whether it does not pickle here or does not load over there."""
    with Path(__file__).open() as file:
        outcomes = processor.map(jobs.none_of, [1, file, jobs.Unreadable(), 2], on_error="return")
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        NotPicklableError,
        NotPicklableError,
        type(None),
    ]
    assert "item 1: a TextIOWrapper cannot be sent" in str(outcomes[1].error)


def test_what_cannot_travel_back_fails_alone(processor: ParallelProcessor) -> None:
    """Results and errors that do not pickle or do not load are told apart by their messages."""
    kinds = ["fine", "result", "unreadable", "unpicklable", "unloadable", "fine"]
    outcomes = processor.map(jobs.fail_to_return, kinds, on_error="return")
    assert [outcome.value for outcome in outcomes] == ["fine", *[None] * 4, "fine"]
    messages = [str(outcome.error) for outcome in outcomes[1:5]]
    for outcome, expected in zip(
        outcomes[1:5],
        [
            "its result, a lock, cannot be sent back",
            "its result cannot be loaded back",
            "item 3 raised tests.unit.sergas.parallel_processor.jobs.UnpicklableError: locked",
            "jobs.UnloadableError: nothing at nowhere, which cannot be sent back",
        ],
        strict=True,
    ):
        assert isinstance(outcome.error, NotPicklableError)
        assert expected in str(outcome.error), messages


def test_error_from_a_worker_shows_where_it_was_raised(processor: ParallelProcessor) -> None:
    """The traceback stays behind; its text comes along as a note."""
    error = processor.map(jobs.inverse, [0], on_error="return")[0].error
    assert error is not None
    assert "in worker process" in error.__notes__[0]
    assert "return 1 / number" in error.__notes__[0]


def test_worker_processes_can_have_workers(processor: ParallelProcessor) -> None:
    """Nesting needs no special care."""
    assert processor.map(jobs.nested_sum, [4]) == [12]


def test_nothing_starts_for_nothing_and_nothing_stays_after_close() -> None:
    """Processes come with the first item and go with close."""
    before = set(multiprocessing.active_children())
    with ParallelProcessor(2, backend="process") as processor:
        assert processor.map(jobs.double, []) == []
        assert set(multiprocessing.active_children()) == before
        processor.map(jobs.double, range(4))
        assert set(multiprocessing.active_children()) > before
    assert set(multiprocessing.active_children()) == before


def run_script(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    path.write_text(text)
    return subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=60, check=False
    )


def test_program_that_forgets_to_close_ends_all_the_same(tmp_path: Path) -> None:
    """Quietly, with all its workers."""
    done = run_script(
        tmp_path / "forgetful.py",
        "from sergas.optimizations.parallel_processor import ParallelProcessor\n"
        "def double(number): return 2 * number\n"
        'if __name__ == "__main__":\n'
        '    processor = ParallelProcessor(2, backend="process")\n'
        "    print(processor.map(double, range(4)))\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 2, 4, 6]\n", "")


def test_unprotected_program_is_told_what_to_do(tmp_path: Path) -> None:
    """Its workers import it and would start workers themselves; nothing hangs."""
    done = run_script(
        tmp_path / "unprotected.py",
        "from sergas.optimizations.parallel_processor import ParallelProcessor\n"
        'ParallelProcessor(1, backend="process").map(abs, range(4))\n',
    )
    assert done.returncode == 1
    assert "ProcessorError: parallel processor: a worker process ended before" in done.stderr
    assert (
        'protect the code that starts your program with if __name__ == "__main__":' in done.stderr
    )
