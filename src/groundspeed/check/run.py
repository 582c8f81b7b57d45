"""One check from the command to the record."""

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from groundspeed import __version__
from groundspeed.check.exchange import exchange_labels
from groundspeed.check.excuses import Excuses, entries_for
from groundspeed.check.request import CheckRequest, Progress
from groundspeed.check.roster import Selection
from groundspeed.check.session import Session, SessionResult
from groundspeed.check.verdict import decide
from groundspeed.errors import BrokenError
from groundspeed.measure.environments import Environments, prepare
from groundspeed.measure.lockstep import Launcher
from groundspeed.measure.machine import CpuPlan, describe_machine, plan_cpus
from groundspeed.measure.repository import Commit, Repository
from groundspeed.measure.scratch import cache_folder, scratch_folder
from groundspeed.measure.suite import SuiteConfig, find_suite
from groundspeed.model import CHECK_SCHEMA, AcceptedEntry, CheckRecord, Settings, Side
from groundspeed.model import Commit as CommitRecord
from groundspeed.store.accepted import ACCEPTED_FILE, read_accepted
from groundspeed.store.rules import Rules, find_rules

__all__ = ["CheckPlan", "run_check"]

WORKING_TREE = "working tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """Which two sides are compared, by which suite.

    Attributes:
        repository: Where the commits are.
        suite: The asv configuration.
        base: The commit compared with.
        candidate: The commit judged; None for the working tree.
        dirty: Whether the working tree differs from its commit.
        reason: Why this base, when the user named none.
        rules: What the project's pyproject.toml says about defaults and single rows.
        accepted: The slowdowns that were accepted, and what each means for these two sides.
    """

    repository: Repository
    suite: SuiteConfig
    base: Commit
    candidate: Commit | None
    dirty: bool
    reason: str | None
    rules: Rules
    accepted: tuple[AcceptedEntry, ...]

    @property
    def candidate_commit(self) -> Commit | None:
        """The commit that holds the candidate; None if only a changed working tree does."""
        if self.candidate is None and not self.dirty:
            return self.repository.resolve("HEAD")
        return self.candidate

    def excuses(self, today: date) -> Excuses:
        """What may keep a slower row from blocking on this day."""
        return Excuses(rules=self.rules, entries=self.accepted, today=today)

    @classmethod
    def of(cls, request: CheckRequest, results: Path) -> "CheckPlan":
        """Resolve what the user typed.

        Raises:
            UsageError: If there is no repository, suite or such commit, or a rule or an accepted
                slowdown is not written as it must be.
            NoBaselineError: If nothing can serve as base.
        """
        repository = Repository.discover(request.start)
        suite = find_suite(request.start, repository, config=request.config)
        folder = suite.path.parent
        rules = find_rules(folder, repository.root)
        written = [*suite.output_dirs, folder / results, folder / ACCEPTED_FILE]
        candidate = repository.resolve(request.candidate) if request.candidate else None
        dirty = candidate is None and repository.is_dirty(ignoring=written)
        if request.base is not None:
            base, reason = repository.resolve(request.base), None
        else:
            choice = repository.default_base(dirty=dirty, candidate=candidate)
            base, reason = choice.commit, choice.reason
        accepted = entries_for(
            read_accepted(folder / ACCEPTED_FILE),
            repository,
            base=base.sha,
            candidate=(candidate or repository.head()).sha,
        )
        return cls(
            repository=repository,
            suite=suite,
            base=base,
            candidate=candidate,
            dirty=dirty,
            reason=reason,
            rules=rules,
            accepted=accepted,
        )


def run_check(
    request: CheckRequest,
    plan: CheckPlan,
    *,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> CheckRecord:
    """Measure base and candidate in launch pairs and decide; keeps and prints nothing.

    Raises:
        UsageError: If nothing matches the selection.
        BrokenError: If an environment or a whole side is broken.
    """
    started_at, start_s = datetime.now(UTC), clock()
    seed = secrets.randbits(32) if request.seed is None else request.seed
    rule = request.rule.for_budget(request.budget_s)
    cpus = plan_cpus(pin=request.pin, lanes=request.lanes)
    cache = cache_folder()
    with _disk_errors_explained(cache), scratch_folder(cache) as scratch:
        progress.say("preparing both sides")
        environments = prepare(
            plan.repository,
            plan.suite,
            base=plan.base,
            candidate=plan.candidate_commit,
            mode=request.environment,
            scratch=scratch,
            cache=cache,
            say=progress.say,
        )
        session = Session(
            launcher=_launcher(plan, environments, cpus, scratch, seed),
            rule=rule,
            excuses=plan.excuses(started_at.date()),
            selection=_selection(request, plan),
            caches=scratch / "caches",
            chance=random.Random(seed + 1),  # noqa: S311 - the order of turns, no secret
            clock=clock,
            deadline_s=None if request.budget_s is None else start_s + request.budget_s,
            progress=progress,
        )
        result = session.run()
    settings = _settings(replace(request, rule=rule), environments, cpus, seed)
    labels = [c.row.label for c in result.comparisons]
    exchange = exchange_labels(
        result.comparisons,
        rule,
        min_effects=result.excuses.rules.min_effects(labels),
        seed=seed,
    )
    record = _record(plan, result, settings, cpus, started_at, clock() - start_s)
    return replace(record, exchange=exchange)


@contextlib.contextmanager
def _disk_errors_explained(cache: Path) -> Iterator[None]:
    """A full or failing disk under the private copies is the machine's fault, not a crash."""
    try:
        yield
    except OSError as error:
        raise BrokenError(
            f"{cache}: the check could not keep its private copies there: {error}; free some "
            "space, or set XDG_CACHE_HOME to a folder on another disk, and check again"
        ) from error


