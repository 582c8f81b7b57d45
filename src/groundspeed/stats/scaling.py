"""How throughput grows with workers: Gunther's universal scalability law, and Amdahl's within it.

    X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1))

gamma is what one worker does, alpha the share of work that waits for others (contention), beta what
each worker spends on agreeing with each other one (coherency). With beta = 0 it is Amdahl's law in
Gunther's form. Both coefficients are 0 or more, and the least squares under that bound lie either
inside or on an edge: every edge is fitted as a law of its own, and the best feasible one is taken.

References:
    Gunther (2007), Guerrilla Capacity Planning, chapters 4 to 6. Burnham & Anderson (2002), Model
    Selection and Multimodel Inference, section 2.4 (AICc).
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.arrays import FloatArray, finite_vector
from groundspeed.stats.distributions import student_t_ppf
from groundspeed.stats.quantile import CONFIDENCE

__all__ = ["Coefficient", "Errors", "ScalingFit", "fit_amdahl", "fit_scaling", "fit_usl"]

Errors: TypeAlias = Literal["relative", "absolute"]
"""How far throughputs stray: by a share of themselves, or by so many per second whatever they are.

Measured throughputs stray by a share. Published fits mostly take them to stray by so many per
second, which gives the largest throughputs the most weight.
"""

_STEPS_MAX = 200
_CONVERGED = 1e-12
_DAMPING_FIRST, _DAMPING_LESS, _DAMPING_MORE, _DAMPING_MAX = 1e-3, 0.2, 10.0, 1e12
# Least distinct numbers of workers: one more than the law has coefficients.
_LEVELS_USL, _LEVELS_AMDAHL = 4, 3

# Which of alpha and beta are free, from the whole law to straight growth.
_USL_EDGES = ((True, True), (True, False), (False, True), (False, False))
_AMDAHL_EDGES = ((True, False), (False, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient and how sure it is.

    Attributes:
        value: Its estimate, 0 or more.
        standard_error: 0 where the estimate lies on its bound of 0.
        low: Lower end of the interval, 0 or more.
        high: Upper end; NaN where the estimate lies on its bound, for it is not known there.
    """

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFit:
    """A law of scaling fitted to throughputs.

    Attributes:
        law: `usl`, or `amdahl` where beta is 0 by choice.
        alpha: Contention, a share.
        beta: Coherency, a share; of Amdahl's law exactly 0.
        gamma: Throughput of one worker, in the unit of the throughputs.
        confidence: Coverage of the intervals.
        r_squared: Share of the throughputs' variance that the law explains; of relative errors, of
            the variance of their logarithms.
        aicc: Akaike's criterion for small samples: of two laws the lower is preferred. Infinite
            where there are too few throughputs for it.
        count: Throughputs.
    """

    law: str
    alpha: Coefficient
    beta: Coefficient
    gamma: Coefficient
    confidence: float
    r_squared: float
    aicc: float
    count: int

    def throughput(self, workers: float) -> float:
        """X(N), in the unit of the throughputs."""
        return self.gamma.value * workers / self._cost(workers)

    def efficiency(self, workers: float) -> float:
        """X(N) / (N X(1)): 1 is straight growth."""
        return 1.0 / self._cost(workers)

    @property
    def peak_workers(self) -> float:
        """Where throughput is highest; infinite where it grows for ever."""
        if self.beta.value == 0.0:
            return math.inf
        return math.sqrt(max(0.0, 1.0 - self.alpha.value) / self.beta.value)

    @property
    def peak_throughput(self) -> float:
        """The highest throughput, or the limit it grows to."""
        if not math.isinf(self.peak_workers):
            return self.throughput(max(1.0, self.peak_workers))
        return self.gamma.value / self.alpha.value if self.alpha.value > 0.0 else math.inf

    def _cost(self, workers: float) -> float:
        more = workers - 1.0
        return 1.0 + self.alpha.value * more + self.beta.value * workers * more


def fit_usl(
    workers: npt.ArrayLike,
    throughput: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    errors: Errors = "relative",
) -> ScalingFit:
    """Fit the universal scalability law by least squares.

    Args:
        workers: How many of each measurement, shape (n,), each at least 1; repeats are welcome.
        throughput: What they did, shape (n,), above 0, in any unit.
        confidence: Of the coefficients' intervals, in (0, 1).
        errors: How throughputs stray; see `Errors`.

    Raises:
        TooFewSamplesError: If fewer than 4 different numbers of workers were measured.
        ValueError: If the shapes differ or a value is out of range.
    """
    return _fit("usl", _USL_EDGES, _checked(workers, throughput, _LEVELS_USL, errors), confidence)


