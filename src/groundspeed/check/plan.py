"""Which two sides a check compares, by which suite, under which rules."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from groundspeed.check.excuses import Excuses, entries_for
from groundspeed.check.request import CheckRequest
from groundspeed.measure.environments import Environments
from groundspeed.measure.machine import CpuPlan
from groundspeed.measure.pytest_ruler import SelectedTests
from groundspeed.measure.pytest_tests import SharedTests, find_tests, suite_of
from groundspeed.measure.repository import Commit, Repository
from groundspeed.measure.suite import SuiteConfig, find_suite
from groundspeed.model import AcceptedEntry
from groundspeed.stats import GateRule
from groundspeed.store.accepted import ACCEPTED_FILE, read_accepted
from groundspeed.store.rules import Rules, find_rules

__all__ = ["WORKING_TREE", "CheckPlan", "Prepared"]

WORKING_TREE = "working tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """Which two sides are compared, by which suite.

    Attributes:
        repository: Where the commits are.
        suite: The asv configuration, or what stands for it where pytest's tests are the suite.
        tests: Those tests; None where asv's benchmarks are the suite.
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
    tests: SelectedTests | None = None

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
        tests = None
        if request.suite == "pytest":
            tests = find_tests(request.start, repository, request.pytest_arguments)
            suite = suite_of(tests, repository)
        else:
            suite = find_suite(request.start, repository, config=request.config)
        folder = suite.path.parent
        rules = find_rules(folder, repository.root).for_suite(request.suite)
        if tests is not None and rules.test_groups:
            suite = suite_of(tests, repository, groups=rules.test_groups)
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
            tests=tests,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A check that is ready to measure.

    Attributes:
        request: What was asked.
        plan: Which two sides, by which suite.
        rule: What decides, with the looks that the budget gives.
        environments: Both sides, importable.
        tests: The tests, copied to both sides; None where asv's benchmarks are the suite.
        cpus: Where.
        started_at: When the command was typed, UTC.
        seed: Of every random choice.
    """

    request: CheckRequest
    plan: CheckPlan
    rule: GateRule
    environments: Environments
    tests: SharedTests | None
    cpus: CpuPlan
    started_at: datetime
    seed: int
