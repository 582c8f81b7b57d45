from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.inside import marker
from groundspeed.measure.inside.marker import KEYWORDS, METRICS, MarkerError, read_marker
from groundspeed.store import rules

TEST = "tests/test_it.py::test_it"
IGNORED = {"ignore": True, "reason": "new machine", "until": "2027-01-31"}


def read(*marks: dict[str, Any]) -> dict[str, Any]:
    """What markers with these keywords say, the closest to the test first."""
    return read_marker(TEST, [((), keywords) for keywords in marks])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"scenario": True}, {"scenario": True}),
        ({"min_effect": "2%"}, {"min_effect": 0.02}),
        ({"min_effect": " 0.5 % "}, {"min_effect": 0.005}),
        ({"min_effect": 0.02}, {"min_effect": 0.02}),
        ({"direction": "higher"}, {"direction": "higher"}),
        ({"metric": "cpu"}, {"metric": "cpu"}),
        (IGNORED, IGNORED),
        ({**IGNORED, "until": date(2027, 1, 31)}, IGNORED),
        ({**IGNORED, "until": datetime(2027, 1, 31, 12)}, IGNORED),  # noqa: DTZ001 - a day has no zone
        ({"ignore": False}, {"ignore": False}),
        (
            {"scenario": True, "metrics": {"p99_s": "lower", "per_s": "higher"}},
            {"scenario": True, "metrics": {"p99_s": "lower", "per_s": "higher"}},
        ),
    ],
)
def test_what_is_written_right_is_kept(said: dict[str, Any], kept: dict[str, Any]) -> None:
    """Shares become numbers and days texts, so that JSON can carry them."""
    assert read(said) == kept


def test_the_closest_marker_holds() -> None:
    """A function's marker wins over its module's, keyword by keyword."""
    near, far = {"min_effect": "2%"}, {"min_effect": "5%", "metric": "cpu"}
    assert read(near, far) == {"min_effect": 0.02, "metric": "cpu"}


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ({"scenari": True}, ["'scenari'", "did you mean 'scenario'?", "metrics"]),
        ({"scenario": 1}, ["scenario is 1", "True or False"]),
        ({"scenario": True, "metrics": {"p99": "low"}}, ["metrics['p99']", "'lower'", "higher"]),
        ({"scenario": True, "metrics": {}}, ["metrics is {}", "which way is better"]),
        ({"scenario": True, "metrics": {1: "lower"}}, ["metrics is {1: 'lower'}"]),
        ({"metrics": {"p99": "lower"}}, ["add scenario=True"]),
        ({"min_effect": "2"}, ["min_effect is '2'", "2%"]),
        ({"min_effect": 0}, ["min_effect is 0"]),
        ({"min_effect": True}, ["min_effect is True"]),
        ({"min_effect": "a lot"}, ["min_effect is 'a lot'"]),
        ({"direction": "up"}, ["direction", "'up'", "lower, higher"]),
        ({"metric": "cpus"}, ["did you mean 'cpu'?"]),
        ({"ignore": True, "until": "2027-01-31"}, ["reason="]),
        ({"ignore": True, "reason": "x"}, ["until="]),
        ({**IGNORED, "until": "soon"}, ["until is 'soon'", "2027-01-31"]),
        ({**IGNORED, "until": 20270131}, ["until is 20270131"]),
        ({**IGNORED, "reason": " "}, ["reason is ' '"]),
        ({"reason": "x"}, ["add ignore=True"]),
    ],
)
def test_what_is_written_wrong_is_told_with_what_is_allowed(
    said: dict[str, Any], texts: list[str]
) -> None:
    """The message names the test, what was seen and what is needed."""
    with pytest.raises(MarkerError) as error:
        read(said)
    assert str(error.value).startswith(f"{TEST}: groundspeed marker")
    assert all(text in str(error.value) for text in texts)


def test_it_takes_keywords_only() -> None:
    """A bare value says nothing."""
    with pytest.raises(MarkerError, match="without a keyword"):
        read_marker(TEST, [(("scenario",), {})])


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_share_may_be_written_as_a_number_or_a_text(share: float) -> None:
    """Both say the same."""
    assert read({"min_effect": share}) == read({"min_effect": repr(share)})


@given(st.dictionaries(st.sampled_from(KEYWORDS), st.none() | st.text() | st.integers()))
def test_any_value_is_kept_or_refused(said: dict[str, Any]) -> None:
    """There is no other error, and what is kept was said."""
    try:
        kept = read(said)
    except MarkerError:
        return
    assert set(kept) == set(said)


def test_markers_and_rules_know_the_same_metrics() -> None:
    """What a rule in pyproject.toml can ask for, a marker can."""
    assert METRICS == rules.METRICS


def test_every_keyword_is_in_what_pytest_shows() -> None:
    """`pytest --markers` lists them all."""
    assert all(keyword in marker.DECLARATION for keyword in KEYWORDS)