def fit_amdahl(
    workers: npt.ArrayLike,
    throughput: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    errors: Errors = "relative",
) -> ScalingFit:
    """Fit Amdahl's law, the universal one with beta = 0, by least squares.

    Arguments are those of `fit_usl`.

    Raises:
        TooFewSamplesError: If fewer than 3 different numbers of workers were measured.
        ValueError: If the shapes differ or a value is out of range.
    """
    data = _checked(workers, throughput, _LEVELS_AMDAHL, errors)
    return _fit("amdahl", _AMDAHL_EDGES, data, confidence)


def fit_scaling(
    workers: npt.ArrayLike,
    throughput: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    errors: Errors = "relative",
) -> ScalingFit:
    """Fit both laws and give the one that AICc prefers; the simpler of equals.

    With three different numbers of workers only Amdahl's can be fitted. Arguments are those of
    `fit_usl`.

    Raises:
        TooFewSamplesError: If fewer than 3 different numbers of workers were measured.
        ValueError: If the shapes differ or a value is out of range.
    """
    simple = fit_amdahl(workers, throughput, confidence=confidence, errors=errors)
    if np.unique(np.asarray(workers)).size < _LEVELS_USL:
        return simple
    full = fit_usl(workers, throughput, confidence=confidence, errors=errors)
    if math.isinf(simple.aicc):
        return full
    return full if full.aicc < simple.aicc else simple


@dataclass(frozen=True, slots=True)
class _Data:
    workers: FloatArray
    throughput: FloatArray
    errors: Errors

    @property
    def spread(self) -> float:
        """Squares of what is to be explained, around its mean."""
        seen = np.log(self.throughput) if self.errors == "relative" else self.throughput
        return float(((seen - seen.mean()) ** 2).sum())


@dataclass(frozen=True, slots=True)
class _Edge:
    """The least squares of one edge: gamma, alpha and beta, of which some are fixed at 0."""

    coefficients: FloatArray
    free: tuple[bool, bool, bool]
    jacobian: FloatArray
    squares: float


def _checked(
    workers: npt.ArrayLike, throughput: npt.ArrayLike, levels: int, errors: Errors
) -> _Data:
    n = finite_vector(workers, subject="workers")
    x = finite_vector(throughput, subject="throughput")
    if n.shape != x.shape:
        raise ValueError(
            f"throughput: got {x.size} for {n.size} numbers of workers, needed as many"
        )
    if n.min() < 1.0 or x.min() <= 0.0:
        raise ValueError(
            f"scaling: got workers from {n.min():g} and throughput from {x.min():g}, needed at "
            "least 1 and above 0"
        )
    different = np.unique(n).size
    if different < levels:
        raise TooFewSamplesError(
            f"scaling: got {different} different numbers of workers, needed at least {levels}; "
            "measure more of them"
        )
    return _Data(n, x, errors)


def _fit(
    law: str, edges: tuple[tuple[bool, bool], ...], data: _Data, confidence: float
) -> ScalingFit:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence: got {confidence}, needed a number between 0 and 1")
    fitted = [_fit_edge(data, (True, *free)) for free in edges]
    best = min(
        (edge for edge in fitted if (edge.coefficients >= 0.0).all()),
        key=lambda edge: edge.squares,
    )
    count = data.workers.size
    gamma, alpha, beta = _intervals(best, count, confidence)
    spread = data.spread
    return ScalingFit(
        law=law,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        confidence=confidence,
        r_squared=1.0 - best.squares / spread if spread > 0.0 else 1.0,
        aicc=_aicc(best.squares, count, parameters=len(edges[0]) + sum(edges[0])),
        count=count,
    )


