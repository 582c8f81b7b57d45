"""What was run, where, with what, and how its figures are to be read."""

from collections.abc import Iterator

from tools.performance_report.blocks import Block, Bullets, Code, Heading, Section, Table, said
from tools.performance_report.material import Material

__all__ = ["methodology"]

_INTERVALS = """\
Percentiles are order statistics of response times from the intended start, failures among them as \
infinite. Their intervals come from the ranks of the samples and ask nothing of the distribution; \
where samples hang together they are widened by drawing blocks of time again.
Throughput has Student's interval over 25 stretches of equal time. Shares have Wilson's.
Intervals are of 95 % and are those within this run: what differs from one run to the next is not \
in them, unless a table says that several runs are. Intervals of asv are of 99 %.
Without an interval stands what was read and not estimated, such as a peak of memory or a number \
of connections, and what had too few samples for one.
"""


def methodology(material: Material) -> Section:
    """How it was measured."""
    run = material.run
    rows = [
        ("processor", run.machine.cpu.brand_raw),
        ("CPUs", "unknown" if run.machine.cpu.count is None else str(run.machine.cpu.count)),
        ("system", f"{run.machine.system} {run.machine.release}, {run.machine.machine}".strip()),
        ("Python", f"{run.machine.python_implementation} {run.machine.python_version}"),
        ("pytest-benchmark", run.tool or "unknown"),
        ("commit", run.commit.short),
        ("commit's time", run.commit.time or "unknown"),
        ("branch", run.commit.branch or "unknown"),
        ("stored at", f"{run.at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    blocks: list[Block] = [
        Heading("Where"),
        Table(caption="Machine and versions", heads=("What", "Value"), rows=tuple(rows)),
        Heading("What was run"),
        said(
            f"{len(material.roster) - len(material.missing)} of the suite's {len(material.roster)} "
            f"tests, which left {len(material.results)} results, each timed and stored by "
            "pytest-benchmark."
        ),
        *_settings(material),
        Heading("How the intervals are made"),
        Bullets(tuple((sentence,) for sentence in _INTERVALS.splitlines())),
    ]
    return Section(title="Methodology", blocks=tuple(blocks))


def _settings(material: Material) -> Iterator[Block]:
    """What all tests that say so were run with alike; the rest stands with each test."""
    seen: dict[str, list[str]] = {}
    for result in material.results:
        for name, value in result.extra_info.setting.items():
            seen.setdefault(name, []).append(str(value))
    alike = {name: values for name, values in seen.items() if len(set(values)) == 1}
    if alike:
        yield Table(
            caption="Settings that are the same in every test that has them",
            heads=("Setting", "Value", ">Tests"),
            rows=tuple(
                (Code(name), values[0], str(len(values))) for name, values in sorted(alike.items())
            ),
        )
