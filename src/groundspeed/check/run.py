"""One check from the command to the record."""

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from groundspeed import __version__
from groundspeed.check.counting import CountingSession
from groundspeed.check.counts import COUNTS_MIN_EFFECT
from groundspeed.check.kept import Kept
from groundspeed.check.plan import CheckPlan, Prepared
from groundspeed.check.recording import record_of
from groundspeed.check.request import CheckRequest, Progress
from groundspeed.check.roster import Selection
from groundspeed.check.seeing import refuse_unseeable, stated_effects
from groundspeed.check.session import Session
from groundspeed.errors import BrokenError
from groundspeed.measure.environments import Environments, prepare
from groundspeed.measure.environments.model import Side as SideEnvironment
from groundspeed.measure.instructions import find_valgrind
from groundspeed.measure.lockstep import Launcher
from groundspeed.measure.machine import CpuPlan, describe_machine, plan_cpus
from groundspeed.measure.pytest_tests import share_tests
from groundspeed.measure.scratch import cache_folder, scratch_folder
from groundspeed.measure.turn_lock import take_turn
from groundspeed.model import CheckRecord, Side
from groundspeed.stats import GateRule
from groundspeed.store.calibrations import read_calibration, state_folder
from groundspeed.store.digests import check_key, tree_digest
from groundspeed.store.journal import JournalHeader

__all__ = ["run_check"]


def run_check(
    request: CheckRequest,
    plan: CheckPlan,
    *,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> CheckRecord:
    """Measure base and candidate in launch pairs and decide; keeps and prints nothing.

    Raises:
        UsageError: If nothing matches the selection, a least effect is smaller than what a
            self-test of this machine could see, or instructions are asked for without valgrind.
        BrokenError: If an environment or a whole side is broken.
    """
    started_at, start_s = datetime.now(UTC), clock()
    deadline_s = None if request.budget_s is None else start_s + request.budget_s
    cpus = plan_cpus(pin=request.pin, lanes=request.lanes)
    _refuse_unseeable(request, plan, progress, started_at)
    if request.metric == "instructions":
        find_valgrind()
    cache = cache_folder()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_disk_errors_explained(cache))
        scratch = stack.enter_context(scratch_folder(cache))
        environments = _environments(request, plan, scratch, cache, progress)
        prepared = Prepared(
            request=request,
            plan=plan,
            rule=_rule(request),
            environments=environments,
            tests=None if plan.tests is None else share_tests(plan.tests, environments),
            cpus=cpus,
            started_at=started_at,
            seed=secrets.randbits(32) if request.seed is None else request.seed,
        )
        turn = take_turn(cache, say=progress.say, deadline_s=deadline_s, clock=clock)
        stack.enter_context(turn)
        kept = _kept(prepared, cache / "journals")
        stack.callback(kept.close)
        if kept.seed is not None:
            prepared = replace(prepared, seed=kept.seed)
        result = _session(prepared, scratch, clock, deadline_s, progress, kept).run()
        record = record_of(prepared, result, duration_s=clock() - start_s)
        kept.end()
    return record


def _environments(
    request: CheckRequest, plan: CheckPlan, scratch: Path, cache: Path, progress: Progress
) -> Environments:
    progress.say("preparing both sides")
    return prepare(
        plan.repository,
        plan.suite,
        base=plan.base,
        candidate=plan.candidate_commit,
        mode=request.environment,
        scratch=scratch,
        cache=cache,
        say=progress.say,
    )


def _rule(request: CheckRequest) -> GateRule:
    if request.metric == "instructions" and request.typed_min_effect is None:
        return replace(request.rule, min_effect=COUNTS_MIN_EFFECT)
    return request.rule


