"""Student's t and the derivatives of log gamma, on whole arrays.

numpy has no special functions and the gate cannot wait for a loop over 2,000 rows. Both families
are computed here from two facts.

Gamma functions: moved up by their recurrence until the argument is at least 10, where the
asymptotic series in Bernoulli numbers (Abramowitz & Stegun 6.3.18, 6.4.11) is exact to rounding.

Student's t: with t = sqrt(df) sinh(w) the density becomes a multiple of cosh(w)^-df, the power of
an analytic, log-concave function without any peak or heavy tail left. The point where it has
fallen by a factor e^-37 has a closed form, so that one Gauss-Legendre rule over that stretch gives
the tail to rounding error for every df from 1 to infinity and every p that a float can hold. And
since the tail of a log-concave function is log-concave, Newton's method on log p walks down to
every quantile from a bound beyond it, never swinging back.
"""

import math

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import FloatArray

__all__ = [
    "digamma",
    "student_t_ppf",
    "student_t_sf",
    "student_t_tails",
    "trigamma",
    "trigamma_inverse",
]

# B_2, B_4, ... B_16.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
# From here on eight terms of the asymptotic series are exact to rounding.
_ASYMPTOTIC = 10.0

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
# e^-37 is below the rounding error of one.
_NEGLIGIBLE = 37.0
# Below it the tail is the larger part, and one half minus the centre loses nothing.
_CENTRE = 1.0
# The normal distribution, to the last digit wherever its p is above 1e-300.
_DF_MAX = 1e18
# Its square is still a float.
_T_MAX = 1e150
# Its quantile is below _T_MAX for every df.
_P_MIN = 1e-140
_NEWTON_STEPS_MAX = 100


def digamma(x: npt.ArrayLike) -> FloatArray:
    """Derivative of log gamma, for x > 0; accurate to 1e-14 of max(1, |value|).

    Raises:
        ValueError: If an x is not above zero.
    """
    shifted, below = _shift(x, power=1)
    inverse_square = 1.0 / (shifted * shifted)
    series = np.zeros_like(shifted)
    for k in range(len(_BERNOULLI), 0, -1):
        series = (series + _BERNOULLI[k - 1] / (2 * k)) * inverse_square
    return np.asarray(np.log(shifted) - 0.5 / shifted - series - below)


def trigamma(x: npt.ArrayLike) -> FloatArray:
    """Second derivative of log gamma, for x > 0; relative accuracy 1e-14.

    Raises:
        ValueError: If an x is not above zero.
    """
    shifted, below = _shift(x, power=2)
    inverse = 1.0 / shifted
    series = np.zeros_like(shifted)
    for bernoulli in reversed(_BERNOULLI):
        series = (series + bernoulli) * inverse * inverse
    return np.asarray(inverse + 0.5 * inverse**2 + series * inverse + below)


def _tetragamma(x: npt.ArrayLike) -> FloatArray:
    """Third derivative of log gamma, for x > 0; always negative."""
    shifted, below = _shift(x, power=3)
    inverse = 1.0 / shifted
    series = np.zeros_like(shifted)
    for k in range(len(_BERNOULLI), 0, -1):
        series = (series + (2 * k + 1) * _BERNOULLI[k - 1]) * inverse * inverse
    return np.asarray(-(inverse**2 + inverse**3 + series * inverse**2 + 2.0 * below))


def _shift(x: npt.ArrayLike, *, power: int) -> tuple[FloatArray, FloatArray]:
    """Move x up by ones to the asymptotic range; give it and the sum of x^-power passed over."""
    shifted = np.array(x, dtype=np.float64)
    if not (shifted > 0.0).all():
        raise ValueError(f"gamma functions: got x = {np.min(shifted)}, needed x > 0")
    passed = np.zeros_like(shifted)
    for _ in range(int(_ASYMPTOTIC)):
        low = shifted < _ASYMPTOTIC
        passed += np.where(low, shifted, np.inf) ** -power
        shifted += low
    return shifted, passed


def trigamma_inverse(y: npt.ArrayLike) -> FloatArray:
    """The x > 0 whose trigamma is y, for y > 0; relative accuracy 1e-12.

    Newton's method on 1 / trigamma, which is convex and nearly straight, so that it converges
    monotonically from 1/2 + 1/y (Smyth 2004, appendix).

    Raises:
        ValueError: If a y is not above zero or is infinite.
    """
    target = np.asarray(y, dtype=np.float64)
    if not ((target > 0.0) & np.isfinite(target)).all():
        raise ValueError("trigamma_inverse: needed finite y > 0; a variance of 0 has no inverse")
    x = 0.5 + 1.0 / target
    is_open = np.ones(target.shape, dtype=np.bool_)
    for _ in range(_NEWTON_STEPS_MAX):  # pragma: no branch - a bound it never reaches
        value = trigamma(x)
        step = value * (1.0 - value / target) / _tetragamma(x)
        x = x + np.where(is_open, step, 0.0)
        # Each stops by itself, so that its last digits do not depend on its neighbours.
        is_open = is_open & (np.abs(step) > 1e-13 * x)
        if not is_open.any():
            break
    return np.asarray(x)


