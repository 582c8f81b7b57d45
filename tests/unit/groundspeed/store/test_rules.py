import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.errors import UsageError
from groundspeed.model import Ignored
from groundspeed.store.rules import NO_RULES, RowRule, Rules, find_rules, parse_rules

TODAY = date(2027, 1, 31)
PLACE = "pyproject.toml: [tool.groundspeed]"


def rules(text: str) -> Rules:
    """The rules that the inside of the table says."""
    values: dict[str, Any] = tomllib.loads(text)
    return parse_rules(values, place=PLACE)


def ignoring(match: str, until: str = "2027-01-31", reason: str = "noise") -> str:
    """A rule that ignores."""
    return f'[[rules]]\nmatch = "{match}"\nignore = true\nreason = "{reason}"\nuntil = {until}\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("min-efect = 1", f"{PLACE}: unknown key 'min-efect'; did you mean min-effect?"),
        ("colour = 1", "there are min-effect, false-alarms, budget, test-groups, rules"),
        ("min-effect = 5", "min-effect is 5; it must be a share above 0 and below 1"),
        ("min-effect = true", "min-effect is true; it must be a share"),
        ("min-effect = 'lots'", "min-effect is 'lots'; it must be a share"),
        ("min-effect = ['1%']", "min-effect is an array; it must be a share"),
        ("min-effect = nan", "min-effect is nan; it must be a share"),
        ("false-alarms = '60%'", "false-alarms is '60%'; it must be a share below one half"),
        ("budget = '300'", "budget is '300'; it must be a number of seconds above 0"),
        ("budget = 0", "budget is 0; it must be a number of seconds above 0"),
        ("budget = inf", "budget is inf; it must be"),
        ("budget = false", "budget is false; it must be"),
        ("test-groups = 'test'", "test-groups is 'test'; it must be an array of texts"),
        ("test-groups = [3]", "test-groups is an array; it must be an array of texts"),
        ("rules = 3", "rules is 3; it must be an array of tables"),
        ("rules = [3]", "rules is an array; it must be an array of tables"),
        ("[rules]\nmatch = 'a'", "rules is a table; it must be an array of tables"),
        ("[[rules]]\nmin-effect = '3%'", "rules, number 1: match is missing"),
        ("[[rules]]\nmatch = 'a'", "1: does nothing; give it min-effect, direction, metric, or ig"),
        (
            "[[rules]]\nmatch = 'a'\ndirection = 'lowest'",
            "number 1: direction is 'lowest'; it must be one of lower, higher; did you mean lower?",
        ),
        ("[[rules]]\nmatch = 'a'\ndirection = true", "direction is true; it must be one of lower"),
        (
            "[[rules]]\nmatch = 'a'\nmetric = 'alocations'",
            "it must be one of time, clean, wall, cpu, allocations; did you mean allocations?",
        ),
        ("[[rules]]\nmatch = 'a'\nmetric = ['cpu']", "metric is an array; it must be one of time"),
        ("[[rules]]\nmatch = ''\nmin-effect = 0.1", "match is ''; it must be a text in quotes"),
        ("[[rules]]\nmatch = '('\nmin-effect = 0.1", "match is '('; it must be a regular expres"),
        ("[[rules]]\nmatch = 'a'\ncolour = 'red'", "number 1: unknown key 'colour'; there are"),
        ("[[rules]]\nmatch = 'a'\nignored = true", "unknown key 'ignored'; did you mean ignore?"),
        ("[[rules]]\nmatch = 'a'\nignore = 'yes'", "ignore is 'yes'; it must be true or false"),
        ("[[rules]]\nmatch = 'a'\nignore = true", "number 1: reason is missing; add it"),
        (ignoring("a", reason=" "), "reason is ' '; it must be a text in quotes"),
        (ignoring("a", until="'2027-01-31'"), "until is '2027-01-31'; it must be a day without"),
        (ignoring("a", until="2027-01-31T10:00:00"), "until is 2027-01-31 10:00:00; it must be"),
        (
            ignoring("a") + "[[rules]]\nmatch = 'b'\nmin-effect = 0.1\nuntil = 2027-01-01",
            "number 2: until says why or how long a row is ignored; add ignore = true",
        ),
        (
            "[[rules]]\nmatch = 'a'\nignore = false\nreason = 'x'",
            "number 1: reason says why or how long",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    """Where it is written, what was there, what is needed."""
    with pytest.raises(UsageError) as caught:
        rules(text)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(PLACE)


def test_everything_that_can_be_said_is_read() -> None:
    """The defaults and both kinds of rule, shares in either spelling."""
    said = rules(
        'min-effect = "2%"\nfalse-alarms = 0.05\nbudget = 300\ntest-groups = ["test"]\n'
        '[[rules]]\nmatch = "^a"\nmin-effect = 0.03\n' + ignoring("b") + "[[rules]]\n"
        'match = "c"\ndirection = "higher"\nmetric = "cpu"\n'
    )
    assert (said.min_effect, said.false_alarms, said.budget_s) == (0.02, 0.05, 300.0)
    assert said.test_groups == ("test",)
    assert said.rows == (
        RowRule(match="^a", min_effect=0.03),
        RowRule(match="b", ignore=True, reason="noise", until=TODAY),
        RowRule(match="c", direction="higher", metric="cpu"),
    )
    assert rules("") == Rules(place=PLACE)


def test_a_rule_for_another_suite_is_not_there() -> None:
    """It is neither followed nor told to match nothing."""
    said = rules(
        """
        [[rules]]
        match = "a"
        suite = "asv"
        min-effect = 0.1

        [[rules]]
        match = "a"
        min-effect = 0.2
        """
    )
    assert [rule.min_effect for rule in said.for_suite("asv").rows] == [0.1, 0.2]
    assert [rule.min_effect for rule in said.for_suite("pytest").rows] == [0.2]


def test_an_expression_matches_as_with_b() -> None:
    """Somewhere in the label, parameters included."""
    rule = RowRule(match=r"time_get\(10", min_effect=0.1)
    assert rule.holds_for("cache.time_get(10, 'a')")
    assert not rule.holds_for("cache.time_get(2, 'a')")


effects = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 0.9)), max_size=6)


