"""How often would this very check have cried wolf? Asked of its own launch pairs.

If both sides are the same code, it is chance which of the two twins was called base. Exchanging the
names turns the sign of the pair's difference, and a check with exchanged names is one that might
as well have been recorded. So the rule, run over many exchanges of what was recorded, alarms as
often as it does on unchanged code with the noise of this suite on this machine, whatever that
noise looks like: no distribution is assumed. Three decisions make it honest.

One sign a launch pair, for all rows. The rows of a pair share an interpreter, its layout, its hash
seed and a minute of the machine, so that their differences are not independent. What is
exchangeable is the pair. A sign for each row would break the ties between the rows and answer for a
suite that does not exist. The price is resolution: n launch pairs have 2^n exchanges, and five of
them cannot tell a rate of 1 % from one of 3 %.

Centred where a change was found, and only there. The exchange of no name at all is among the
exchanges, and in it a real slowdown is found again. So the rule first follows the record as it
stands, and of each row it calls slower or faster the trimmed mean is subtracted. The other rows are
left alone, for centring is not free: what is left of n differences has their mean taken out, which
in most exchanges makes a mean look further out than it is, the more the fewer pairs there are (at
five, by an eighth). Uncentred differences have no such flaw: flipped, they are symmetric
around zero exactly, a small change that was not found included.

No more looks than were recorded. A row that was settled after five pairs has five; if an exchange
leaves it open there, no one knows how it would have gone on. It counts as settled from then on and
raises no alarm. How many rows that befell is returned beside the rate, for it makes the rate a
lower bound.

References:
    Fisher (1935), The design of experiments, section 21, on exchanging the names of a pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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
    finite_vector,
)
from groundspeed.stats.estimates import estimate
from groundspeed.stats.multiplicity import benjamini_hochberg_beside
from groundspeed.stats.paired import summarise
from groundspeed.stats.proportions import wilson_interval
from groundspeed.stats.sequential import Conclusion, GateRule, conclude

__all__ = ["ExchangeRate", "exchange_rate"]

_FOUND = (Conclusion.SLOWER, Conclusion.FASTER)
# Rows that are judged at once, over several exchanges; a bound on memory.
_ROWS_AT_ONCE = 4096

# Wide enough for the longest name, which a shorter first one would cut off.
_NAME_TYPE = np.array(list(Conclusion)).dtype
_Names: TypeAlias = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """How often a rule alarms when the names of the sides are exchanged.

    Attributes:
        exchanges: How many were tried, at least 1.
        alarmed: Of these, how many called any row slower.
        centred: Rows the record itself calls slower or faster, whose mean was subtracted.
        cut_short: Share of rows, over all exchanges, that were open when their recorded pairs
            ended, before the rule's last look; in [0, 1]. At 0 the rate is all of it, else a lower
            bound.
    """

    exchanges: int
    alarmed: int
    centred: int
    cut_short: float

    @property
    def rate(self) -> float:
        """Share of the exchanges that alarmed."""
        return self.alarmed / self.exchanges

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate (Wilson 1927).

        It speaks of all exchanges of these pairs, from which the tried ones were drawn, and not of
        other checks.
        """
        return wilson_interval(self.alarmed, self.exchanges)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Rows of unequal length in one matrix; what lies beyond a row's pairs is 0 and never read."""

    matrix: FloatArray
    pairs: IntArray
    min_effects: FloatArray
    families: IntArray


def exchange_rate(
    differences: Sequence[npt.ArrayLike],
    rule: GateRule,
    *,
    signs: npt.ArrayLike,
    min_effects: npt.ArrayLike | None = None,
    families: Families | None = None,
) -> ExchangeRate:
    """Estimate a check's rate of false alarms from its own launch pairs.

    Exchanges that are equal, or mirror images, over the pairs of a look are judged there once.

    Args:
        differences: log(candidate / base) of each row, rows >= 1, each of shape (pairs of the row,)
            in the order of the launch pairs: the i-th of every row is of the same launch. Rows too
            short for the first look are never judged.
        rule: The rule the check used.
        signs: Shape (exchanges, pairs), +1 or -1, independent fair draws; row k says which launch
            pairs are turned round in exchange k. At least as many pairs as the longest row has.
        min_effects: Least effect of each row, as `look` takes it, shape (rows,); None means the
            rule's own for every row.
        families: Family of each row, as `estimate` takes it, shape (rows,).

    Raises:
        TooFewSamplesError: If no row has the pairs the first look needs, or a row has none.
        ValueError: If a difference is NaN or infinite, the signs are no such matrix, or the least
            effects or families are not those of the rows.
    """
    record = _collect(differences, rule, min_effects, families)
    signs_ = _checked_signs(signs, record.matrix.shape[1])
    as_recorded = np.ones((1, record.matrix.shape[1]))
    found = np.isin(_follow(record, record.matrix, as_recorded, rule)[0], _FOUND)
    centred = _centre(record, found)
    # The mirror image of an exchange has the mirror image of its course, so that one does for both.
    is_mirrored = signs_[:, 0] < 0.0
    courses, which = np.unique(signs_ * signs_[:, :1], axis=0, return_inverse=True)
    ends = _follow(record, centred, courses, rule)[which.reshape(-1)]
    slower, faster = ((ends == kind).any(axis=1) for kind in _FOUND)
    is_cut = (ends == Conclusion.OPEN) & (record.pairs < rule.pairs_max)
    return ExchangeRate(
        exchanges=len(signs_),
        alarmed=int(np.where(is_mirrored, faster, slower).sum()),
        centred=int(found.sum()),
        cut_short=float(is_cut.mean()),
    )


