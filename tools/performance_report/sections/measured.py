"""What was measured, a section for each kind of test.

Every section is made alike: where its tests stand, load runs, percentiles, all other figures, and
a chart of everything that has more than one point.
"""

import math
import re
from collections.abc import Iterator, Sequence

from tools.performance_report.amounts import amount_of, words
from tools.performance_report.blocks import (
    Axis,
    Block,
    Bullets,
    Curve,
    Heading,
    Inline,
    Limit,
    Lines,
    Mark,
    Range,
    Ranges,
    Section,
    Table,
    said,
)
from tools.performance_report.material import (
    NANOSECONDS,
    Loaded,
    Material,
    is_of,
    runs_with,
    title_of,
)
from tools.performance_report.roster import SECTIONS
from tools.performance_report.scaling import is_scaling, noun_of, scaling_blocks
from tools.performance_report.stored import Figure, Level, Result, Series

from groundspeed.load.figures import parse_latency_metric

__all__ = ["measured_sections"]

_CURVES_MAX = 4  # more lines in a chart are not told apart
_PERCENTILE = re.compile(r"(?P<of>.*?)_?s_(?P<at>p\d+(?:\.\d+)?|mean|median|min|max)$")
_COLUMNS = ("min", "mean", "p50", "p95", "p99", "p99.9", "max")
_ALIASES = {"median": "p50"}
_DRAWN = ("p50", "p95", "p99")
_BARS = ("latency_s_p50", "latency_s_p95", "latency_s_p99")
_FINEST = 0.9999


def measured_sections(material: Material) -> Iterator[Section]:
    """The sections, in the report's order; `Other tests` only where there are any."""
    for key, title in SECTIONS.items():
        results, absent = material.within(key), material.absent(key)
        if key == "other" and not (results or absent):
            continue
        blocks = list(_blocks(material, results)) if results else []
        if absent:
            names = ", ".join(title_of(test.fullname) for test in absent)
            blocks.append(said(f"Not in this run: {names}."))
        if key == "optimizations":
            blocks += _asv(material)
        if not blocks:
            blocks.append(said("The suite has no such test."))
        yield Section(title=title, blocks=tuple(blocks))


def _blocks(material: Material, results: tuple[Result, ...]) -> Iterator[Block]:
    loads = list(material.loads(results))
    yield _standing(material, results)
    yield from _load_tables(loads)
    yield from _percentile_charts(loads)
    yield from _latency_table(results)
    yield from _figure_table(results)
    for result in results:
        yield from _series_charts(material, result)


def _standing(material: Material, results: Sequence[Result]) -> Table:
    told = {test.fullname: test.first_line for test in material.roster}
    return Table(
        caption="Where its tests stand",
        heads=("Test", "What it measures", "Verdict", "Why"),
        rows=tuple(
            (
                title_of(result.fullname),
                told.get(result.test, ""),
                Mark(state=result.verdict),
                result.reason,
            )
            for result in results
        ),
    )


def _load_tables(loads: Sequence[Loaded]) -> Iterator[Block]:
    if not loads:
        return
    yield Heading("Load runs")
    yield Table(
        caption="Response times from the intended start; mean, least and most are those of good "
        "answers as they were counted",
        heads=(
            "Run",
            ">Duration",
            ">Throughput",
            ">Mean",
            ">P50",
            ">P95",
            ">P99",
            ">Least",
            ">Most",
        ),
        rows=tuple(map(_times_row, loads)),
    )
    has_cpu = any(_named(one.result, "cpu", "share") for one in loads)
    yield Table(
        caption="What the runs did, and whether they can be believed",
        heads=(
            "Run",
            "Model",
            ">Requests",
            ">Errors",
            "Failures",
            ">Memory at most",
            *([">CPU"] if has_cpu else []),
            ">Little's law gap",
            ">Generator's lag P99",
            "Valid",
        ),
        rows=tuple(_facts_row(one, has_cpu=has_cpu) for one in loads),
    )
    yield from _notes(loads)


def _notes(loads: Sequence[Loaded]) -> Iterator[Block]:
    """Why runs say nothing of their target, and what else a reader should know."""
    notes = [(f"{one.name} is INVALID", one.run.invalid) for one in loads]
    notes += [(one.name, one.run.notes) for one in loads]
    items = tuple((f"{name}: {'; '.join(why)}",) for name, why in notes if why)
    if items:
        yield Bullets(items)


def _times_row(one: Loaded) -> tuple[Inline, ...]:
    histogram = one.histogram
    counted: list[float | None] = [None, None, None]
    if histogram.count:
        least, most = histogram.value_at_rank(1), histogram.value_at_rank(histogram.count)
        counted = [value / NANOSECONDS for value in (histogram.mean, least, most)]
    mean, low, high = (amount_of(Figure(value=value, unit="s")) for value in counted)
    return (
        one.name,
        amount_of(Figure(value=one.run.drained_s, unit="s")),
        _cell(one.run.figure("throughput_per_s")),
        mean,
        *(_cell(one.run.figure(metric)) for metric in _BARS),
        low,
        high,
    )


