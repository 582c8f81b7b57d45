import math

import pytest

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.stored_runs import (
    Reading,
    RunComparison,
    RunNoise,
    RunVerdict,
    compare_with_stored,
    interval_reading,
    machine_change,
    rounds_reading,
    suite_noise,
)

QUIET = RunNoise(deviation=0.01, df=10.0)


def exact(value: float) -> Reading:
    """A reading that leaves nothing open."""
    return Reading(value=value, variance=0.0)


def compared(base: float, now: float, *, more_is_better: bool = False) -> RunComparison:
    """A run against three equal ones on a quiet machine."""
    return compare_with_stored(
        [exact(base)] * 3,
        exact(now),
        noise=QUIET,
        level=0.001,
        min_effect=0.1,
        more_is_better=more_is_better,
    )


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (1.3, RunVerdict.SLOWER),
        (1.0, RunVerdict.NOT_SLOWER),
        (1.11, RunVerdict.UNDECIDED),
        (0.7, RunVerdict.FASTER),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(now: float, verdict: RunVerdict) -> None:
    """Slower beyond what is allowed, faster beyond its inverse, else one of the other two."""
    assert compared(1.0, now).verdict is verdict


def test_where_more_is_better_the_ratio_is_turned_around() -> None:
    """A ratio above 1 is worse in either case."""
    less = compared(900.0, 600.0, more_is_better=True)
    assert less.verdict is RunVerdict.SLOWER
    assert less.ratio == pytest.approx(1.5)
    assert compared(900.0, 1400.0, more_is_better=True).verdict is RunVerdict.FASTER


def test_visible_is_where_slower_begins() -> None:
    """A little more is slower, a little less is not."""
    visible = compared(1.0, 1.0).visible
    assert compared(1.0, visible * 1.0001).verdict is RunVerdict.SLOWER
    assert compared(1.0, visible * 0.9999).verdict is not RunVerdict.SLOWER


def test_the_unit_does_not_matter() -> None:
    """A second is a thousand milliseconds."""
    seconds, milliseconds = compared(1.0, 1.3), compared(1000.0, 1300.0)
    assert seconds.low == pytest.approx(milliseconds.low)
    assert seconds.high == pytest.approx(milliseconds.high)


def test_stored_runs_that_differ_widen_the_interval() -> None:
    """What a test was seen to do is never taken for less."""
    wide = compare_with_stored(
        [exact(1.0), exact(1.5), exact(0.7)], exact(1.0), noise=QUIET, level=0.001, min_effect=0.1
    )
    assert math.log(wide.high / wide.low) > 10 * math.log(
        compared(1.0, 1.0).high / compared(1.0, 1.0).low
    )


def test_a_machine_that_is_slower_itself_is_allowed_for() -> None:
    """1.7 times as slow by the reference work, and 1.7 times the time is no verdict."""
    change = machine_change([(1.0, 1.0)] * 3, (1.7, 1.7))
    assert change == pytest.approx(math.log(1.7))
    found = compare_with_stored(
        [exact(1.0)] * 3, exact(1.7), noise=QUIET, level=0.01, min_effect=0.1, machine=change
    )
    assert found.verdict is RunVerdict.UNDECIDED


def test_a_machine_that_changes_during_a_test_is_allowed_for() -> None:
    """On either side."""
    assert machine_change([(1.0, 1.0)], (1.0, 1.0)) == 0.0
    assert machine_change([(1.0, 2.0)], (1.0, 1.0)) > 0.3
    assert machine_change([(1.0, 1.0)], (1.0, 2.0)) > 0.3


def test_many_rounds_count_as_a_few() -> None:
    """They share what the machine did meanwhile."""
    few, many = (rounds_reading(1.0, iqr=0.1, rounds=n).variance for n in (4, 40_000))
    assert many == few > 0.0


def test_one_round_is_uncertain_by_a_tenth() -> None:
    """Its quartiles say nothing."""
    one = rounds_reading(1.0, iqr=0.0, rounds=1)
    assert one.variance == pytest.approx(math.pi / 2 * 0.01)


def test_an_interval_gives_the_variance() -> None:
    """That of the wider half, at 95 %; one without ends gives none."""
    reading = interval_reading(1.0, math.exp(-0.196), math.exp(0.098))
    assert math.sqrt(reading.variance) == pytest.approx(0.1)
    assert interval_reading(1.0).variance == 0.0
    assert interval_reading(1.0, 0.0, math.inf).variance == 0.0


def test_the_suite_is_heard_once_however_many_tests_it_has() -> None:
    """All share the runs: ten times the tests say no more of how runs differ."""
    history = [exact(1.0), exact(1.2)]
    assert suite_noise([history] * 3, QUIET) == suite_noise([history] * 30, QUIET)
    assert suite_noise([history], QUIET).deviation > QUIET.deviation
    assert suite_noise([[exact(1.0)]], QUIET) == QUIET


@pytest.mark.parametrize("median", [0.0, -1.0, math.nan, math.inf])
def test_what_has_no_logarithm_is_refused(median: float) -> None:
    """The message names what was seen and needed."""
    with pytest.raises(ValueError, match="needed a finite number above 0"):
        rounds_reading(median, iqr=0.0, rounds=5)
    with pytest.raises(ValueError, match="needed a finite number above 0"):
        interval_reading(median)


def test_nothing_stored_is_refused() -> None:
    """There is nothing to compare with."""
    with pytest.raises(TooFewSamplesError, match="needed at least 1"):
        compare_with_stored([], exact(1.0), noise=QUIET, level=0.01, min_effect=0.1)
    with pytest.raises(TooFewSamplesError, match="needed at least 1"):
        machine_change([], (1.0, 1.0))
