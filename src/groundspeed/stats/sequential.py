"""The gate's rule: look a few times, stop a row as soon as it is clear.

A row that is plainly slower shows it in eight launch pairs; one that differs by 2 % may need
thirty, a noisy one ninety. So the rule looks several times and spends the allowed rate of false
alarms in shares, one a look; the first look has none and can only call rows the same. If nothing
has changed, the chance of a `slower` over all looks is at most the sum of what they spend, by the
union bound. At each look Benjamini-Hochberg runs over the whole suite, rows already settled
included: a row settled as slower stays a rejection (p = 0), any other settled row stays none (p =
1). Where rows really are slower, the rate bounds the expected share of false ones among all rows
called slower, not the chance of any. That counting across looks is validated by simulation
(tests/statistical), not proved.

Percent and logarithm: an effect e, say 0.01 for one percent, is the distance log(1 + e). `slower`
by e means candidate / base >= 1 + e; `faster` by e means base / candidate >= 1 + e. Exchanging base
and candidate therefore exchanges the two, exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.arrays import (
    BoolArray,
    Families,
    FloatArray,
    IntArray,
    family_vector,
    finite_matrix,
)
from groundspeed.stats.estimates import Estimates, estimate
from groundspeed.stats.multiplicity import benjamini_hochberg_beside

__all__ = [
    "Conclusion",
    "Course",
    "GateRule",
    "Look",
    "conclude",
    "look",
    "run_to_conclusion",
]

_MARGIN_IN_EFFECTS = 2.0
# Shares are typed as decimals; their sum may miss 1 by rounding.
_ROUNDING = 1e-9


class Conclusion(StrEnum):
    """What is known about a row."""

    OPEN = "open"
    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """When to look, and what to call slower, faster or the same.

    Attributes:
        looks: Launch pairs at each look, rising, the first at least 2.
        shares: Share of `false_alarms` spent at each look, 0 or more; their sum is above 0 and at
            most 1. A look without a share calls nothing slower or faster.
        false_alarms: Allowed rate of unchanged suites with a `slower`, and of those with a
            `faster`; beside real changes, the expected share of false ones; in (0, 1/2).
        min_effect: Least effect worth the name, as ratio - 1, in (0, 1].
        margin: Differences inside it, either way, are `same`; as ratio - 1, at least `min_effect`.
            None means twice `min_effect`.
        early_same: Two-sided confidence of the interval that must lie inside the margin, at the
            first looks, in (0, 1). They judge by the fewest pairs, taken within seconds, and by
            far the most rows, so they are asked for more.
        same_confidence: The same at all later looks, and that of every interval told.

    Raises:
        ValueError: If a value is out of its range.
    """

    looks: tuple[int, ...] = (5, 8, 12, 17, 24, 34, 48, 68, 96)
    shares: tuple[float, ...] = (0.0, 0.14, 0.11, 0.14, 0.14, 0.17, 0.10, 0.10, 0.10)
    false_alarms: float = 0.01
    min_effect: float = 0.01
    margin: float | None = None
    early_same: tuple[float, ...] = (0.995, 0.99)
    same_confidence: float = 0.98

    def __post_init__(self) -> None:
        self._check_looks()
        self._check_shares()
        self._check_rates()

    def _check_looks(self) -> None:
        rising = all(
            before < after for before, after in zip(self.looks, self.looks[1:], strict=False)
        )
        if not (self.looks and self.looks[0] >= 2 and rising):  # noqa: PLR2004 - a variance needs two
            raise ValueError(f"looks: got {self.looks}, needed rising numbers of pairs from 2 on")

    def _check_shares(self) -> None:
        if len(self.shares) != len(self.looks):
            raise ValueError(
                f"shares: got {len(self.shares)} for {len(self.looks)} looks, needed one a look"
            )
        if not (min(self.shares) >= 0.0 and 0.0 < sum(self.shares) <= 1.0 + _ROUNDING):
            raise ValueError(
                f"shares: got {self.shares}, needed ones of 0 or more, of a sum above 0 and at "
                "most 1"
            )

    def _check_rates(self) -> None:
        if not 0.0 < self.false_alarms < 0.5:  # noqa: PLR2004 - a coin would do as well
            raise ValueError(
                f"false_alarms: got {self.false_alarms}, needed a rate between 0 and 0.5"
            )
        if not 0.0 < self.min_effect <= 1.0:
            raise ValueError(
                f"min_effect: got {self.min_effect}, needed a ratio - 1 above 0 and at most 1, "
                "such as 0.01 for one percent"
            )
        if not self.min_effect <= self.margin_resolved < math.inf:
            raise ValueError(
                f"margin: got {self.margin}, needed at least min_effect, {self.min_effect}"
            )
        for name in ("early_same", "same_confidence"):
            given = getattr(self, name)
            if not all(0.0 < value < 1.0 for value in np.atleast_1d(given)):
                raise ValueError(f"{name}: got {given}, needed numbers between 0 and 1")

    @property
    def margin_resolved(self) -> float:
        """The margin in force, as ratio - 1."""
        return _MARGIN_IN_EFFECTS * self.min_effect if self.margin is None else self.margin

    @property
    def pairs_min(self) -> int:
        """Launch pairs at the first look that may call a row slower."""
        return next(p for p, share in zip(self.looks, self.shares, strict=True) if share > 0.0)

    @property
    def pairs_max(self) -> int:
        """Launch pairs at the last look."""
        return self.looks[-1]

    def at_look(self, index: int) -> "GateRule":
        """Give the rule as it judges at one look, 0 being the first: with what `same` needs."""
        if index < len(self.early_same):
            return replace(self, same_confidence=self.early_same[index])
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look has shown of the rows that were still open.

    Attributes:
        pairs: Launch pairs each of them had.
        conclusions: One for each of them, in their order.
        estimates: What the conclusions rest on.
    """

    pairs: int
    conclusions: tuple[Conclusion, ...]
    estimates: Estimates


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A suite followed until every row is settled or the launch pairs are used up.

    Attributes:
        conclusions: One a row; OPEN means undecided.
        pairs: Launch pairs each row has used, shape (rows,).
        looks: Every look in turn; each holds the rows that were open before it.
    """

    conclusions: tuple[Conclusion, ...]
    pairs: IntArray
    looks: tuple[Look, ...]


def look(  # noqa: PLR0913 - by name only; what each row has of its own is one each
    differences: npt.ArrayLike,
    *,
    settled: Sequence[Conclusion],
    share: float,
    rule: GateRule,
    min_effects: npt.ArrayLike | None = None,
    excused: npt.ArrayLike | None = None,
    families: Families | None = None,
) -> Look:
    """Judge the open rows of a suite.

    SLOWER: rejected by Benjamini-Hochberg and mean >= log(1 + min_effect). FASTER: the mirror.
    SAME: the interval inside the margin and |mean| < log(1 + min_effect). Else OPEN.

    A row's own minimum effect decides what is worth a name there and takes no part in the
    correction: every row is still rejected or not against "no change at all", over the whole suite,
    so the false alarms allowed are those of the suite whatever the rows' effects are.

    Args:
        differences: log(candidate / base) of the open rows, shape (rows, pairs), rows >= 1,
            pairs >= 2, finite.
        settled: Conclusions of the rows decided at earlier looks, none of them OPEN.
        share: Share of the rule's false alarms this look may spend, in [0, 1]; with 0 no row is
            called slower or faster, however plain it is.
        rule: What to call slower, faster or the same at this look (`GateRule.at_look`).
        min_effects: Least effect of each open row as ratio - 1, shape (rows,), in (0, 1]; its
            margin is the rule's, or twice it where the rule states none. None means the
            rule's own for every row.
        excused: Which of the open rows alarm nobody, shape (rows,), bool. Benjamini-Hochberg lets
            a row that is really slower ease the threshold of the others; an excused row does not,
            or one that is always slower would raise the others' false alarms. None means no row.
        families: Family of each open row, as `estimate` takes it: variances are moderated within
            one, the correction is over all rows.

    Raises:
        TooFewSamplesError: If there is no row or fewer than two pairs.
        ValueError: If an argument is out of range.
    """
    if Conclusion.OPEN in settled:
        raise ValueError("settled: got an open row; open rows belong into differences")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share: got {share}, needed a number from 0 to 1")
    matrix = finite_matrix(differences, subject="differences", columns_min=2)
    effects = _min_effects(min_effects, rows=matrix.shape[0], rule=rule)
    estimates = estimate(matrix, families=families)
    level = rule.false_alarms * share
    silent = _excused(excused, rows=matrix.shape[0])
    slower = _rejected(estimates.p_slower, settled, Conclusion.SLOWER, level, silent)
    faster = _rejected(estimates.p_faster, settled, Conclusion.FASTER, level, silent)
    names = conclude(estimates, slower=slower, faster=faster, effects=effects, rule=rule)
    return Look(
        pairs=matrix.shape[1],
        conclusions=tuple(Conclusion(name) for name in names),
        estimates=estimates,
    )


def run_to_conclusion(
    differences: npt.ArrayLike, rule: GateRule, *, families: Families | None = None
) -> Course:
    """Apply the rule to a suite whose launch pairs are all there already.

    Args:
        differences: log(candidate / base), shape (rows, pairs), in the order measured. Pairs
            beyond the rule's last look are not used; with fewer, the looks end earlier.
        rule: When to look and what to conclude.
        families: Family of each row, as `estimate` takes it.

    Raises:
        TooFewSamplesError: If there is no row, or fewer pairs than the first look needs.
        ValueError: If a difference is NaN or infinite, or a shape is another.
    """
    matrix = finite_matrix(differences, subject="differences", columns_min=2)
    family = family_vector(families, rows=matrix.shape[0])
    if matrix.shape[1] < rule.looks[0]:
        raise TooFewSamplesError(
            f"differences: got {matrix.shape[1]} launch pairs, but the first look needs "
            f"{rule.looks[0]}; measure more or give the rule an earlier look"
        )
    conclusions = [Conclusion.OPEN] * matrix.shape[0]
    used = np.zeros(matrix.shape[0], dtype=np.int64)
    taken: list[Look] = []
    for index, (pairs, share) in enumerate(zip(rule.looks, rule.shares, strict=True)):
        open_rows = [i for i, c in enumerate(conclusions) if c is Conclusion.OPEN]
        if not open_rows or pairs > matrix.shape[1]:
            break
        settled = [c for c in conclusions if c is not Conclusion.OPEN]
        seen = look(
            matrix[open_rows, :pairs],
            settled=settled,
            share=share,
            rule=rule.at_look(index),
            families=family[open_rows],
        )
        taken.append(seen)
        used[open_rows] = pairs
        for row, conclusion in zip(open_rows, seen.conclusions, strict=True):
            conclusions[row] = conclusion
    return Course(conclusions=tuple(conclusions), pairs=used, looks=tuple(taken))


def conclude(
    estimates: Estimates,
    *,
    slower: BoolArray,
    faster: BoolArray,
    effects: FloatArray,
    rule: GateRule,
) -> npt.NDArray[np.str_]:
    """Name what is known of each row: the values of `Conclusion`, shape (rows,).

    Args:
        estimates: Of the rows.
        slower: Rows whose "not slower" was rejected.
        faster: Rows whose "not faster" was rejected.
        effects: Least effect of each row, ratio - 1.
        rule: Its margin and the confidence of `same`.
    """
    least = _log1p(effects)
    margin = _log1p(
        _MARGIN_IN_EFFECTS * effects if rule.margin is None else np.full(effects.size, rule.margin)
    )
    low, high = estimates.interval(rule.same_confidence)
    inside = (-margin < low) & (high < margin) & (np.abs(estimates.mean) < least)
    return np.select(
        [slower & (estimates.mean >= least), faster & (estimates.mean <= -least), inside],
        [Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME],
        default=Conclusion.OPEN,
    )


def _rejected(
    p: FloatArray,
    settled: Sequence[Conclusion],
    kind: Conclusion,
    level: float,
    silent: BoolArray,
) -> BoolArray:
    found = sum(conclusion is kind for conclusion in settled)

    def rejected(p_open: FloatArray) -> BoolArray:
        return benjamini_hochberg_beside(p_open, level, rejected=found, kept=len(settled) - found)

    return np.where(silent, rejected(p), rejected(np.where(silent, 1.0, p)))


def _excused(excused: npt.ArrayLike | None, *, rows: int) -> BoolArray:
    """Which rows are excused, checked."""
    silent = np.zeros(rows, dtype=np.bool_) if excused is None else np.asarray(excused)
    if silent.shape != (rows,) or silent.dtype != np.bool_:
        raise ValueError(
            f"excused: got {silent.dtype} of shape {silent.shape}, needed a bool a row, ({rows},)"
        )
    return silent


def _min_effects(min_effects: npt.ArrayLike | None, *, rows: int, rule: GateRule) -> FloatArray:
    """The least effect of each row, checked."""
    if min_effects is None:
        return np.full(rows, rule.min_effect)
    effects = np.asarray(min_effects, dtype=np.float64)
    if effects.shape != (rows,):
        raise ValueError(f"min_effects: got shape {effects.shape}, needed one a row, ({rows},)")
    most = 1.0 if rule.margin is None else min(1.0, rule.margin)
    if not np.all((effects > 0.0) & (effects <= most)):
        raise ValueError(
            f"min_effects: got {effects.tolist()}, needed ratios - 1 above 0 and at most {most}"
        )
    return effects


def _log1p(values: FloatArray) -> FloatArray:
    """log(1 + value), each as `math` rounds it, so that one value and an array of it agree."""
    return np.array([math.log1p(value) for value in values])
