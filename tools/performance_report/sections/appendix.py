"""Every test with its levels and settings, where the data are, and what words mean."""

from tools.performance_report.amounts import amount_of
from tools.performance_report.blocks import (
    Block,
    Bullets,
    Code,
    Commands,
    Inline,
    Link,
    Mark,
    Section,
    Table,
    said,
)
from tools.performance_report.material import Material
from tools.performance_report.sections.summary import level_limit
from tools.performance_report.stored import STORE, Figure, Result, StoredRun

__all__ = ["every_test", "glossary", "raw_data"]

_GLOSSARY = (
    ("baseline", "the newest earlier run of another commit on the same machine"),
    ("critical", "no better than the critical value of a level: the test fails"),
    ("interval", "where the true value lies, 95 times in 100"),
    ("Little's law", "requests in flight = rate x response time; the gap says how far it is off"),
    ("P50, P95, P99", "the time within which 50, 95, 99 of 100 requests were answered"),
    ("response time", "from when a request was to be sent to its answer, waiting included"),
    ("target", "what a level should be better than: missed, the test warns"),
    ("throughput", "good answers a second"),
    ("undecided", "a limit lies within the interval, or the run cannot be believed"),
)


def every_test(material: Material) -> Section:
    """The verdict of every test of the suite, those that are not in the run among them."""
    rows: list[tuple[Inline, ...]] = [_row(result) for result in material.results]
    rows += [
        (Code(test.fullname.partition("::")[2]), Mark(state="not run"), "", "", "", "")
        for test in material.missing
    ]
    table = Table(
        caption="Every test",
        heads=("Test", "Verdict", "Levels", "Why", "With", ">Median of the timed rounds"),
        rows=tuple(rows),
    )
    return Section(title="Every test", blocks=(table,))


def _row(result: Result) -> tuple[Inline, ...]:
    extra, stats = result.extra_info, result.stats
    levels = "; ".join(
        f"{level.title} {amount_of(level.figure).text} {level_limit(level, level.target)}: "
        f"{level.standing}" + (f" ({level.reason})" if level.reason else "")
        for level in extra.levels
    )
    setting = ", ".join(f"{name} {value}" for name, value in extra.setting.items())
    median = amount_of(Figure(value=stats.median, unit="s")).value
    rounds = f"{stats.rounds:,} {'round' if stats.rounds == 1 else 'rounds'}"
    return (
        Code(result.name),
        Mark(state=result.verdict),
        levels or "held to none",
        result.reason,
        setting,
        f"{median} of {rounds}",
    )


def raw_data(material: Material) -> Section:
    """Where every figure comes from, and how to have it again."""
    runs = [("This run", material.run)]
    if material.baseline is not None:
        runs.append(("Baseline", material.baseline))
    rows = tuple((what, _link(material, run), run.commit.short) for what, run in runs)
    blocks: list[Block] = [
        said("Every figure is read from these files, which pytest-benchmark wrote:"),
        Table(caption="Stored runs", heads=("What", "File", "Commit"), rows=rows),
        said("To store a run and to write this report anew:"),
        Commands((STORE, "python -m tools.performance_report")),
    ]
    return Section(title="Raw data", blocks=tuple(blocks))


def _link(material: Material, run: StoredRun) -> Inline:
    target = material.link(run.path)
    return Link(text=run.path.name, target=target) if target else Code(run.path.name)


def glossary() -> Section:
    """What the words mean."""
    items = tuple((f"{word}: {meaning}",) for word, meaning in _GLOSSARY)
    return Section(title="Glossary", blocks=(Bullets(items),))