@settings(deadline=None)
@given(effects)
def test_the_last_rule_that_matches_wins(said: list[tuple[str, float]]) -> None:
    """Each row has the effect of the last rule for it, and none without such a rule."""
    rows = tuple(RowRule(match=match, min_effect=effect) for match, effect in said)
    assert Rules(place=PLACE, rows=rows).min_effects(["a", "b", "d"]) == {
        label: effect for label, effect in dict(said).items() if label != "c"
    }


TEST = "tests/test_pool.py::test_acquire[8 threads]"


def marker(**said: Any) -> dict[str, Any]:
    """What the marker of a test says, as it is read inside."""
    return said


def test_a_marker_speaks_where_no_rule_does() -> None:
    """Of each thing apart: a rule that says something of it wins, and of nothing else."""
    said = rules('[[rules]]\nmatch = "test_acquire"\nmin-effect = 0.3\ndirection = "lower"')
    marked = said.with_markers({TEST: marker(min_effect=0.1, direction="higher", metric="cpu")})
    assert marked.min_effects([TEST]) == {TEST: 0.3}
    assert marked.directions([TEST]) == {TEST: "lower"}
    assert marked.metrics([TEST, "other"]) == {TEST: "cpu"}


def test_a_marker_speaks_of_all_that_its_test_records() -> None:
    """A quantity has what the marker says of it by name, else of the test; no other test has it."""
    said = {"scenario": True, "direction": "higher", "metrics": {"wait p99": "lower"}}
    marked = NO_RULES.with_markers({TEST: said, "other": marker(direction="lower")})
    quantities = [f"{TEST} wait p99", f"{TEST} rate"]
    assert marked.directions([*quantities, "other rate", "others"]) == {
        quantities[0]: "lower",
        quantities[1]: "higher",
        "other rate": "lower",
    }


shares = st.none() | st.floats(0.01, 0.9)


@settings(deadline=None)
@given(marked=shares, ruled=shares)
def test_a_rule_wins_over_a_marker(marked: float | None, ruled: float | None) -> None:
    """Whatever both say; and without markers the rules are what they were."""
    rows = () if ruled is None else (RowRule(match="test", min_effect=ruled),)
    plain = Rules(place=PLACE, rows=rows)
    both = plain.with_markers({TEST: {} if marked is None else marker(min_effect=marked)})
    expected = marked if ruled is None else ruled
    assert both.min_effects([TEST]).get(TEST) == expected
    assert plain.with_markers({}) == plain
    assert both.unused([TEST]) == plain.unused([TEST])