def _collect(
    differences: Sequence[npt.ArrayLike],
    rule: GateRule,
    min_effects: npt.ArrayLike | None,
    families: Families | None,
) -> _Record:
    if not len(differences):
        raise TooFewSamplesError("differences: got no row, needed at least 1")
    rows = [
        finite_vector(row, subject=f"differences of row {i}") for i, row in enumerate(differences)
    ]
    # Pairs beyond the last look have no part in any course.
    rows = [row[: rule.pairs_max] for row in rows]
    pairs = np.array([row.size for row in rows], dtype=np.int64)
    if pairs.max() < rule.looks[0]:
        raise TooFewSamplesError(
            f"differences: got {pairs.max()} launch pairs at most, but the first look needs "
            f"{rule.looks[0]}; there is no rate of a rule that never looked"
        )
    matrix = np.zeros((len(rows), int(pairs.max())))
    for i, row in enumerate(rows):
        matrix[i, : row.size] = row
    effects = np.full(len(rows), rule.min_effect) if min_effects is None else min_effects
    effects = np.asarray(effects, dtype=np.float64)
    if effects.shape != (len(rows),):
        raise ValueError(
            f"min_effects: got shape {effects.shape}, needed one a row, ({len(rows)},)"
        )
    # Numbered from 0, so that the families of several exchanges can be told apart.
    numbered = np.unique(family_vector(families, rows=len(rows)), return_inverse=True)[1]
    return _Record(matrix=matrix, pairs=pairs, min_effects=effects, families=numbered)


def _checked_signs(signs: npt.ArrayLike, pairs: int) -> FloatArray:
    matrix = finite_matrix(signs, subject="signs", columns_min=1)
    if matrix.shape[1] < pairs:
        raise ValueError(f"signs: got {matrix.shape[1]} pairs, but a row has {pairs}")
    if not (np.abs(matrix) == 1.0).all():
        raise ValueError("signs: got other numbers, needed +1 and -1 only")
    return matrix[:, :pairs]


def _centre(record: _Record, found: BoolArray) -> FloatArray:
    centred = record.matrix.copy()
    for i in np.flatnonzero(found):
        row = centred[i, : record.pairs[i]]
        row -= summarise(row[None, :]).mean
    return centred


def _follow(record: _Record, matrix: FloatArray, courses: FloatArray, rule: GateRule) -> _Names:
    """Run the rule over every course of signs; rows end where they do. Shape (courses, rows)."""
    shape = (len(courses), len(record.pairs))
    conclusions = np.full(shape, Conclusion.OPEN.value, dtype=_NAME_TYPE)
    for index, (pairs, share) in enumerate(zip(rule.looks, rule.shares, strict=True)):
        if pairs > matrix.shape[1]:
            break
        # Courses that agree so far are one.
        signs, first, which = np.unique(
            courses[:, :pairs], axis=0, return_index=True, return_inverse=True
        )
        seen = conclusions[first]
        flipped = matrix[:, :pairs]
        for chunk in _chunks(len(first), rows=len(record.pairs)):
            seen[chunk] = _look(
                record,
                flipped,
                signs[chunk],
                seen[chunk],
                level=rule.false_alarms * share,
                rule=rule.at_look(index),
            )
        conclusions = seen[which.reshape(-1)]
    return conclusions


def _chunks(courses: int, *, rows: int) -> Iterator[slice]:
    step = max(1, _ROWS_AT_ONCE // rows)
    return (slice(start, start + step) for start in range(0, courses, step))


def _look(
    record: _Record,
    matrix: FloatArray,
    signs: FloatArray,
    before: _Names,
    *,
    level: float,
    rule: GateRule,
) -> _Names:
    """Judge, in every course, the rows that are open and have the pairs; shape (courses, rows)."""
    judged = (before == Conclusion.OPEN) & (record.pairs >= matrix.shape[1])
    after = before.copy()
    course, row = np.nonzero(judged)
    if not course.size:
        return after
    estimates = estimate(
        matrix[row] * signs[course],
        families=course * (record.families.max() + 1) + record.families[row],
    )
    slower, faster = (
        _rejected(
            p, course, found=(before == kind).sum(axis=1), rows=len(record.pairs), level=level
        )
        for p, kind in zip((estimates.p_slower, estimates.p_faster), _FOUND, strict=True)
    )
    after[course, row] = conclude(
        estimates, slower=slower, faster=faster, effects=record.min_effects[row], rule=rule
    )
    return after


def _rejected(
    p: FloatArray, course: IntArray, *, found: IntArray, rows: int, level: float
) -> BoolArray:
    """Correct in every course for all rows of the suite; those not judged count as settled."""
    rejected = np.zeros(p.size, dtype=np.bool_)
    # Without a p-value within the whole level a course has nothing to reject.
    for number in np.unique(course[p <= level]).tolist():
        of_course = np.flatnonzero(course == number)
        before = int(found[number])
        rejected[of_course] = benjamini_hochberg_beside(
            p[of_course], level, rejected=before, kept=rows - of_course.size - before
        )
    return rejected
