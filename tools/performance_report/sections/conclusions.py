"""What follows from the figures, and nothing that does not: bottlenecks, advice, capacity."""

import math
from collections.abc import Iterator

from tools.performance_report.amounts import amount_of, digits, words
from tools.performance_report.blocks import (
    Block,
    Commands,
    Heading,
    Inline,
    Mark,
    Section,
    Table,
    said,
)
from tools.performance_report.material import Judged, Loaded, Material, headroom, title_of
from tools.performance_report.ratios import figure_of_ratio, ratio_of
from tools.performance_report.scaling import coefficient_of, fit_of, is_scaling, noun_of
from tools.performance_report.sections.summary import level_limit, test_command
from tools.performance_report.stored import Figure, Result, Series, Verdict

__all__ = ["bottlenecks", "capacity", "recommendations"]

_SHOWN_MAX = 5
_PRIORITIES: tuple[tuple[str, Verdict, str], ...] = (
    ("High priority", "failed", "what failed"),
    ("Medium priority", "warned", "what missed a target"),
    ("Low priority", "undecided", "what could not decide"),
)


def bottlenecks(material: Material) -> Section:
    """Where the figures point: levels missed, least headroom, waits, tails and failures."""
    blocks: list[Block] = [
        *_missed(material),
        *_least_headroom(material),
        *_waits(material),
        *_tails(material),
        *_failures(material),
    ]
    return Section(title="Bottlenecks", blocks=tuple(blocks))


def _missed(material: Material) -> Iterator[Block]:
    open_levels = [one for one in material.judged() if one.level.standing != "met"]
    if not open_levels:
        yield said("No service level was missed, critical or undecided.")
        return
    yield Heading("Levels that are not met")
    yield _levels_table("Levels that are not met, worst first", open_levels)


def _least_headroom(material: Material) -> Iterator[Block]:
    met = [one for one in material.judged() if one.level.standing == "met"]
    if met:
        yield Heading("Least headroom")
        nearest = sorted(met, key=lambda one: (headroom(one.level), one.result.fullname))
        yield _levels_table("Levels that are met by the least", nearest[:_SHOWN_MAX])


def _levels_table(caption: str, judged: list[Judged]) -> Table:
    ordered = sorted(judged, key=lambda one: (*one.severity, one.result.fullname))
    return Table(
        caption=caption,
        heads=("Test", "Level", ">Figure", ">Target", ">Critical", ">Left of the target", "Stands"),
        rows=tuple(
            (
                title_of(one.result.fullname),
                one.level.title,
                amount_of(one.level.figure),
                level_limit(one.level, one.level.target),
                level_limit(one.level, one.level.critical),
                _left(one),
                Mark(state=one.level.standing),
            )
            for one in ordered
        ),
    )


def _left(one: Judged) -> str:
    left = headroom(one.level)
    return f"{digits(100.0 * left)} %" if math.isfinite(left) else "unknown"


def _waits(material: Material) -> Iterator[Block]:
    """Waiting as a share of the same percentile of the response time, where a test has both."""
    rows = [row for one in material.loads() for row in _wait_rows(one)]
    if rows:
        yield Heading("Waiting")
        yield Table(
            caption="Waits beside the same percentile of the response time",
            heads=("Run", "Wait", ">Wait", ">Response time", ">Wait / response"),
            rows=tuple(rows),
        )


def _wait_rows(one: Loaded) -> Iterator[tuple[Inline, ...]]:
    for name, wait in one.result.extra_info.figures.items():
        if "wait" not in name or wait.unit != "s" or "_p" not in name:
            continue
        whole = one.run.figure(f"latency_s_p{name.rpartition('_p')[2]}")
        if whole is None:
            continue
        ratio = ratio_of(whole, wait)
        shown: Inline = "unknown" if ratio is None else amount_of(figure_of_ratio(ratio))
        yield one.name, words(name), amount_of(wait), amount_of(whole), shown


def _tails(material: Material) -> Iterator[Block]:
    """Load runs whose P99 is the largest multiple of their median."""
    found = []
    for one in (loaded for loaded in material.loads() if loaded.run.valid):
        median, tail = (one.run.figure(f"latency_s_{at}") for at in ("p50", "p99"))
        ratio = ratio_of(median, tail) if median and tail else None
        if ratio is not None:
            found.append((ratio, one))
    if not found:
        return
    found.sort(key=lambda pair: (-pair[0][1], pair[1].result.fullname, pair[1].name))
    yield Heading("Longest tails")
    yield Table(
        caption="P99 as a multiple of the median, the largest first",
        heads=("Run", ">P99 / P50"),
        rows=tuple(
            (one.name, amount_of(figure_of_ratio(ratio))) for ratio, one in found[:_SHOWN_MAX]
        ),
    )


