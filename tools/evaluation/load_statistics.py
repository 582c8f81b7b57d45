"""How exact the percentiles, intervals and fits of load are, against sorting, theory and others.

    .venv/bin/python -m tools.evaluation.load_statistics

Everything is drawn from fixed seeds in virtual time, so the figures do not depend on the machine.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from scipy import stats

from groundspeed.stats import (
    FloatArray,
    Histogram,
    OrderedSamples,
    encode_histogram,
    fit_usl,
    interval_ranks,
)
from groundspeed.stats.scaling import Errors, ScalingFit

RUNS = 2000
BUCKET = 1e-3  # how wide a bucket is, of its value
SAMPLES = 1_000_000
SHAPES = {
    "uniform": stats.uniform(),
    "exponential": stats.expon(),
    "lognormal": stats.lognorm(1.0),
    "heavy": stats.lomax(1.5),
    "skewed": stats.weibull_min(0.5),
}
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
CASES = (
    (0.5, 50),
    (0.95, 72),
    (0.95, 1000),
    (0.99, 368),
    (0.99, 1000),
    (0.99, 2000),
    (0.999, 3688),
)
SDM91 = ((1, 18, 36, 72, 108, 144, 216), (64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2))
SDM91_PUBLISHED = (0.0277285, 0.0001044, 89.9952330)
CISCO = (
    *(955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61),
    *(8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52),
    *(11151.43, 11518.63, 11806, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27),
    *(12118.04, 12140.4, 12074.39),
)
CISCO_PUBLISHED = (0.02671591, 7.690945e-4, 995.6486)


def main() -> None:
    """Print the tables."""
    for lines in (_histograms(), _intervals(), _published(), _laws()):
        print("\n".join(lines), end="\n\n")


def _histograms() -> Iterator[str]:
    yield f"Largest error of HDR percentiles against sorting {SAMPLES:,} samples"
    for name, shape in SHAPES.items():
        seconds = 1e-3 * shape.rvs(SAMPLES, random_state=np.random.default_rng(1))
        nanoseconds = np.clip(np.round(seconds * 1e9), 0, 3.6e12).astype(np.int64)
        histogram, ordered = Histogram.of(nanoseconds), np.sort(nanoseconds)
        errors = [
            abs(histogram.quantile(q) / ordered[math.ceil(q * SAMPLES) - 1] - 1.0)
            for q in QUANTILES
        ]
        yield f"  {name:<12} {max(errors):8.4%}   {_read_by_the_package(histogram)}"


def _read_by_the_package(histogram: Histogram) -> str:
    theirs = HdrHistogram.decode(encode_histogram(histogram))
    ratios = [theirs.get_value_at_percentile(100.0 * q) / histogram.quantile(q) for q in QUANTILES]
    count = theirs.get_total_count()
    agrees = count == histogram.count and all(abs(ratio - 1.0) < BUCKET for ratio in ratios)
    return f"hdrhistogram reads {count:,} and {'agrees' if agrees else 'DISAGREES'}"


def _intervals() -> Iterator[str]:
    yield f"95 % intervals that hold the truth, of {RUNS:,} runs; in brackets by whole ranks"
    yield " " * 18 + "".join(f"{name:>18}" for name in SHAPES)
    for q, count in CASES:
        cells = [_coverage(shape, q, count) for shape in SHAPES.values()]
        shown = "".join(f"{ours:>10.1%} ({whole:.1%})" for ours, whole in cells)
        yield f"  p{q * 100:<6g} n={count:<7}{shown}"


def _coverage(shape: Any, q: float, count: int) -> tuple[float, float]:
    rng = np.random.default_rng(round(1e6 * q) + count)
    truth = float(shape.ppf(q))
    runs = [OrderedSamples(run) for run in shape.ppf(rng.random((RUNS, count)))]
    low, high = interval_ranks(count, q)
    first, last = math.floor(low), math.ceil(high)
    ours = [estimate.low <= truth <= estimate.high for estimate in (r.estimate(q) for r in runs)]
    whole = [run.value_at_rank(first) <= truth <= run.value_at_rank(last) for run in runs]
    return float(np.mean(ours)), float(np.mean(whole))


def _published() -> Iterator[str]:
    yield "Coefficients of the universal scalability law against published ones"
    cases = {
        "SPEC SDM91 (R package usl)": (*SDM91, SDM91_PUBLISHED),
        "Cisco (Schwartz 2015)": (tuple(range(1, 33)), CISCO, CISCO_PUBLISHED),
    }
    for name, (workers, throughput, published) in cases.items():
        fit = fit_usl(workers, throughput, errors="absolute")
        for coefficient, expected in zip(("alpha", "beta", "gamma"), published, strict=True):
            value = getattr(fit, coefficient).value
            yield f"  {name:<27} {coefficient:<6} {value:12.7g} {value / expected - 1.0:+9.4%}"


def _laws() -> Iterator[str]:
    yield f"95 % intervals of coefficients that hold the truth, of {RUNS:,} runs with 3 % of noise"
    truth = {"alpha": 0.08, "beta": 0.002, "gamma": 1000.0}
    workers = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], 3)
    more = workers - 1.0
    cost = 1.0 + truth["alpha"] * more + truth["beta"] * workers * more
    exact = truth["gamma"] * workers / cost
    kinds: tuple[Errors, ...] = ("relative", "absolute")
    for errors in kinds:
        fits = _fits(workers, exact, errors)
        held = ", ".join(
            f"{name} {np.mean([_holds(fit, name, value) for fit in fits]):.1%}"
            for name, value in truth.items()
        )
        yield f"  {errors} errors: {held}"


def _fits(workers: FloatArray, exact: FloatArray, errors: Errors) -> list[ScalingFit]:
    rng = np.random.default_rng(9)
    return [
        fit_usl(workers, exact * np.exp(0.03 * rng.standard_normal(workers.size)), errors=errors)
        for _ in range(RUNS)
    ]


def _holds(fit: ScalingFit, name: str, value: float) -> bool:
    coefficient = getattr(fit, name)
    return bool(coefficient.low <= value <= coefficient.high)


if __name__ == "__main__":
    main()
