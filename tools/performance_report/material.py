"""What a report is written from, and the questions that more than one section asks of it."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.performance_report.asv import AsvRun
from tools.performance_report.roster import Test, section_of
from tools.performance_report.stored import Figure, Level, LoadRun, ReportError, Result, StoredRun

from groundspeed.stats import Histogram, decode_histogram

__all__ = [
    "NANOSECONDS",
    "Judged",
    "Loaded",
    "Material",
    "headroom",
    "is_of",
    "runs_with",
    "times_target",
    "title_of",
]

NANOSECONDS = 1e9
_SEVERITY = {"critical": 0, "undecided": 1, "missed": 2, "met": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A level and the test that was held to it."""

    result: Result
    level: Level

    @property
    def severity(self) -> tuple[int, float]:
        """Worst first."""
        return _SEVERITY[self.level.standing], headroom(self.level)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A load run, the test that made it, and the distribution of its good answers."""

    name: str
    result: Result
    run: LoadRun
    histogram: Histogram

    @property
    def beyond(self) -> int:
        """Arrivals after the warm-up without a good answer: beyond every percentile."""
        rate = self.run.figure("error_rate")
        if rate is None or rate.value is None or rate.value >= 1.0:
            return sum(self.run.failures.values())
        return round(self.histogram.count * rate.value / (1.0 - rate.value))

    def seconds_at(self, q: float) -> float | None:
        """The response time at a share of the arrivals; None where it is that of a failure."""
        rank = max(1, math.ceil((self.histogram.count + self.beyond) * q * (1.0 - 1e-12)))
        if rank > self.histogram.count:
            return None
        return self.histogram.value_at_rank(rank) / NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything a report is written from.

    Attributes:
        run: What is reported.
        like: It, and other runs of the same code on the same machine.
        baseline: What it is compared with; None without one.
        baseline_like: That, and other runs of the same code.
        no_baseline: Why there is none.
        roster: The suite's tests.
        asv: The newest asv results; None without any.
        link: Gives the path of a file from where the report will be.
    """

    run: StoredRun
    like: tuple[StoredRun, ...]
    baseline: StoredRun | None
    baseline_like: tuple[StoredRun, ...]
    no_baseline: str
    roster: tuple[Test, ...]
    asv: AsvRun | None
    link: Callable[[Path], str]

    @property
    def results(self) -> tuple[Result, ...]:
        """What the run holds, in the suite's order; what the suite does not know comes last."""
        place = {test.fullname: index for index, test in enumerate(self.roster)}
        return tuple(
            sorted(
                self.run.results,
                key=lambda r: (place.get(r.test, len(place)), _natural(r.fullname)),
            )
        )

    @property
    def missing(self) -> tuple[Test, ...]:
        """Tests of the suite that the run does not hold."""
        held = {result.test for result in self.run.results}
        return tuple(test for test in self.roster if test.fullname not in held)

    def within(self, section: str) -> tuple[Result, ...]:
        """The results of a section."""
        return tuple(result for result in self.results if section_of(result.test) == section)

    def absent(self, section: str) -> tuple[Test, ...]:
        """The missing tests of a section."""
        return tuple(test for test in self.missing if section_of(test.fullname) == section)

    def judged(self) -> Iterator[Judged]:
        """Every level of every test."""
        for result in self.results:
            for level in result.extra_info.levels:
                yield Judged(result=result, level=level)

    def loads(self, results: tuple[Result, ...] | None = None) -> Iterator[Loaded]:
        """Every load run, of these tests or of all.

        Raises:
            ReportError: If a stored distribution is none.
        """
        for result in self.results if results is None else results:
            for name, run in _numbered(result.extra_info.load):
                try:
                    histogram = decode_histogram(run.response_histogram)
                except ValueError as error:
                    raise ReportError(
                        f"{self.run.path}: {result.fullname}, load run {run.name}: {error}"
                    ) from None
                yield Loaded(name=name, result=result, run=run, histogram=histogram)


def _numbered(runs: Sequence[LoadRun]) -> Iterator[tuple[str, LoadRun]]:
    """Runs by their scenarios' names; those of one scenario one after the other, counted."""
    names = [run.name for run in runs]
    seen: dict[str, int] = {}
    for run in sorted(runs, key=lambda run: _natural(run.name)):
        called, count = run.name.replace("_", " "), names.count(run.name)
        seen[run.name] = seen.get(run.name, 0) + 1
        yield (called if count == 1 else f"{called}, {seen[run.name]} of {count}"), run


def _natural(name: str) -> list[tuple[str, int]]:
    """A key by which 2 comes before 10."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or 0)) for text, number in parts]


def runs_with(result: Result, name: str, figure: Figure) -> tuple[LoadRun, ...]:
    """The load runs of a test that a figure of the test is of, under the same name and value."""
    return tuple(
        run
        for run in result.extra_info.load
        if (is_of(name, "littles_law_gap") and run.littles_law_gap == figure.value)
        or any(is_of(name, one.metric) and one.value == figure.value for one in run.figures)
    )


def is_of(name: str, metric: str) -> bool:
    """Whether a name is that metric's, or that metric's of one of several runs."""
    return name == metric or name.endswith(f".{metric}")


def title_of(fullname: str) -> str:
    """The name of a test for people: `test_load.py::TestX::test_100_accounts` is `100 accounts`."""
    return fullname.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def headroom(level: Level) -> float:
    """The share of its target that a level has left; below 0 where it is missed or unknown."""
    return -math.inf if level.value is None else 1.0 - times_target(level, level.value)


def times_target(level: Level, value: float) -> float:
    """How many times its target a value is, above 1 where it is worse."""
    over, under = (value, level.target) if level.better == "lower" else (level.target, value)
    if under == 0.0:
        return 1.0 if over == 0.0 else math.inf
    return over / under