def _fit_edge(data: _Data, free: tuple[bool, bool, bool]) -> _Edge:
    """Levenberg-Marquardt from the straight line that N / X is in all three coefficients."""
    chosen = np.array(free)
    coefficients = np.where(chosen, _start(data, chosen), 0.0)
    residuals, jacobian = _residuals(data, coefficients)
    squares, damping = float(residuals @ residuals), _DAMPING_FIRST
    for _ in range(_STEPS_MAX):
        used = jacobian[:, chosen]
        # By columns of unit length: gamma is a thousand where beta is a thousandth.
        lengths = np.maximum(np.linalg.norm(used, axis=0), np.finfo(np.float64).tiny)
        normal = (used / lengths).T @ (used / lengths)
        gradient = (used / lengths).T @ residuals
        step = np.zeros(3)
        step[chosen] = np.linalg.solve(normal + damping * np.eye(len(normal)), -gradient) / lengths
        trial, trial_jacobian = _residuals(data, coefficients + step)
        trial_squares = float(trial @ trial)
        if trial_squares <= squares:
            done = bool((np.abs(step) <= _CONVERGED * np.abs(coefficients)).all())
            coefficients = coefficients + step
            residuals, jacobian, squares = trial, trial_jacobian, trial_squares
            damping *= _DAMPING_LESS
        else:
            done = damping > _DAMPING_MAX
            damping *= _DAMPING_MORE
        if done:
            break
    return _Edge(coefficients, free, jacobian, squares)


def _start(data: _Data, chosen: npt.NDArray[np.bool_]) -> FloatArray:
    """N / X = 1 / gamma + alpha / gamma (N - 1) + beta / gamma N (N - 1), weighted by X."""
    n = data.workers
    columns = np.column_stack((np.ones_like(n), n - 1.0, n * (n - 1.0)))[:, chosen]
    weights = data.throughput / data.throughput.max()
    solution, *_ = np.linalg.lstsq(
        columns * weights[:, None], n / data.throughput * weights, rcond=None
    )
    whole = np.zeros(3)
    whole[chosen] = solution
    # Noise may put the line's start where no law is: straight growth then is as good as any.
    gamma = 1.0 / whole[0] if whole[0] > 0.0 else float((data.throughput / n).max())
    return np.array([gamma, max(0.0, whole[1] * gamma), max(0.0, whole[2] * gamma)])


def _residuals(data: _Data, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fitted less measured, or the log of their ratio, and derivatives by gamma, alpha, beta."""
    gamma, alpha, beta = coefficients
    n, more = data.workers, data.workers - 1.0
    cost = 1.0 + alpha * more + beta * n * more
    if gamma <= 0.0 or not (cost > 0.0).all():  # beyond a pole: no law, and never an improvement
        return np.full(n.shape, 1e150), np.zeros((n.size, 3))
    by_gamma = n / cost
    fitted = gamma * by_gamma
    by_cost = -fitted / cost
    derivatives = np.column_stack((by_gamma, by_cost * more, by_cost * n * more))
    if data.errors == "absolute":
        return fitted - data.throughput, derivatives
    return np.log(fitted / data.throughput), derivatives / fitted[:, None]


def _intervals(edge: _Edge, count: int, confidence: float) -> list[Coefficient]:
    """Wald's, by Student's t on the degrees of freedom that are left."""
    chosen = np.array(edge.free)
    df = count - int(chosen.sum())
    used = edge.jacobian[:, chosen]
    lengths = np.linalg.norm(used, axis=0)
    covariance = np.linalg.pinv((used / lengths).T @ (used / lengths)) * (edge.squares / df)
    errors = iter((np.sqrt(np.diag(covariance)) / lengths).tolist())
    t = -float(student_t_ppf((1.0 - confidence) / 2.0, float(df)))
    return [
        _coefficient(value, next(errors) if is_free else None, t)
        for value, is_free in zip(edge.coefficients.tolist(), edge.free, strict=True)
    ]


def _coefficient(value: float, error: float | None, t: float) -> Coefficient:
    if error is None:
        return Coefficient(value=0.0, standard_error=0.0, low=0.0, high=math.nan)
    return Coefficient(
        value=value,
        standard_error=error,
        low=max(0.0, value - t * error),
        high=value + t * error,
    )


def _aicc(squares: float, count: int, *, parameters: int) -> float:
    """Of least squares with normal errors, whose variance is one parameter more."""
    k = parameters + 1
    if count <= k + 1:
        return math.inf
    # A fit without any residual is as good as a float can tell.
    mean_square = max(squares / count, np.finfo(np.float64).tiny)
    return count * math.log(mean_square) + 2.0 * k + 2.0 * k * (k + 1) / (count - k - 1)
