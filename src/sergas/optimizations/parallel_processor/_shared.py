"""Arrays that worker processes read and write where they are, instead of a copy each."""

import weakref
from multiprocessing import shared_memory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sergas.errors import ProcessorClosedError, ProcessorValueError
from sergas.optimizations.parallel_processor._tray import attached_memory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["SharedArray"]


class SharedArray:
    """A NumPy array in shared memory; it pickles by name, so that sending it costs a few bytes.

    The one that made it owns the memory and frees it when it is closed, or when nobody holds it any
    more; in worker processes it is attached. Elements that hold Python objects cannot be shared.

        with SharedArray.copy_of(matrix) as shared:
            processor.map(partial(row_sum, shared), range(len(matrix)))

    Attributes:
        array: The array itself; not to be used after `close`.
    """

    _array: "np.ndarray[Any, np.dtype[Any]] | None"

    def __init__(self, shape: tuple[int, ...], dtype: "npt.DTypeLike") -> None:
        """Make an array of zeros.

        Raises:
            ProcessorValueError: If the type holds Python objects, or the array has no element.
        """
        import numpy as np

        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        if kind.hasobject:
            raise ProcessorValueError(
                f"SharedArray: got dtype {kind}, whose elements are Python objects; needed "
                "numbers, times or text of fixed length"
            )
        if size <= 0:
            raise ProcessorValueError(
                f"SharedArray: got shape {shape}, needed at least one element"
            )
        self._open(shared_memory.SharedMemory(create=True, size=size), shape, kind, is_owner=True)

    @classmethod
    def copy_of(cls, array: "npt.ArrayLike") -> "SharedArray":
        """Share a copy of an array."""
        import numpy as np

        source = np.asarray(array)
        shared = cls(source.shape, source.dtype)
        shared.array[...] = source
        return shared

    def close(self) -> None:
        """Let go of the memory; the owner frees it. Harmless when repeated."""
        self._array = None
        self._finalize()

    @property
    def array(self) -> "np.ndarray[Any, np.dtype[Any]]":
        """The array.

        Raises:
            ProcessorClosedError: If it was closed.
        """
        if self._array is None:
            raise ProcessorClosedError("SharedArray: it is closed; use its array before that")
        return self._array

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # typing.override came with Python 3.12.
    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[explicit-override]
        return _attached, (self._memory.name, self.array.shape, self.array.dtype.str)

    def _open(
        self,
        memory: shared_memory.SharedMemory,
        shape: tuple[int, ...],
        dtype: "np.dtype[Any]",
        *,
        is_owner: bool,
    ) -> None:
        import numpy as np

        self._memory = memory
        self._array = np.ndarray(shape, dtype=dtype, buffer=memory.buf)
        self._finalize = weakref.finalize(self, _let_go, memory, is_owner)


def _attached(name: str, shape: tuple[int, ...], dtype: str) -> SharedArray:
    """The array of that name, in a process that does not own it."""
    import numpy as np

    shared = SharedArray.__new__(SharedArray)
    shared._open(attached_memory(name), shape, np.dtype(dtype), is_owner=False)  # noqa: SLF001 - its own
    return shared


def _let_go(memory: shared_memory.SharedMemory, is_owner: bool) -> None:
    try:
        memory.close()
    except BufferError:
        # Somebody still holds a view of it; the mapping ends with that view.
        return
    finally:
        if is_owner:
            memory.unlink()
