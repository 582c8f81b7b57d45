"""Throughput over workers: what was measured, the law that fits it, and how sure that is."""

import math
from collections.abc import Iterator

from tools.performance_report.amounts import Amount, amount_of, digits
from tools.performance_report.blocks import Axis, Block, Curve, Lines, Table, said
from tools.performance_report.stored import Figure, Series

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import Coefficient, ScalingFit, fit_scaling

__all__ = ["fit_of", "is_scaling", "scaling_blocks"]

_STEPS = 60
_LAWS = {"usl": "the universal scalability law", "amdahl": "Amdahl's law"}


def is_scaling(x_unit: str, y_unit: str) -> bool:
    """Whether a series is throughput over so many of something: workers, partitions, shards."""
    return y_unit == "per s" and x_unit not in {"s", "bytes", "share", "per s"}


def fit_of(series: Series) -> ScalingFit | None:
    """The law that fits best; None where there are too few points or one is no throughput."""
    try:
        return fit_scaling(series.x, series.y)
    except (TooFewSamplesError, ValueError):
        return None


def scaling_blocks(title: str, series: Series, *, cpus: int | None) -> Iterator[Block]:
    """The chart with the fitted law or, without one, a line, and the law's coefficients."""
    points = tuple(sorted(zip(series.x, series.y, strict=True)))
    fit = fit_of(series)
    dots = Curve(name="measured", points=points, shown="dots")
    yield Lines(
        title=title,
        x=Axis(title=series.x_unit, unit="count"),
        y=Axis(title="throughput", unit=series.y_unit),
        curves=(dots, *_lines(points, fit)),
    )
    if fit is None:
        yield said(f"{title}: no law is fitted to fewer than three numbers of them.")
        return
    yield Table(
        caption=f"{title}: {_LAWS[fit.law]}, fitted to {fit.count} throughputs, with 95 % "
        "intervals",
        heads=("Coefficient", ">Value"),
        rows=(
            (f"throughput of one of the {series.x_unit}", _coefficient(fit.gamma, series.y_unit)),
            ("contention: share of the work that waits for others", _coefficient(fit.alpha)),
            ("coherency: what agreeing with each other one costs", _coefficient(fit.beta)),
            ("share of the variance that the law explains", f"{100.0 * fit.r_squared:.1f} %"),
        ),
    )
    beyond = sorted({x for x in series.x if cpus is not None and x > cpus})
    if beyond and cpus is not None:
        numbers = ", ".join(f"{x:g}" for x in beyond)
        yield said(
            f"The machine has {cpus} CPUs: of {numbers} {series.x_unit} that compute, not all "
            "run at once, and the contention is then the machine's."
        )


def _lines(points: tuple[tuple[float, float], ...], fit: ScalingFit | None) -> Iterator[Curve]:
    first, last = points[0][0], points[-1][0]
    ones = [y for x, y in points if x == first]
    one = sum(ones) / len(ones) / first if first > 0.0 else math.nan
    if fit is not None:
        steps = [first + (last - first) * step / _STEPS for step in range(_STEPS + 1)]
        fitted = tuple((x, fit.throughput(x)) for x in steps)
        yield Curve(name=_LAWS[fit.law], points=fitted)
        one = fit.gamma.value
    if math.isfinite(one):
        straight = ((first, one * first), (last, one * last))
        yield Curve(name="straight growth", points=straight, shown="dashed")


def _coefficient(coefficient: Coefficient, unit: str = "share") -> Amount:
    if math.isnan(coefficient.high):
        return Amount(value=f"{digits(coefficient.value)} (on its bound)")
    low, high = coefficient.low, coefficient.high
    return amount_of(Figure(value=coefficient.value, low=low, high=high, unit=unit))
