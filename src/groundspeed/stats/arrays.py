"""The array types of the package and the checks at its doors."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError

__all__ = [
    "BoolArray",
    "Families",
    "FloatArray",
    "IntArray",
    "family_vector",
    "finite_matrix",
    "finite_vector",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
# A small integer for each row: which rows have noise of one kind.
Families: TypeAlias = Sequence[int] | IntArray


def finite_vector(values: npt.ArrayLike, *, subject: str) -> FloatArray:
    """Give `values` as float64, shape (n,), n >= 1, all finite.

    Args:
        values: Numbers in any unit.
        subject: What they are, as the error message shall call them.

    Raises:
        TooFewSamplesError: If there is no value.
        ValueError: If the shape is not (n,) or a value is NaN or infinite.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{subject}: got shape {vector.shape}, needed one dimension")
    if not vector.size:
        raise TooFewSamplesError(f"{subject}: got none, needed at least 1; measure some first")
    _refuse_non_finite(vector, subject)
    return vector


def finite_matrix(values: npt.ArrayLike, *, subject: str, columns_min: int) -> FloatArray:
    """Give `values` as float64 in C order, shape (rows, columns), rows >= 1, all finite.

    Args:
        values: Numbers in any unit.
        subject: What they are, as the error message shall call them.
        columns_min: The least number of columns, at least 1.

    Raises:
        TooFewSamplesError: If there is no row or there are too few columns.
        ValueError: If the shape is not (rows, columns) or a value is NaN or infinite.
    """
    # In C order a row's sum is rounded the same way whatever slicing the rows come from.
    matrix = np.asarray(values, dtype=np.float64, order="C")
    if matrix.ndim != 2:  # noqa: PLR2004 - a matrix has two dimensions
        raise ValueError(f"{subject}: got shape {matrix.shape}, needed (rows, columns)")
    rows, columns = matrix.shape
    if rows < 1 or columns < columns_min:
        raise TooFewSamplesError(
            f"{subject}: got {rows} rows of {columns}, needed at least 1 row of {columns_min}; "
            "measure more launch pairs"
        )
    _refuse_non_finite(matrix, subject)
    return matrix


def family_vector(families: Families | None, *, rows: int) -> IntArray:
    """Give the family of each row as int64, shape (rows,); None means one family for all.

    Raises:
        ValueError: If they are no integers, or not one a row.
    """
    if families is None:
        return np.zeros(rows, dtype=np.int64)
    vector = np.asarray(families)
    if vector.shape != (rows,) or vector.dtype.kind not in "iu":
        raise ValueError(
            f"families: got {vector.dtype} of shape {vector.shape}, needed an integer a row, "
            f"({rows},)"
        )
    return vector.astype(np.int64)


def _refuse_non_finite(values: FloatArray, subject: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        where = ", ".join(str(int(i)) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{subject}: got {values[~finite][0]} at [{where}], needed finite numbers; "
            "leave a failed measurement out before it is summarised"
        )