def student_t_sf(t: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Chance that Student's t exceeds `t`: the one-sided p-value.

    Relative accuracy 1e-11 down to p = 1e-300, for every df in the domain.

    Args:
        t: Any numbers, infinities included; a finite one beyond 1e150 counts as 1e150.
        df: Degrees of freedom, at least 1, infinity included; broadcast with `t`.

    Raises:
        ValueError: If a t is NaN or a df is below 1.
    """
    return student_t_tails(t, df)[0]


def student_t_tails(t: npt.ArrayLike, df: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Chances that Student's t exceeds `t` and that it falls below: `student_t_sf` of t and -t.

    Args:
        t: As `student_t_sf` takes it.
        df: As `student_t_sf` takes it.

    Raises:
        ValueError: If a t is NaN or a df is below 1.
    """
    t_, df_ = _checked(t, df)
    outer, _ = _upper_tail(np.minimum(np.abs(t_), _T_MAX), df_)
    outer = np.where(np.isinf(t_), 0.0, outer)
    return np.where(t_ >= 0.0, outer, 1.0 - outer), np.where(t_ <= 0.0, outer, 1.0 - outer)


def student_t_ppf(p: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """The t below which Student's t falls with chance `p`.

    Relative accuracy 1e-10; near p = 1/2, where t passes through zero, absolute 1e-14.

    Args:
        p: Between 1e-140 and 1 - 1e-16. The upper tail is as fine as 1 - p is; for a finer one
            take the lower tail and change the sign.
        df: Degrees of freedom, at least 1, infinity included; broadcast with `p`.

    Raises:
        ValueError: If a p is out of range or a df is below 1.
    """
    p_, df_ = _checked(p, df)
    tail = np.minimum(p_, 1.0 - p_)
    if not (tail >= _P_MIN).all():
        raise ValueError(f"student_t_ppf: got {p_}, needed every p between {_P_MIN} and 1 - 1e-16")
    root = np.sqrt(df_)
    # cosh(v + w) >= cosh(v) cosh(w) bounds the tail by cosh(w)^-df / 2: the root lies left of here.
    w = _arccosh_exp(-np.log(2.0 * tail) / df_)
    is_open = np.ones(w.shape, dtype=np.bool_)
    for _ in range(_NEWTON_STEPS_MAX):  # pragma: no branch - a bound it never reaches
        upper, density = _upper_tail(root * np.sinh(w), df_)
        step = (np.log(upper) - np.log(tail)) * upper / density
        w = np.where(is_open, np.maximum(w + step, 0.0), w)
        is_open = is_open & (np.abs(step) > 1e-14 * w + 1e-16 / root)
        if not is_open.any():
            break
    return np.asarray(np.copysign(root * np.sinh(w), p_ - 0.5))


def _checked(x: npt.ArrayLike, df: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x_, df_ = np.broadcast_arrays(
        np.asarray(x, dtype=np.float64), np.minimum(np.asarray(df, dtype=np.float64), _DF_MAX)
    )
    if np.isnan(x_).any():
        raise ValueError("Student's t: got NaN; a row without a variance has no t")
    if not (df_ >= 1.0).all():
        raise ValueError(f"Student's t: got df = {np.min(df_)}, needed at least 1")
    return x_, df_


def _upper_tail(t: FloatArray, df: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give sf(t) for finite t >= 0, and the density of w = asinh(t / sqrt(df)) there."""
    log_cosh = 0.5 * np.log1p(t * (t / df))
    w = np.arcsinh(t / np.sqrt(df))
    scale = np.exp(_log_gamma_ratio(df / 2.0)) / math.sqrt(math.pi)
    density = scale * np.exp(-df * log_cosh)
    in_tail = t > _CENTRE
    start = np.where(in_tail, w, 0.0)
    end = np.where(in_tail, _arccosh_exp(log_cosh + _NEGLIGIBLE / df), w)
    area = _integrate(start, end, df=df, log_cosh_start=np.where(in_tail, log_cosh, 0.0))
    return np.where(in_tail, density * area, 0.5 - scale * area), density


def _integrate(
    start: FloatArray, end: FloatArray, *, df: FloatArray, log_cosh_start: FloatArray
) -> FloatArray:
    """Integral of (cosh(w) / cosh(start))^-df from start to end."""
    half = (end - start) / 2.0
    w = start[..., None] + half[..., None] * (1.0 + _NODES)
    log_cosh = np.log1p(2.0 * np.sinh(w / 2.0) ** 2)
    fallen = np.exp(-df[..., None] * (log_cosh - log_cosh_start[..., None]))
    # Not a matrix product: a row's sum must not depend on the rows beside it.
    return np.asarray(half * (fallen * _WEIGHTS).sum(axis=-1))


def _arccosh_exp(x: FloatArray) -> FloatArray:
    """arccosh(e^x) for x > 0, without cancellation near zero or overflow far away."""
    return np.asarray(x + np.log1p(np.sqrt(-np.expm1(-2.0 * x))))


def _log_gamma_ratio(a: FloatArray) -> FloatArray:
    """log(gamma(a + 1/2) / gamma(a)), for a > 0."""
    shifted = np.array(a, dtype=np.float64)
    below = np.zeros_like(shifted)
    for _ in range(int(_ASYMPTOTIC)):
        low = shifted < _ASYMPTOTIC
        below -= np.where(low, np.log1p(0.5 / shifted), 0.0)
        shifted += low
    inverse = 1.0 / shifted
    series = np.zeros_like(shifted)
    for k in range(len(_BERNOULLI), 0, -1):
        term = (1.0 - 0.25**k) * _BERNOULLI[k - 1] / (k * (2 * k - 1))
        series = series * inverse * inverse + term
    return np.asarray(0.5 * np.log(shifted) - series * inverse + below)
