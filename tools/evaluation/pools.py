"""Several evaluations as one: what each tool did on a quiet and on a busy machine. Pure.

Runs of one tool under one condition are pooled over evaluations only where all that bears on them
was the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.evaluation.reading import rules_of
from tools.evaluation.records import TOOLS, Evaluation, EvaluationError, Run, Setting, Tool
from tools.evaluation.tally import Score, paired_ratios, score, told_by, truly_slower
from tools.evaluation.toy import CASES, Case
from tools.evaluation.workloads import kind_of

__all__ = ["IDENTICAL", "Condition", "Findings", "Measure", "Pool", "pooled"]

IDENTICAL = CASES["aa"]

Measure = Callable[[Run], float | None]
"""What a run took, in seconds."""

_MAY_DIFFER = frozenset({"tools", "busy"})
_OWN_SOURCE = "groundspeed_sha256"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Condition:
    """What else the machine did: this many competing CPU loops in every turn."""

    busy: int

    @property
    def name(self) -> str:
        """As a table and a chart call it."""
        return f"busy, {self.busy} loop{'s' * (self.busy > 1)}" if self.busy else "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All runs of one tool under one condition.

    Attributes:
        tool: Which tool.
        condition: What else the machine did.
        setting: Of the evaluations the runs are from.
        runs: All of them, those without a verdict included.
    """

    tool: Tool
    condition: Condition
    setting: Setting
    runs: tuple[Run, ...]

    def score(self, rule: str, case: Case, *, kind: str | None = None) -> Score:
        """How a rule did on a case; of one kind of work only its slowed rows can be found."""
        truth = truly_slower(case, self.setting)
        if kind is not None:
            truth = frozenset(workload for workload in truth if kind_of(workload) == kind)
        return score(told_by(rule, (run for run in self.runs if run.case == case.name)), truth)

    def spent(self, measure: Measure, *, case: Case | None = None) -> list[float]:
        """What `measure` says of every run with a verdict, on one case or all."""
        counted = (run for run in self.runs if run.problem is None)
        chosen = (run for run in counted if case is None or run.case == case.name)
        return [value for run in chosen if (value := measure(run)) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that a page shows, by tool and condition."""

    evaluations: tuple[Evaluation, ...]
    pools: tuple[Pool, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Quiet first."""
        return tuple(sorted({pool.condition for pool in self.pools}))

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Those that ran, in the one order."""
        ran = {pool.tool for pool in self.pools}
        return tuple(tool for tool in TOOLS if tool in ran)

    @property
    def rules(self) -> tuple[tuple[Tool, str], ...]:
        """Every rule of these tools."""
        return tuple((tool, rule) for tool in self.tools for rule in rules_of(tool))

    @property
    def slowdowns(self) -> tuple[Case, ...]:
        """The cases with slower rows that were measured, smallest first."""
        ran = {run.case for pool in self.pools for run in pool.runs}
        return tuple(case for case in CASES.values() if case.name in ran and case.factor > 1)

    def pool(self, tool: Tool, condition: Condition) -> Pool | None:
        """The runs of this tool under this condition, if there are any."""
        found = (p for p in self.pools if p.tool == tool and p.condition == condition)
        return next(found, None)

    def ruled(self, condition: Condition) -> Iterator[tuple[Pool, str]]:
        """Every rule of every tool that ran under this condition."""
        for tool, rule in self.rules:
            pool = self.pool(tool, condition)
            if pool is not None:
                yield pool, rule

    def everywhere(self) -> Iterator[tuple[Pool, str]]:
        """Every rule under every condition, the conditions of a rule together."""
        for tool, rule in self.rules:
            for condition in self.conditions:
                pool = self.pool(tool, condition)
                if pool is not None:
                    yield pool, rule

    def ratios(
        self, pair: tuple[Tool, Tool], condition: Condition, measure: Measure
    ) -> list[float]:
        """First / second tool of the pair, one per turn that both took part in."""
        return [
            ratio
            for evaluation in self.evaluations
            if evaluation.setting.busy == condition.busy
            for ratio in paired_ratios(evaluation.runs, pair, measure)
        ]


def pooled(evaluations: Sequence[Evaluation]) -> Findings:
    """Pool the runs of all evaluations by tool and condition.

    Raises:
        EvaluationError: If there are no runs, or some that cannot be counted together.
    """
    pools = tuple(
        _pool(tool, Condition(busy=busy), [e for e in evaluations if e.setting.busy == busy])
        for tool in TOOLS
        for busy in sorted({evaluation.setting.busy for evaluation in evaluations})
    )
    kept = tuple(pool for pool in pools if pool is not None)
    if not kept:
        raise EvaluationError("these evaluations hold no runs; measure first, with --repeats 20")
    return Findings(evaluations=tuple(evaluations), pools=kept)


def _pool(tool: Tool, condition: Condition, evaluations: Iterable[Evaluation]) -> Pool | None:
    having = [e for e in evaluations if any(run.tool == tool for run in e.runs)]
    if not having:
        return None
    settings = [evaluation.setting for evaluation in having]
    ignored = _MAY_DIFFER if tool.startswith("groundspeed") else _MAY_DIFFER | {_OWN_SOURCE}
    for name in Setting.__slots__:
        seen = [getattr(setting, name) for setting in settings]
        if name not in ignored and any(value != seen[0] for value in seen):
            raise EvaluationError(
                f"{tool}, {condition.name}: runs with another {name} cannot be counted together: "
                f"{' and '.join(map(repr, seen))}; leave out one of the folders"
            )
    runs = tuple(run for evaluation in having for run in evaluation.runs if run.tool == tool)
    return Pool(tool=tool, condition=condition, setting=settings[0], runs=runs)
