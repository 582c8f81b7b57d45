"""Laws of the journal: what was finished is not done again, whatever became of the file."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.errors import CheckpointError
from sergas.optimizations.parallel_processor import ParallelProcessor
from sergas.optimizations.parallel_processor._checkpoint import Checkpoint

law = settings(deadline=None, max_examples=60)


def recorded(path: Path, items: list[int], called: list[int], *, chunk: int = 3) -> list[int]:
    """Square each item, with the journal; what was called is noted."""

    def square(number: int) -> int:
        called.append(number)
        if number < 0:
            raise ValueError(number)
        return number * number

    square.__qualname__ = "square"
    with ParallelProcessor(1, backend="serial") as processor:
        return processor.map(square, items, checkpoint=path, on_error="skip", chunk=chunk)


@law
@given(
    items=st.lists(st.integers(-2, 9), max_size=40),
    cut=st.floats(0.0, 1.0),
    chunk=st.integers(1, 9),
)
def test_any_tear_costs_only_what_lies_behind_it(items: list[int], cut: float, chunk: int) -> None:
    """The file is cut anywhere: the next call gives the same results and calls the rest only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        first: list[int] = []
        results = recorded(path, items, first, chunk=chunk)
        assert first == items
        whole = path.read_bytes()
        path.write_bytes(whole[: round(cut * len(whole))])
        second: list[int] = []
        assert recorded(path, items, second, chunk=chunk) == results
        assert len(second) <= len(items)
        if cut == 1.0:
            assert second == [number for number in items if number < 0]
        third: list[int] = []
        assert recorded(path, items, third, chunk=chunk) == results
        assert third == [number for number in items if number < 0]


@law
@given(items=st.lists(st.integers(0, 9), min_size=1, max_size=30), data=st.data())
def test_an_item_that_changed_is_done_again(items: list[int], data: st.DataObject) -> None:
    """Only that one, and its new value stands."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        recorded(path, items, [])
        place = data.draw(st.integers(0, len(items) - 1))
        changed = [*items[:place], items[place] + 100, *items[place + 1 :]]
        called: list[int] = []
        assert recorded(path, changed, called) == [number * number for number in changed]
        assert called == [changed[place]]
        called.clear()
        assert recorded(path, changed, called) == [number * number for number in changed]
        assert called == []


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """It is refused, and not a byte of it changes."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes, not a journal\n")
    with pytest.raises(CheckpointError, match="it is not a checkpoint"):
        recorded(path, [1], [])
    assert path.read_text() == "my notes, not a journal\n"


def test_two_calls_cannot_write_one_journal(tmp_path: Path) -> None:
    """The second is told."""
    with (
        Checkpoint(tmp_path / "journal", "f"),
        pytest.raises(CheckpointError, match="another call is writing it"),
    ):
        Checkpoint(tmp_path / "journal", "f")


def test_what_cannot_be_written_down_is_told(tmp_path: Path) -> None:
    """An item without a fingerprint, a result that does not pickle."""
    with ParallelProcessor(1, backend="serial") as processor:
        with pytest.raises(CheckpointError, match="the result of item 0, a function, cannot be"):
            processor.map(lambda _: lambda: 1, [1], checkpoint=tmp_path / "results")
        with pytest.raises(CheckpointError, match="item 0, a function, cannot be told from others"):
            processor.map(lambda _: 1, [lambda: 1], checkpoint=tmp_path / "items")
