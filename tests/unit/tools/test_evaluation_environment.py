"""What every tool runs with, and how foreign CPU time is read."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.contest import private_environment
from tools.evaluation.timing import Finished, foreign_cpu_s, taken_ticks, together


def test_no_place_of_the_users_is_left_to_write_to() -> None:
    """Home and caches are private; what finds the package index and the programs stays."""
    user = {
        "HOME": "home/user",
        "PATH": "usr/bin",
        "XDG_CACHE_HOME": "home/user/cache",
        "GROUNDSPEED_CACHE_DIR": "home/user/gs",
        "PYTHONPATH": "home/user/lib",
        "PYTEST_ADDOPTS": "--rootdir=home/user",
        "GIT_DIR": "home/user/.git",
        "PIP_INDEX_URL": "index",
    }

    made = private_environment(user, home=Path("private"), programs=Path("venv"))

    assert made["HOME"] == "private"
    assert made["PATH"].startswith("venv")
    assert made["PATH"].endswith("usr/bin")
    assert made["PIP_INDEX_URL"] == "index"
    assert not any("user" in value for value in made.values())


def test_idle_and_waiting_time_is_not_taken() -> None:
    """Of a /proc/stat line, user to steal count, without idle, iowait and the guests."""
    assert taken_ticks("cpu  1 10 100 7 7 1000 10000 100000 7 7\ncpu0 9 9 9\n") == 111111


@given(before=st.integers(0, 10**9), more=st.integers(0, 10**6), own_s=st.floats(0, 1e4))
def test_foreign_time_is_never_negative(before: int, more: int, own_s: float) -> None:
    """Ticks are coarser than the own time that is taken off."""
    foreign_s = foreign_cpu_s(before, before + more, own_s=own_s)

    assert foreign_s is not None
    assert foreign_s >= 0


def test_unknown_time_stays_unknown() -> None:
    """What one system does not say is not made up."""
    assert foreign_cpu_s(None, 1, own_s=0.0) is None
    assert foreign_cpu_s(1, 2, own_s=None) is None


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_two_starts_cost_what_both_cost(first_s: float, second_s: float) -> None:
    """A verdict that takes two programs is waited for twice; the last one's exit code is its."""
    first, second = (
        Finished(exit_code=code, output=str(code), wall_s=s, cpu_s=s, foreign_cpu_s=None)
        for code, s in ((0, first_s), (1, second_s))
    )

    both = together(first, second)

    assert both.wall_s == both.cpu_s == first_s + second_s
    assert both.foreign_cpu_s is None
    assert (both.exit_code, both.output) == (1, "01")