def _session(
    prepared: Prepared,
    scratch: Path,
    clock: Callable[[], float],
    deadline_s: float | None,
    progress: Progress,
    kept: Kept,
) -> Session | CountingSession:
    if prepared.request.metric == "instructions":
        return CountingSession(
            launcher=_launcher(prepared, scratch),
            min_effect=prepared.rule.min_effect,
            excuses=prepared.plan.excuses(prepared.started_at.date()),
            selection=_selection(prepared.request, prepared.plan),
            folder=scratch / "counting",
            clock=clock,
            deadline_s=deadline_s,
            progress=progress,
        )
    return Session(
        launcher=_launcher(prepared, scratch),
        rule=prepared.rule,
        excuses=prepared.plan.excuses(prepared.started_at.date()),
        selection=_selection(prepared.request, prepared.plan),
        caches=scratch / "caches",
        chance=random.Random(prepared.seed + 1),  # noqa: S311 - the order of turns, no secret
        clock=clock,
        deadline_s=deadline_s,
        progress=progress,
        kept=kept,
    )


def _refuse_unseeable(
    request: CheckRequest, plan: CheckPlan, progress: Progress, started_at: datetime
) -> None:
    """Before anything is prepared: a threshold that this machine cannot see is no threshold."""
    effects = stated_effects(request.typed_min_effect, plan.rules)
    if request.metric == "time" and effects:
        fingerprint = describe_machine(CpuPlan()).fingerprint
        known = read_calibration(state_folder(), fingerprint, say=progress.say)
        refuse_unseeable(effects, known, started_at.date())


def _kept(prepared: Prepared, folder: Path) -> Kept:
    """What is kept of this check, and what an interrupted one of the same kind has left."""
    request, environments = prepared.request, prepared.environments
    commit = prepared.plan.candidate_commit
    shard = request.shard
    key = check_key(
        base=prepared.plan.base.sha,
        candidate=commit.sha if commit else tree_digest(environments.candidate.tree),
        benchmarks=tree_digest(environments.benchmark_dir),
        settings={
            "false_alarms": prepared.rule.false_alarms,
            "min_effect": prepared.rule.min_effect,
            "selection": request.selection,
            "environment": environments.kind,
            "suite": request.suite,
            "pytest_arguments": request.pytest_arguments,
            "metric": request.metric,
            "pinned": request.pin,
            "shard": None if shard is None else (shard.index, shard.count),
            "seed": request.seed,
        },
        machine=describe_machine(prepared.cpus).fingerprint,
        tool_version=__version__,
    )
    header = JournalHeader(
        seed=prepared.seed,
        started_at=prepared.started_at.isoformat(timespec="seconds"),
        tool_version=__version__,
    )
    return Kept.open(folder, key, header, clock=lambda: datetime.now(UTC).timestamp())


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


def _launcher(prepared: Prepared, scratch: Path) -> Launcher:
    environments, tests = prepared.environments, prepared.tests
    checkout = f"{prepared.plan.repository.root}/"
    sides: dict[Side, SideEnvironment]
    sides = {"base": environments.base, "candidate": environments.candidate}
    others: dict[Side, Side] = {"base": "candidate", "candidate": "base"}
    return Launcher(
        interpreter=environments.interpreter,
        isolated=environments.isolated,
        sides={
            name: {
                "tree": str(side.tree),
                "import_paths": [str(path) for path in side.import_paths],
                "site_dirs": [str(path) for path in side.site_dirs],
                "hidden_paths": [str(path) for path in environments.hidden_paths],
                "foreign": [f"{sides[others[name]].tree}/", checkout],
                "packages": [] if tests is None else list(tests.packages[name]),
            }
            for name, side in sides.items()
        },
        benchmark_dir=environments.benchmark_dir,
        pytest=None if tests is None else tests.configuration,
        variables=environments.variables,
        cpus=prepared.cpus,
        folder=scratch / "pairs",
        chance=random.Random(prepared.seed),  # noqa: S311 - hash seeds and padding, no secret
        trees=(environments.base.tree, environments.candidate.tree),
    )


def _selection(request: CheckRequest, plan: CheckPlan) -> Selection:
    return Selection(
        expressions=request.selection,
        metric=request.metric,
        keep=(lambda labels: labels) if request.shard is None else request.shard.keep,
        default_timeout_s=plan.suite.default_timeout_s,
        whole_suite=not request.pytest_arguments,
    )
