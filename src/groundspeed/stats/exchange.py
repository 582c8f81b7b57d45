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
    Wilson (1927), Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.arrays import BoolArray, FloatArray, IntArray, finite_matrix, finite_vector
from groundspeed.stats.paired import summarise
from groundspeed.stats.sequential import Conclusion, GateRule, look

__all__ = ["ExchangeRate", "exchange_rate"]

_Z95 = 1.959963984540054
_FOUND = (Conclusion.SLOWER, Conclusion.FASTER)


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
        weight = _Z95**2 / self.exchanges
        centre = self.rate + weight / 2.0
        half = math.sqrt(self.rate * (1.0 - self.rate) * weight + weight**2 / 4.0)
        low, high = (centre - half) / (1.0 + weight), (centre + half) / (1.0 + weight)
        # Rounding must not put the interval beside a rate of 0 or 1.
        return max(0.0, min(low, self.rate)), min(1.0, max(high, self.rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Rows of unequal length in one matrix; what lies beyond a row's pairs is 0 and never read."""

    matrix: FloatArray
    pairs: IntArray
    min_effects: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """Every row's conclusion, and which rows had run out of pairs while open."""

    conclusions: tuple[Conclusion, ...]
    cut_short: int

    def has(self, kind: Conclusion) -> bool:
        return kind in self.conclusions


def exchange_rate(
    differences: Sequence[npt.ArrayLike],
    rule: GateRule,
    *,
    signs: npt.ArrayLike,
    min_effects: npt.ArrayLike | None = None,
) -> ExchangeRate:
    """Estimate a check's rate of false alarms from its own launch pairs.

    Takes at most one course of the rule an exchange, about a millisecond a look; exchanges that are
    equal, or mirror images, over the pairs recorded are followed once.

    Args:
        differences: log(candidate / base) of each row, rows >= 1, each of shape (pairs of the row,)
            in the order of the launch pairs: the i-th of every row is of the same launch. Rows too
            short for the first look are never judged.
        rule: The rule the check used.
        signs: Shape (exchanges, pairs), +1 or -1, independent fair draws; row k says which launch
            pairs are turned round in exchange k. At least as many pairs as the longest row has.
        min_effects: Least effect of each row, as `look` takes it, shape (rows,); None means the
            rule's own for every row.

    Raises:
        TooFewSamplesError: If no row has the pairs the first look needs, or a row has none.
        ValueError: If a difference is NaN or infinite, the signs are no such matrix, or the least
            effects are not those of the rows.
    """
    record = _collect(differences, rule, min_effects)
    signs_ = _checked_signs(signs, record.matrix.shape[1])
    found = [conclusion in _FOUND for conclusion in _follow(record, rule).conclusions]
    flipped = _centre(record, np.array(found))
    # The mirror image of an exchange has the mirror image of its course, so that one does for both.
    is_mirrored = signs_[:, 0] < 0.0
    courses, which = np.unique(signs_ * signs_[:, :1], axis=0, return_inverse=True)
    outcomes = [_follow(replace(record, matrix=flipped * course), rule) for course in courses]
    slower, faster = (np.array([o.has(kind) for o in outcomes]) for kind in _FOUND)
    which = which.reshape(-1)
    cut_short = np.array([outcome.cut_short for outcome in outcomes])[which]
    return ExchangeRate(
        exchanges=len(signs_),
        alarmed=int(np.where(is_mirrored, faster[which], slower[which]).sum()),
        centred=sum(found),
        cut_short=float(cut_short.mean()) / len(record.pairs),
    )


def _collect(
    differences: Sequence[npt.ArrayLike], rule: GateRule, min_effects: npt.ArrayLike | None
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
    return _Record(matrix=matrix, pairs=pairs, min_effects=effects)


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


def _follow(record: _Record, rule: GateRule) -> _Outcome:
    """Run the rule over rows that end where they do."""
    conclusions = np.full(len(record.pairs), Conclusion.OPEN, dtype=object)
    for pairs, share in zip(rule.looks, rule.shares, strict=True):
        is_open = conclusions == Conclusion.OPEN
        judged = np.flatnonzero(is_open & (record.pairs >= pairs))
        if not judged.size:
            break
        ended = int(is_open.sum()) - judged.size
        settled = [*conclusions[~is_open], *([Conclusion.SAME] * ended)]
        seen = look(
            record.matrix[judged, :pairs],
            settled=settled,
            share=share,
            rule=rule,
            min_effects=record.min_effects[judged],
        )
        conclusions[judged] = seen.conclusions
    is_cut = (conclusions == Conclusion.OPEN) & (record.pairs < rule.pairs_max)
    return _Outcome(conclusions=tuple(conclusions), cut_short=int(is_cut.sum()))