def test_a_marker_ignores_until_its_day_and_a_rule_takes_it_back() -> None:
    """As a rule does; the sentence about its end names the test."""
    why = marker(ignore=True, reason="start-up", until="2027-01-31")
    marked, tomorrow = NO_RULES.with_markers({TEST: why}), date(2027, 2, 1)
    assert marked.ignored(TEST, TODAY) == Ignored(reason="start-up", until="2027-01-31")
    assert marked.ignored(f"{TEST} rate", TODAY) == marked.ignored(TEST, TODAY)
    assert marked.expired(TODAY) == ()
    assert marked.ignored(TEST, tomorrow) is None
    (sentence,) = marked.expired(tomorrow)
    assert sentence.startswith(f"{TEST}: its marker ignored it until 2027-01-31, so it counts")
    taken_back = rules('[[rules]]\nmatch = "acquire"\nignore = false').with_markers({TEST: why})
    assert taken_back.ignored(TEST, TODAY) is None


def test_ignore_and_effect_are_decided_apart() -> None:
    """A later rule about one of them leaves the other as it was."""
    said = rules(ignoring("a") + '[[rules]]\nmatch = "a"\nmin-effect = 0.2\n')
    assert said.min_effects(["a"]) == {"a": 0.2}
    assert said.ignored("a", TODAY) == Ignored(reason="noise", until="2027-01-31")


def test_a_later_rule_takes_a_row_out_again() -> None:
    """`ignore = false` wins over an earlier true, for the rows it matches."""
    said = rules(ignoring("time") + '[[rules]]\nmatch = "time_a"\nignore = false\n')
    assert said.ignored("time_a", TODAY) is None
    assert said.ignored("time_b", TODAY) is not None


def test_an_ignore_holds_through_its_day_and_no_longer() -> None:
    """After it the row counts again, and a sentence says so; before it nothing is said."""
    said, tomorrow = rules(ignoring("a")), date(2027, 2, 1)
    assert said.ignored("a", TODAY) is not None
    assert said.expired(TODAY) == ()
    assert said.ignored("a", tomorrow) is None
    (sentence,) = said.expired(tomorrow)
    assert "the rule that ignored 'a' ended on 2027-01-31, so its rows count again" in sentence


def test_a_rule_that_matches_no_row_is_told() -> None:
    """And no other is."""
    said = rules('[[rules]]\nmatch = "a"\nmin-effect = 0.2\n[[rules]]\nmatch = "z"\nignore = false')
    (sentence,) = said.unused(["a", "b"])
    assert sentence.startswith(f"{PLACE}: the rule for 'z' matches no row of the suite")


def test_the_nearest_table_is_found(tmp_path: Path) -> None:
    """A file without the table is passed over, one above the root is not looked at."""
    inner = tmp_path / "root" / "inner"
    inner.mkdir(parents=True)
    above, root = tmp_path / "pyproject.toml", tmp_path / "root"
    above.write_text("[tool.groundspeed]\nbudget = 1\n")
    assert find_rules(inner, root) == NO_RULES
    (root / "pyproject.toml").write_text("[tool.groundspeed]\nbudget = 2\n")
    (inner / "pyproject.toml").write_text('[project]\nname = "groundspeed"\n')
    assert find_rules(inner, root).budget_s == 2
    (inner / "pyproject.toml").write_text("[tool.groundspeed]\nbudget = 3\n")
    assert find_rules(inner, root).budget_s == 3


def test_a_file_that_does_not_concern_us_is_not_judged(tmp_path: Path) -> None:
    """A pyproject.toml that is broken without naming us is for the build to refuse."""
    path = tmp_path / "pyproject.toml"
    path.write_text("[project\n")
    assert find_rules(tmp_path, tmp_path) == NO_RULES
    path.write_text("[tool.groundspeed\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml is not valid TOML: .+ line 1"):
        find_rules(tmp_path, tmp_path)
    path.write_bytes(b"[tool.groundspeed] # \xff\n")
    with pytest.raises(UsageError, match=r"not valid TOML"):
        find_rules(tmp_path, tmp_path)
    path.write_text("tool.groundspeed = 1\n")
    with pytest.raises(UsageError, match=r"must be a table, \[tool\.groundspeed\]"):
        find_rules(tmp_path, tmp_path)