def _facts_row(one: Loaded, *, has_cpu: bool) -> tuple[Inline, ...]:
    run = one.run
    failures = ", ".join(f"{name} {count:,}" for name, count in sorted(run.failures.items()))
    partial = " (interrupted)" if run.partial else ""
    return (
        one.name,
        run.model,
        f"{run.recorded:,}",
        _cell(run.figure("error_rate")),
        failures or "none",
        _cell(run.figure("rss_bytes") or _named(one.result, "rss", "bytes")),
        *([_cell(_named(one.result, "cpu", "share"))] if has_cpu else []),
        amount_of(Figure(value=run.littles_law_gap, unit="share")),
        amount_of(Figure(value=run.lag_s_p99, unit="s")),
        ("yes" if run.valid else "no") + partial,
    )


def _named(result: Result, part: str, unit: str) -> Figure | None:
    """The first figure of a test with this in its name, and this unit."""
    figures = result.extra_info.figures.items()
    return next((f for name, f in figures if part in name and f.unit == unit), None)


def _cell(figure: Figure | None) -> Inline:
    return "not measured" if figure is None else amount_of(figure)


def _percentile_charts(loads: Sequence[Loaded]) -> Iterator[Block]:
    parts = math.ceil(len(loads) / _CURVES_MAX)
    for part in range(parts):
        shown = loads[part * len(loads) // parts : (part + 1) * len(loads) // parts]
        curves = tuple(Curve(name=one.name, points=_curve(one)) for one in shown)
        if any(curve.points for curve in curves):
            yield Lines(
                title="Response time by share of the arrivals"
                + (f", {part + 1} of {parts}" if parts > 1 else ""),
                x=Axis(title="share of the arrivals answered within it", unit="", kind="nines"),
                y=Axis(title="response time", unit="s", kind="log"),
                curves=curves,
                limits=_limits(shown),
            )
    rows = tuple(row for one in loads for row in _percentile_rows(one))
    if rows:
        axis = Axis(title="response time", unit="s", kind="log")
        yield Ranges(title="Percentiles with 95 % intervals and limits", axis=axis, rows=rows)


def _curve(one: Loaded) -> tuple[tuple[float, float], ...]:
    """Twenty points for each factor of ten in what is left to 1, as far as there are samples.

    The least would pull the axis down to what no other answer was near.
    """
    total = one.histogram.count + one.beyond
    steps = (1.0 - 10.0 ** (-step / 20.0) for step in range(1, 81))
    wanted = [q for q in steps if q <= _FINEST and (1.0 - q) * total >= 1.0]
    points = ((q, one.seconds_at(q)) for q in wanted)
    return tuple((q, seconds) for q, seconds in points if seconds is not None)


def _limits(loads: Sequence[Loaded]) -> tuple[Limit, ...]:
    """The targets and critical values of these runs' percentiles, each once."""
    found: dict[Limit, None] = {}
    for one in loads:
        for metric in (figure.metric for figure in one.run.figures):
            level, q = _level(one.result, metric, one.run.figure(metric)), _quantile(metric)
            if level is not None and q is not None:
                found[Limit(name=level.title, kind="target", y=level.target, x=q)] = None
                found[Limit(name=level.title, kind="critical", y=level.critical, x=q)] = None
    return tuple(found)


def _quantile(metric: str) -> float | None:
    return parse_latency_metric(metric) if metric.startswith("latency_s_p") else None


def _level(result: Result, metric: str, figure: Figure | None) -> Level | None:
    """The level that holds this figure; of several runs of a test the one with its value."""
    levels = result.extra_info.levels
    same = (one for one in levels if figure is not None and one.value == figure.value)
    return next((level for level in same if is_of(level.metric, metric)), None)


def _percentile_rows(one: Loaded) -> Iterator[Range]:
    for metric in _BARS:
        figure = one.run.figure(metric)
        if figure is not None and figure.value is not None:
            name = f"{one.name} {words(metric).removeprefix('latency ')}"
            yield _row(name, figure, _level(one.result, metric, figure))


def _row(name: str, figure: Figure, level: Level | None) -> Range:
    value = figure.value or 0.0
    return Range(
        name=name,
        value=value,
        low=value if figure.low is None else figure.low,
        high=value if figure.high is None else figure.high,
        text=amount_of(figure).text,
        target=level.target if level else None,
        critical=level.critical if level else None,
        state=level.standing if level else None,
    )


def _split(name: str) -> tuple[str, str] | None:
    """Of `get_latency_s_p95` the operation `get_latency` and the column `p95`."""
    found = _PERCENTILE.fullmatch(name)
    if found is None:
        return None
    at = _ALIASES.get(found["at"], found["at"])
    return (found["of"], at) if at in _COLUMNS else None


def _further(result: Result) -> Iterator[tuple[str, Figure]]:
    """The figures that the tables of load runs do not show already."""
    figures = result.extra_info.figures.items()
    return ((name, figure) for name, figure in figures if not runs_with(result, name, figure))


def _latency_table(results: Sequence[Result]) -> Iterator[Block]:
    """Tests and operations by percentile, with the columns that any of them has."""
    rows: dict[tuple[str, str], dict[str, Figure]] = {}
    for result in results:
        for name, figure in _further(result):
            split = _split(name)
            if split is not None and figure.unit == "s":
                rows.setdefault((result.fullname, split[0]), {})[split[1]] = figure
    if not rows:
        return
    columns = [column for column in _COLUMNS if any(column in row for row in rows.values())]
    yield Heading("Times")
    yield Table(
        caption="Times by percentile, with 95 % intervals",
        heads=("Test", "Time", *(f">{_head(column)}" for column in columns)),
        rows=tuple(
            (
                title_of(fullname),
                words(of) or "time",
                *(amount_of(row[column]) if column in row else "" for column in columns),
            )
            for (fullname, of), row in rows.items()
        ),
    )
    shown = tuple(_time_rows(results))
    if shown:
        axis = Axis(title="time", unit="s", kind="log")
        yield Ranges(title="Times with 95 % intervals and limits", axis=axis, rows=shown)


def _time_rows(results: Sequence[Result]) -> Iterator[Range]:
    """A row for each percentile of each time that is drawn."""
    for result in results:
        for name, figure in _further(result):
            split = _split(name)
            if split and split[1] in _DRAWN and figure.unit == "s" and figure.value is not None:
                called = f"{title_of(result.fullname)}: {words(name)}"
                yield _row(called, figure, _level(result, name, figure))


def _head(column: str) -> str:
    named = {"min": "Least", "max": "Most", "mean": "Mean"}
    return named.get(column) or column.upper()


def _figure_table(results: Sequence[Result]) -> Iterator[Block]:
    rows = tuple(
        (title_of(result.fullname), words(name), amount_of(figure))
        for result in results
        for name, figure in _further(result)
        if _split(name) is None or figure.unit != "s"
    )
    if rows:
        yield Heading("Figures")
        heads = ("Test", "Figure", ">Value")
        yield Table(caption="What else was measured", heads=heads, rows=rows)


def _series_charts(material: Material, result: Result) -> Iterator[Block]:
    """One chart for each pair of units: what has the same axes is shown together."""
    grouped: dict[tuple[str, str], dict[str, Series]] = {}
    for name, series in result.extra_info.series.items():
        if series.x:
            grouped.setdefault((series.x_unit, series.y_unit), {})[name] = series
    for (x_unit, y_unit), found in grouped.items():
        title = f"{title_of(result.fullname)}: {', '.join(map(words, found))}"
        if is_scaling(x_unit, y_unit):
            for name, series in found.items():
                yield from scaling_blocks(
                    f"{title_of(result.fullname)}: {words(name)}",
                    series,
                    noun=noun_of(name, x_unit),
                    cpus=material.run.machine.cpu.count,
                )
            continue
        names = list(found)
        for start in range(0, len(names), _CURVES_MAX):
            shown = {name: found[name] for name in names[start : start + _CURVES_MAX]}
            yield Lines(
                title=title,
                x=Axis(
                    title="time" if x_unit == "s" else noun_of(names[start], x_unit), unit=x_unit
                ),
                y=Axis(title=_axis_title(list(shown), y_unit), unit=y_unit),
                curves=tuple(_series_curve(name, series) for name, series in shown.items()),
            )


def _across(name: str, unit: str) -> str:
    return "time" if unit == "s" else noun_of(name, unit)


def _axis_title(names: list[str], unit: str) -> str:
    return words(names[0]) if len(names) == 1 else {"s": "time", "bytes": "size"}.get(unit, unit)


def _series_curve(name: str, series: Series) -> Curve:
    points = tuple(sorted(zip(series.x, series.y, strict=True)))
    return Curve(name=words(name), points=points)


def _asv(material: Material) -> Iterator[Block]:
    if material.asv is None:
        yield said("There are no results of asv for the four modules.")
        return
    asv = material.asv
    yield Heading("By asv")
    of_it = "of this commit" if asv.commit == material.run.commit.id else "of another commit"
    yield said(f"Commit {asv.commit[:12]}, {of_it}, on {asv.machine or 'its machine'}.")
    yield Table(
        caption="What asv measured of the modules, with 99 % intervals",
        heads=("Benchmark", ">Value"),
        rows=tuple((row.name, amount_of(row.figure)) for row in asv.rows),
    )