def _failures(material: Material) -> Iterator[Block]:
    counts: dict[str, int] = {}
    for one in material.loads():
        for name, count in one.run.failures.items():
            counts[name] = counts.get(name, 0) + count
    total = sum(counts.values())
    if not total:
        return
    yield Heading("Failures")
    yield Table(
        caption="Failed requests of all load runs, by class",
        heads=("Class", ">Requests", ">Share of the failures"),
        rows=tuple(
            (name, f"{count:,}", f"{digits(100.0 * count / total)} %")
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def recommendations(material: Material) -> Section:
    """What to do, from the verdicts alone."""
    blocks: list[Block] = []
    for priority, verdict, what in _PRIORITIES:
        results = [result for result in material.results if result.verdict == verdict]
        if results:
            blocks.append(Heading(f"{priority}: {what}"))
            blocks.append(_advice(what, results))
            blocks.append(Commands(tuple(dict.fromkeys(map(test_command, results)))))
    if material.missing:
        blocks.append(Heading("Not in this run"))
        count = len(material.missing)
        tests = "1 test is" if count == 1 else f"{count} tests are"
        blocks.append(said(f"{tests} missing: run them, or see why pytest skipped them."))
    if not blocks:
        blocks.append(said("Every test passed: the verdicts recommend nothing."))
    return Section(title="Recommendations", blocks=tuple(blocks))


def _advice(what: str, results: list[Result]) -> Table:
    return Table(
        caption=f"What the verdicts ask for: {what}",
        heads=("Test", "Bring", "Why"),
        rows=tuple((title_of(result.fullname), _goal(result), result.reason) for result in results),
    )


def _goal(result: Result) -> str:
    goals = [
        f"{level.title} from {amount_of(level.figure).value} to {level_limit(level, level.target)}"
        for level in result.extra_info.levels
        if level.standing in {"missed", "critical"}
    ]
    return "; ".join(goals) or (
        "it to a verdict" if result.verdict == "undecided" else "what its reason names"
    )


def capacity(material: Material) -> Section:
    """The most that was served, and how throughput grew; nothing beyond what was tried."""
    blocks: list[Block] = [
        said(
            "Only what was measured: no run was larger than these, and nothing is said of what "
            "a larger one would do."
        ),
        *_most_served(material),
        *_growth(material),
    ]
    if len(blocks) == 1:
        blocks = [said("This run holds no load run and no throughput over workers.")]
    return Section(title="Capacity", blocks=tuple(blocks))


def _most_served(material: Material) -> Iterator[Block]:
    served = [
        (figure.value, one)
        for one in material.loads()
        if one.run.valid
        and (figure := one.run.figure("throughput_per_s")) is not None
        and figure.value is not None
    ]
    if not served:
        return
    served.sort(key=lambda pair: (-pair[0], pair[1].result.fullname, pair[1].name))
    yield Table(
        caption="Load runs by throughput, the largest first",
        heads=("Run", "With", ">Throughput", ">P95", ">Errors", "Test"),
        rows=tuple(_served_row(one) for _, one in served),
    )


def _served_row(one: Loaded) -> tuple[Inline, ...]:
    figures = (one.run.figure(m) for m in ("throughput_per_s", "latency_s_p95", "error_rate"))
    shown = (amount_of(f) if f is not None else "not measured" for f in figures)
    setting = one.result.extra_info.setting
    told = ", ".join(f"{name} {setting[name]}" for name in ("accounts", "users") if name in setting)
    return one.name, told or one.run.model, *shown, Mark(state=one.result.verdict)


def _growth(material: Material) -> Iterator[Block]:
    rows = tuple(
        (
            title_of(result.fullname),
            f"{max(series.x):g} {noun_of(name, series.x_unit)}",
            amount_of(Figure(value=max(series.y), unit=series.y_unit)),
            *_law(series),
        )
        for result in material.results
        for name, series in result.extra_info.series.items()
        if series.x and is_scaling(series.x_unit, series.y_unit)
    )
    if rows:
        yield Table(
            caption="Throughput by number of users, workers or partitions, and the fitted law: "
            "contention is work that waits for others, coherency what agreeing costs",
            heads=("Test", "Up to", ">Most throughput seen", ">Contention", ">Coherency"),
            rows=rows,
        )


def _law(series: Series) -> tuple[Inline, Inline]:
    fit = fit_of(series)
    if fit is None:
        return "too few points", "too few points"
    return coefficient_of(fit.alpha), coefficient_of(fit.beta)
