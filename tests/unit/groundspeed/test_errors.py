"""Each kind of error keeps its exit code: scripts depend on the numbers."""

import pytest

from groundspeed import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(errors.UsageError, 2), (errors.NoBaselineError, 4), (errors.BrokenError, 5)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_exit_code_of_each_kind(kind: type[errors.GroundspeedError], exit_code: int) -> None:
    """The exit codes are those of the documented table."""
    assert kind.exit_code == exit_code
