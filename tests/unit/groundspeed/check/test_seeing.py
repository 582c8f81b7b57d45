import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.seeing import refuse_unseeable, stated_effects, unseeable_rows
from groundspeed.errors import UsageError
from groundspeed.model import Comparison, Outcome, PairSummary, Row, ValuePair
from groundspeed.stats import GateRule
from groundspeed.store.calibrations import CALIBRATION_SCHEMA, Calibration
from groundspeed.store.rules import NO_RULES, RowRule, Rules
from groundspeed.store.selftests import Seen
from groundspeed.units import parse_share

TODAY = date(2026, 11, 30)
KNOWN = Calibration(
    schema=CALIBRATION_SCHEMA,
    fingerprint="0123456789ab",
    tool_version="0.1.0",
    measured_at="2026-11-22T10:00:00+00:00",
    first=Seen(pairs=5, best=0.01, median=0.02, worst=0.05),
    last=Seen(pairs=34, best=0.00396, median=0.008, worst=0.02),
)
RULES = Rules(
    place="pyproject.toml: [tool.groundspeed]",
    min_effect=0.02,
    rows=(RowRule(match="time_a", min_effect=0.001), RowRule(match="time_b", ignore=False)),
)


def undecided(
    label: str, detectable: float | None, *, pairs: int = 34, min_effect: float | None = None
) -> Comparison:
    """A row on which nothing could be said."""
    pair = PairSummary(
        pair=0,
        base_s=1.0,
        candidate_s=1.0,
        base_wall_s=1.0,
        candidate_wall_s=1.0,
        base_cpu_s=1.0,
        candidate_cpu_s=1.0,
        samples=16,
    )
    return Comparison(
        row=Row(name=label),
        outcome=Outcome.UNDECIDED,
        detectable=detectable,
        pairs=(pair,) * pairs,
        min_effect=min_effect,
    )


def test_an_effect_below_the_best_row_is_refused_with_numbers() -> None:
    """The message says what was asked for, what can be seen, how that is known and what to do."""
    with pytest.raises(UsageError) as refused:
        refuse_unseeable({"--min-effect": 0.001}, KNOWN, TODAY)
    assert str(refused.value) == (
        "--min-effect 0.1 %: on this machine a check sees 0.4 % at best (selftest of 2026-11-22, "
        "34 launch pairs); ask for 0.4 % or more, use --metric instructions, or quieten the "
        "machine (groundspeed doctor) and run groundspeed selftest again"
    )


@given(st.floats(1e-6, 0.3), st.floats(1e-6, 0.3))
def test_what_a_refusal_asks_for_is_not_refused(best: float, effect: float) -> None:
    """Typing the share that the message names is enough."""
    known = replace(KNOWN, last=replace(KNOWN.last, best=best))
    if effect * (1 + 1e-9) >= best:
        refuse_unseeable({"--min-effect": effect}, known, TODAY)
        return
    with pytest.raises(UsageError) as refused:
        refuse_unseeable({"--min-effect": effect}, known, TODAY)
    asked = re.search(r"ask for (\S+ %) or more", str(refused.value))
    assert asked
    refuse_unseeable({"--min-effect": parse_share(asked[1])}, known, TODAY)


def test_without_a_fresh_selftest_nothing_is_refused() -> None:
    """None was run, or 31 days ago; 30 days are still believed."""
    effects = {"--min-effect": 0.001}
    refuse_unseeable(effects, None, TODAY)
    refuse_unseeable(effects, KNOWN, date(2026, 12, 23))
    with pytest.raises(UsageError):
        refuse_unseeable(effects, KNOWN, date(2026, 12, 22))


def test_the_refusal_names_the_rule_it_is_about() -> None:
    """What was typed, or the place in pyproject.toml."""
    assert stated_effects(None, NO_RULES) == {}
    assert stated_effects(0.05, RULES) == {
        "--min-effect": 0.05,
        "pyproject.toml: [tool.groundspeed] the rule for 'time_a', min-effect": 0.001,
    }
    stated = stated_effects(None, RULES)
    assert stated["pyproject.toml: [tool.groundspeed] min-effect"] == 0.02
    with pytest.raises(UsageError, match=r"the rule for 'time_a', min-effect 0\.1 %: on this"):
        refuse_unseeable(stated, KNOWN, TODAY)


def test_undecided_rows_that_more_pairs_would_not_help_are_named() -> None:
    """Worst first, three at most, with the effect that the last look would show."""
    last = GateRule().pairs_max
    rows = [
        undecided("a", 0.012, pairs=last),
        undecided("b", 0.06, pairs=last),
        undecided("c", 0.08, pairs=last // 2),
        undecided("d", 0.05, pairs=last),
    ]
    (said,) = unseeable_rows(rows, GateRule())
    assert said.startswith("4 undecided rows: the minimum effect is smaller than what 96 launch")
    assert "19 times in 20: b 6 %, c 5.7 %, d 5 % and 1 more; give such rows" in said


@pytest.mark.parametrize(
    "row",
    [
        undecided("fine", 0.009),
        undecided("fine in the end", 0.02, pairs=5),
        undecided("has a rule", 0.02, min_effect=0.03),
        undecided("never looked at", None, pairs=3),
        undecided("broke", 0.02, pairs=0),
        replace(undecided("decided", 0.05), outcome=Outcome.SLOWER),
    ],
)
def test_other_rows_are_not(row: Comparison) -> None:
    """Those that more pairs would decide, that have a rule, or of which nothing is known."""
    assert unseeable_rows([row], GateRule()) == ()


def test_rows_that_are_no_times_count_their_values() -> None:
    """Their pairs are in `values`."""
    values = tuple(ValuePair(pair=number, base=1.0, candidate=1.0) for number in range(34))
    row = replace(undecided("memory", 0.02, pairs=0), values=values)
    (said,) = unseeable_rows([row], GateRule())
    assert said.startswith("1 undecided row: ")
