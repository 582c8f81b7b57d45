"""How many samples a row gets in one launch pair, from what one sample costs.

Eight blocks of two samples of one millisecond, after four to warm up, is what twins need
(docs/decisions/0002-launch-twins.md). A call that lasts longer than a sample should gets fewer of
them, so that one slow row does not take the time of all the others; its launch pair is still one
observation. A row that the first look leaves open gets twice as many from then on: where only few
rows are open a launch pair costs more than its samples (docs/decisions/0018-faster-half.md).
"""

from dataclasses import dataclass, replace

__all__ = ["SAMPLE_TARGET_S", "SamplePlan", "closer_plan", "plan_samples"]

SAMPLE_TARGET_S = 0.001
_FULL_COST_S = 0.032
_MIN_SAMPLES = 2
_WARM_UP_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePlan:
    """Samples of one row on each side of one launch pair.

    Attributes:
        warm_up: Samples taken and thrown away first.
        blocks: Turns; the order of base and candidate is drawn anew for each.
        per_block: Samples a side takes in its turn.
    """

    warm_up: int
    blocks: int
    per_block: int

    @property
    def samples(self) -> int:
        """Samples kept per side."""
        return self.blocks * self.per_block


def plan_samples(cost_s: float, *, most: int | None = None) -> SamplePlan:
    """The plan for a row whose sample costs `cost_s` seconds, its renewed setup included.

    Up to 2 ms the full plan; beyond that the samples shrink so that a side spends about
    as long as the full plan would, but never below two (one turn each, drawn in order).

    Args:
        cost_s: Seconds.
        most: Samples that one process may take, if the benchmark says so; at least 1. One that may
            run only once is one sample a side, without warming up.
    """
    affordable = int(_FULL_COST_S / max(cost_s, 1e-9))
    if affordable >= 16:  # noqa: PLR2004 - 8 blocks of 2
        plan = SamplePlan(warm_up=4, blocks=8, per_block=2)
    else:
        blocks = max(_MIN_SAMPLES, affordable)
        warm_up = 1 if affordable < 4 else round(blocks * _WARM_UP_SHARE)  # noqa: PLR2004
        plan = SamplePlan(warm_up=warm_up, blocks=blocks, per_block=1)
    return plan if most is None else _at_most(plan, most)


def closer_plan(plan: SamplePlan, *, most: int | None = None) -> SamplePlan:
    """The same plan with turns twice as long, unless one process may not take so many samples.

    Args:
        plan: For the first launch pairs.
        most: Samples that one process may take, if the benchmark says so.
    """
    closer = replace(plan, per_block=2 * plan.per_block)
    return closer if most is None or closer.warm_up + closer.samples <= most else plan


def _at_most(plan: SamplePlan, most: int) -> SamplePlan:
    if plan.warm_up + plan.samples <= most:
        return plan
    warm_up = min(plan.warm_up, int(most * _WARM_UP_SHARE))
    return SamplePlan(warm_up=warm_up, blocks=most - warm_up, per_block=1)