def _launcher(
    plan: CheckPlan, environments: Environments, cpus: CpuPlan, scratch: Path, seed: int
) -> Launcher:
    checkout = f"{plan.repository.root}/"
    trees = {"base": f"{environments.base.tree}/", "candidate": f"{environments.candidate.tree}/"}
    others: dict[Side, str] = {"base": trees["candidate"], "candidate": trees["base"]}
    sides = {"base": environments.base, "candidate": environments.candidate}
    return Launcher(
        interpreter=environments.interpreter,
        isolated=environments.isolated,
        sides={
            name: {
                "import_paths": [str(path) for path in sides[name].import_paths],
                "site_dirs": [str(path) for path in sides[name].site_dirs],
                "hidden_paths": [str(path) for path in environments.hidden_paths],
                "foreign": [others[name], checkout],
            }
            for name in others
        },
        benchmark_dir=environments.benchmark_dir,
        variables=environments.variables,
        cpus=cpus,
        folder=scratch / "pairs",
        chance=random.Random(seed),  # noqa: S311 - hash seeds and padding, no secret
        trees=(environments.base.tree, environments.candidate.tree),
    )


def _selection(request: CheckRequest, plan: CheckPlan) -> Selection:
    return Selection(
        expressions=request.selection,
        metric=request.metric,
        keep=lambda labels: labels,
        default_timeout_s=plan.suite.default_timeout_s,
    )


def _settings(
    request: CheckRequest, environments: Environments, cpus: CpuPlan, seed: int
) -> Settings:
    rule = request.rule
    return Settings(
        false_alarms=rule.false_alarms,
        min_effect=rule.min_effect,
        margin=rule.margin_resolved,
        looks=tuple(rule.looks),
        budget_s=request.budget_s,
        selection=request.selection,
        seed=seed,
        environment=environments.kind,
        environment_reason=environments.reason,
        metric=request.metric,
        lanes=len(cpus.lanes),
    )


def _record(
    plan: CheckPlan,
    result: SessionResult,
    settings: Settings,
    cpus: CpuPlan,
    started_at: datetime,
    duration_s: float,
) -> CheckRecord:
    base, candidate = _commits(plan)
    comparisons = result.excuses.applied(result.comparisons)
    decision = decide(comparisons, result.file_failures)
    building = plan.suite.build_notes if settings.environment == "wheel" else ()
    expired = result.excuses.rules.expired(result.excuses.today)
    warnings = (*plan.suite.notes, *building, *expired, *result.warnings)
    if base.sha == candidate.sha and not candidate.dirty:
        warnings = ("both sides are the same commit: this measures the gate itself", *warnings)
    return CheckRecord(
        schema=CHECK_SCHEMA,
        tool_version=__version__,
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        measuring_s=result.measuring_s,
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        reasons=decision.reasons,
        warnings=warnings,
        base=base,
        candidate=candidate,
        machine=describe_machine(cpus),
        settings=settings,
        comparisons=comparisons,
        file_failures=result.file_failures,
        accepted=plan.accepted,
    )


def _commits(plan: CheckPlan) -> tuple[CommitRecord, CommitRecord]:
    base = CommitRecord(name=plan.base.name, sha=plan.base.sha, subject=plan.base.subject)
    if plan.candidate is not None:
        named = plan.candidate
        return base, CommitRecord(name=named.name, sha=named.sha, subject=named.subject)
    head = plan.repository.resolve("HEAD")
    return base, CommitRecord(
        name=WORKING_TREE, sha=head.sha, subject=head.subject, dirty=plan.dirty
    )
