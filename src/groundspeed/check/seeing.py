"""Whether a least effect is one that this machine can see: before a check, and after it."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from groundspeed.check.promise import scaled
from groundspeed.errors import UsageError
from groundspeed.model import Comparison, Outcome
from groundspeed.stats import GateRule
from groundspeed.store.calibrations import Calibration
from groundspeed.store.rules import Rules
from groundspeed.units import format_percent

__all__ = ["BELIEVED_FOR", "refuse_unseeable", "stated_effects", "unseeable_rows"]

BELIEVED_FOR = timedelta(days=30)
"""How long a self-test speaks for a machine."""

_NAMED = 3
# What is asked for is rounded to two digits, and so may miss the best by this.
_ROUNDING = 1.0 + 1e-9


def stated_effects(typed: float | None, rules: Rules) -> dict[str, float]:
    """The least effects that somebody stated, by where.

    Args:
        typed: Of `--min-effect`; None if it was not typed.
        rules: The project's, whose own default a typed one replaces.
    """
    effects = {} if typed is None else {"--min-effect": typed}
    if typed is None and rules.min_effect is not None:
        effects[f"{rules.place} min-effect"] = rules.min_effect
    for rule in rules.rows:
        if rule.min_effect is not None:
            effects[f"{rules.place} the rule for {rule.match!r}, min-effect"] = rule.min_effect
    return effects


def refuse_unseeable(
    min_effects: Mapping[str, float], calibration: Calibration | None, today: date
) -> None:
    """Refuse a least effect that not even the quietest row of the self-test would show.

    Without a self-test of the last 30 days nothing is refused.

    Args:
        min_effects: As ratio - 1, by where each was stated, for the message.
        calibration: What is known of this machine.
        today: The day, in UTC.

    Raises:
        UsageError: If one is too small.
    """
    if calibration is None or today - calibration.day > BELIEVED_FOR:
        return
    for place, effect in min_effects.items():
        if effect * _ROUNDING < calibration.last.best:
            best = format_percent(_rounded_up(calibration.last.best))
            raise UsageError(
                f"{place} {format_percent(effect)}: on this machine a check sees "
                f"{best} at best (selftest of {calibration.day}, "
                f"{calibration.last.pairs} launch pairs); ask for {best} or more, "
                "use --metric instructions, or quieten the machine (groundspeed doctor) and run "
                "groundspeed selftest again"
            )


def _rounded_up(effect: float) -> float:
    """The effect with two digits, as it is told, and not below what it was."""
    step = 10.0 ** (math.floor(math.log10(effect)) - 1)
    return math.ceil(effect / step - 1e-9) * step


def unseeable_rows(comparisons: Sequence[Comparison], rule: GateRule) -> tuple[str, ...]:
    """A sentence about the undecided rows whose least effect more launch pairs would not show.

    What a row's launch pairs could have shown is taken on to the rule's last look, with the root of
    their number; see `promise.scaled`.

    Args:
        comparisons: Every row of a check.
        rule: What decided; its least effect is that of rows that have none of their own.
    """
    unseeable = {
        comparison.row.label: effect
        for comparison in comparisons
        if comparison.outcome is Outcome.UNDECIDED
        and (effect := _seen_in_the_end(comparison, rule)) is not None
        and effect > (comparison.min_effect or rule.min_effect)
    }
    if not unseeable:
        return ()
    worst = sorted(unseeable, key=unseeable.__getitem__, reverse=True)
    named = ", ".join(f"{label} {format_percent(unseeable[label])}" for label in worst[:_NAMED])
    more = f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    rows = "1 undecided row" if len(worst) == 1 else f"{len(worst)} undecided rows"
    told = (
        f"{rows}: the minimum effect is smaller than what {rule.pairs_max} launch pairs show "
        f"19 times in 20: {named}{more}; give such rows a min-effect of their own "
        "([[tool.groundspeed.rules]]), compare instructions, or quieten the machine "
        "(groundspeed doctor)"
    )
    return (told,)


def _seen_in_the_end(comparison: Comparison, rule: GateRule) -> float | None:
    pairs = len(comparison.pairs) or len(comparison.values)
    if comparison.detectable is None or not pairs:
        return None
    return scaled(comparison.detectable, pairs=pairs, to_pairs=rule.pairs_max)
