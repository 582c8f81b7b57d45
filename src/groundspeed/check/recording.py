"""From what was measured to the record of a check."""

from groundspeed import __version__
from groundspeed.check.exchange import exchange_labels
from groundspeed.check.plan import WORKING_TREE, CheckPlan, Prepared
from groundspeed.check.seeing import unseeable_rows
from groundspeed.check.session import SessionResult
from groundspeed.check.shards import decide_shard, shard_notice
from groundspeed.check.verdict import decide
from groundspeed.measure.machine import describe_machine
from groundspeed.model import CHECK_SCHEMA, CheckRecord, Settings
from groundspeed.model import Commit as CommitRecord

__all__ = ["record_of", "settings_of"]


def settings_of(prepared: Prepared) -> Settings:
    """What decides, as it is written down."""
    request, rule, environments = prepared.request, prepared.rule, prepared.environments
    return Settings(
        false_alarms=rule.false_alarms,
        min_effect=rule.min_effect,
        margin=rule.margin_resolved,
        looks=tuple(rule.looks),
        budget_s=request.budget_s,
        selection=request.selection,
        seed=prepared.seed,
        environment=environments.kind,
        environment_reason=environments.reason,
        suite=request.suite,
        metric=request.metric,
        lanes=len(prepared.cpus.lanes),
    )


def record_of(prepared: Prepared, result: SessionResult, *, duration_s: float) -> CheckRecord:
    """The whole check: what was measured, what it means, and what a reader should know."""
    request, plan, rule = prepared.request, prepared.plan, prepared.rule
    base, candidate = _commits(plan)
    comparisons = result.excuses.applied(result.comparisons)
    shard = None
    if request.shard is not None:
        shard = request.shard.recorded([c.row for c in comparisons], result.other_rows)
        decision = decide_shard(comparisons, result.file_failures, shard)
    else:
        decision = decide(comparisons, result.file_failures)
    own = result.excuses.rules.min_effects([c.row.label for c in comparisons])
    return CheckRecord(
        schema=CHECK_SCHEMA,
        tool_version=__version__,
        started_at=prepared.started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        measuring_s=result.measuring_s,
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        reasons=decision.reasons,
        warnings=(
            *([] if shard is None else [shard_notice(shard)]),
            *_warnings(prepared, result),
            *unseeable_rows(comparisons, rule),
        ),
        base=base,
        candidate=candidate,
        machine=describe_machine(prepared.cpus),
        settings=settings_of(prepared),
        comparisons=comparisons,
        file_failures=result.file_failures,
        accepted=plan.accepted,
        exchange=exchange_labels(comparisons, rule, min_effects=own, seed=prepared.seed),
        shard=shard,
    )


def _warnings(prepared: Prepared, result: SessionResult) -> tuple[str, ...]:
    plan, excuses = prepared.plan, result.excuses
    base, candidate = _commits(plan)
    same = base.sha == candidate.sha and not candidate.dirty
    first = ("both sides are the same commit: this measures the gate itself",) if same else ()
    building = plan.suite.build_notes if prepared.environments.kind == "wheel" else ()
    expired = excuses.rules.expired(excuses.today)
    return (*first, *plan.suite.notes, *building, *expired, *result.warnings)


def _commits(plan: CheckPlan) -> tuple[CommitRecord, CommitRecord]:
    base = CommitRecord(name=plan.base.name, sha=plan.base.sha, subject=plan.base.subject)
    if plan.candidate is not None:
        named = plan.candidate
        return base, CommitRecord(name=named.name, sha=named.sha, subject=named.subject)
    head = plan.repository.resolve("HEAD")
    return base, CommitRecord(
        name=WORKING_TREE, sha=head.sha, subject=head.subject, dirty=plan.dirty
    )
