"""Throughput over workers: what was measured, the law that fits it, and how sure that is."""

import math
from collections.abc import Iterator

from tools.performance_report.amounts import Amount, amount_of, digits
from tools.performance_report.blocks import Axis, Block, Curve, Lines, Table, said
from tools.performance_report.ratios import between_runs, mean_of
from tools.performance_report.stored import Figure, Series

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import Coefficient, ScalingFit, fit_scaling

__all__ = ["coefficient_of", "fit_of", "is_scaling", "noun_of", "scaling_blocks"]

_STEPS = 60
_COMPUTING = frozenset({"workers", "processes", "threads"})
"""What takes a CPU each; users wait, and partitions are data."""
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


def noun_of(name: str, unit: str) -> str:
    """What there are so many of: `users` of `throughput over users`, else the unit."""
    return name.rpartition(" over ")[2] if unit == "count" and " over " in name else unit


def scaling_blocks(title: str, series: Series, *, noun: str, cpus: int | None) -> Iterator[Block]:
    """Efficiency, the chart with the fitted law, and the law's coefficients.

    Args:
        title: Of the test and the series.
        series: Throughput over so many of something.
        noun: What of.
        cpus: How many the machine has; None where that is not known.
    """
    points = tuple(sorted(zip(series.x, series.y, strict=True)))
    fit = fit_of(series)
    yield _efficiency(title, series, noun, cpus)
    dots = Curve(name="measured", points=points, shown="dots")
    yield Lines(
        title=title,
        x=Axis(title=noun, unit="count"),
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
            (f"throughput of one of the {noun}", coefficient_of(fit.gamma, series.y_unit)),
            ("contention: share of the work that waits for others", coefficient_of(fit.alpha)),
            ("coherency: what agreeing with each other one costs", coefficient_of(fit.beta)),
            ("share of the variance that the law explains", f"{100.0 * fit.r_squared:.1f} %"),
        ),
    )
    beyond = sorted({x for x in series.x if cpus is not None and x > cpus})
    if beyond and noun in _COMPUTING:
        numbers = ", ".join(f"{x:g}" for x in beyond)
        yield said(
            f"The machine has {cpus} CPUs: of {numbers} {noun} that compute, not all "
            "run at once, and the contention is then the machine's."
        )


def _efficiency(title: str, series: Series, noun: str, cpus: int | None) -> Table:
    """Throughput of each number of them, and its share of as many times that of the fewest."""
    taken: dict[float, list[float]] = {}
    for x, y in sorted(zip(series.x, series.y, strict=True)):
        taken.setdefault(x, []).append(y)
    fewest, has_cpus = min(taken), noun in _COMPUTING

    def straight(x: float) -> list[float]:
        return [one * x / fewest for one in taken[fewest]]

    return Table(
        caption=f"{title}: efficiency is throughput as a share of straight growth from {fewest:g}",
        heads=(
            f">{noun.capitalize()}",
            ">Times",
            ">Throughput",
            ">Efficiency",
            *(["A CPU each"] if has_cpus else []),
        ),
        rows=tuple(
            (
                f"{x:g}",
                str(len(values)),
                amount_of(mean_of(values, series.y_unit)),
                # The fewest are what the others are held to.
                Amount(value="100 %") if x == fewest else _share(straight(x), values),
                *([_cpu_each(x, cpus)] if has_cpus else []),
            )
            for x, values in taken.items()
        ),
    )


def _cpu_each(count: float, cpus: int | None) -> str:
    if cpus is None:
        return "unknown"
    return "yes" if count <= cpus else f"no, there are {cpus}"


def _share(of: list[float], values: list[float]) -> Amount:
    ratio = between_runs(of, values)
    if ratio is None:
        whole = mean_of(of, "").value
        mean = mean_of(values, "").value
        return amount_of(Figure(value=mean / whole if mean and whole else None, unit="share"))
    low, value, high = ratio
    return amount_of(Figure(value=value, low=low, high=high, unit="share"))


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


def coefficient_of(coefficient: Coefficient, unit: str = "share") -> Amount:
    """A coefficient with its interval; on its bound of 0 none is known."""
    if math.isnan(coefficient.high):
        return Amount(value=f"{digits(coefficient.value)} (on its bound)")
    low, high = coefficient.low, coefficient.high
    return amount_of(Figure(value=coefficient.value, low=low, high=high, unit=unit))
