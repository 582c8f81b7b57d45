"""A chunk worked off elsewhere in one go: for workers that give a result back once, at the end."""

import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sergas.errors import NotPicklableError
from sergas.optimizations.parallel_processor._chunk import Chunk

__all__ = ["Ended", "keep_all", "work_apart", "work_packed"]

Ended: TypeAlias = tuple[Any, BaseException | None, float]
"""Value, error and seconds of one item."""


def work_apart(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Ended]:
    """Call the function with each item and keep whatever comes of it."""
    ended: list[Ended] = []
    for item in items:
        began_s = time.perf_counter()
        try:
            value, failure = function(item), None
        except BaseException as error:  # noqa: BLE001 - an item's error is its own
            value, failure = None, error
        ended.append((value, failure, time.perf_counter() - began_s))
    return ended


def work_packed(packed: bytes) -> bytes:
    """As `work_apart`, from bytes to bytes; what cannot travel back is told in its place."""
    function, items = pickle.loads(packed)  # noqa: S301 - from our own process
    return pickle.dumps([_sendable(ended) for ended in work_apart(function, items)])


def keep_all(chunk: Chunk, places: Sequence[int], ended: Sequence[Ended]) -> None:
    """Put what came of items where it belongs."""
    for place, (value, error, elapsed_s) in zip(places, ended, strict=True):
        if error is None:
            chunk.values[place] = value
        else:
            chunk.errors[place] = error
        if chunk.elapsed_s is not None:
            chunk.elapsed_s[place] = elapsed_s


def _sendable(ended: Ended) -> Ended:
    try:
        pickle.loads(pickle.dumps(ended))  # noqa: S301 - just made; many errors do not load
    except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
        what = ended[0] if ended[1] is None else ended[1]
        return (
            None,
            NotPicklableError(
                f"a {type(what).__qualname__} cannot be sent back from its worker ({cause}); "
                "return plain data instead"
            ),
            ended[2],
        )
    return ended
