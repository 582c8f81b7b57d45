"""Fixtures that hold a test to its number of statements.

In `conftest.py`: `pytest_plugins = ["sergas.optimizations.query_optimizer.pytest_plugin"]`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from sergas.optimizations.query_optimizer._n_plus_one import NPlusOneDetector, detect_n_plus_one
from sergas.optimizations.query_optimizer._record import Recorder, record

__all__ = ["assert_query_count", "no_n_plus_one"]


@pytest.fixture
def assert_query_count() -> Callable[..., AbstractContextManager[Recorder]]:
    """A context manager that fails the test unless so many statements are executed in it.

    `with assert_query_count(connection, 3):`, or `at_most=3` instead of the number. Transaction
    control and other statements that neither read nor write rows do not count.
    """

    @contextmanager
    def expecting(*connections: Any, at_most: int | None = None) -> Iterator[Recorder]:
        *watched, expected = connections if at_most is None else (*connections, at_most)
        with record(*watched) as recorder:
            yield recorder
        seen = [r for r in recorder.records() if r.fingerprint.kind != "other"]
        count = sum(r.count for r in seen)
        if count == expected or (at_most is not None and count <= at_most):
            return
        wanted = f"{expected}" if at_most is None else f"at most {at_most}"
        listed = "\n".join(f"  {r.count} x {r.fingerprint.text}" for r in seen) or "  none"
        pytest.fail(
            f"{count} statements were executed, {wanted} expected:\n{listed}", pytrace=False
        )

    return expecting


@pytest.fixture
def no_n_plus_one() -> Callable[..., AbstractContextManager[NPlusOneDetector]]:
    """A context manager that fails the test if lookups are made one by one in it.

    `with no_n_plus_one(connection):`, with `threshold` and `allowed` as `detect_n_plus_one` has.
    """

    @contextmanager
    def forbidding(*connections: Any, **options: Any) -> Iterator[NPlusOneDetector]:
        with detect_n_plus_one(*connections, **options) as detector:
            yield detector
        if found := detector.found:
            told = "\n".join(f"  {one}" for one in found)
            pytest.fail(f"lookups were made one by one:\n{told}", pytrace=False)

    return forbidding
