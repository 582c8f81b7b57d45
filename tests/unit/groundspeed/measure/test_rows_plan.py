import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.rows.plan import SamplePlan, closer_plan, plan_samples
from groundspeed.measure.rows.timed import turns

COSTS_S = st.floats(0.0, 1e4)
PLANS = st.builds(SamplePlan, warm_up=st.just(1), blocks=st.integers(1, 40), per_block=st.just(2))


@given(st.lists(COSTS_S, min_size=2))
def test_a_costlier_row_never_gets_more_samples(costs_s: list[float]) -> None:
    """Samples and warm-up only fall as a sample gets dearer."""
    plans = [plan_samples(cost_s) for cost_s in sorted(costs_s)]
    for cheaper, dearer in pairwise(plans):
        assert dearer.samples <= cheaper.samples
        assert dearer.warm_up <= cheaper.warm_up


@given(COSTS_S)
def test_the_samples_are_bounded(cost_s: float) -> None:
    """At least one to warm up and two to keep, at most four and sixteen."""
    plan = plan_samples(cost_s)
    assert 2 <= plan.samples <= 16
    assert 1 <= plan.warm_up <= 4


@given(st.floats(0.0, 0.016))
def test_a_side_keeps_to_its_time(cost_s: float) -> None:
    """While two samples fit into the 32 ms of a side, the samples that are kept fit too."""
    assert plan_samples(cost_s).samples * cost_s <= 0.032 * (1 + 1e-9)


@pytest.mark.parametrize("cost_s", [0.0, 0.001, 0.002])
def test_the_full_plan_holds_up_to_two_milliseconds(cost_s: float) -> None:
    """A sample as long as it should be gets eight blocks of two."""
    assert plan_samples(cost_s) == SamplePlan(warm_up=4, blocks=8, per_block=2)


@given(PLANS, st.integers())
def test_in_every_block_each_side_has_one_turn(plan: SamplePlan, seed: int) -> None:
    """Base and candidate take turns, block by block, in either order."""
    order = turns(plan, random.Random(seed))
    blocks = [tuple(order[i : i + 2]) for i in range(0, len(order), 2)]
    assert len(blocks) == plan.blocks
    assert set(blocks) <= {("base", "candidate"), ("candidate", "base")}


@given(PLANS, st.integers())
def test_the_order_is_drawn_from_the_seed_alone(plan: SamplePlan, seed: int) -> None:
    """A check can be repeated."""
    assert turns(plan, random.Random(seed)) == turns(plan, random.Random(seed))


@given(PLANS, st.integers())
def test_each_side_is_first_in_half_of_the_blocks(plan: SamplePlan, seed: int) -> None:
    """Being first favours neither side; with an odd number of blocks by one at most."""
    firsts = turns(plan, random.Random(seed))[::2]
    assert abs(firsts.count("base") - firsts.count("candidate")) <= 1


def test_which_blocks_a_side_begins_is_drawn() -> None:
    """Every order of two blocks comes up, and either side may have the odd block."""
    chance, plan = random.Random(7), SamplePlan(warm_up=1, blocks=2, per_block=1)
    assert {tuple(turns(plan, chance)[::2]) for _ in range(50)} == {
        ("base", "candidate"),
        ("candidate", "base"),
    }
    odd = SamplePlan(warm_up=1, blocks=1, per_block=1)
    assert {turns(odd, chance)[0] for _ in range(50)} == {"base", "candidate"}


@given(COSTS_S, st.integers(1, 100))
def test_a_benchmark_that_limits_its_samples_is_obeyed(cost_s: float, most: int) -> None:
    """Warm-up and samples together are never more than a process may take, and at least one."""
    plan = plan_samples(cost_s, most=most)
    assert 1 <= plan.samples <= plan.samples + plan.warm_up <= max(most, 1)


@given(COSTS_S)
def test_a_limit_that_does_not_bind_changes_nothing(cost_s: float) -> None:
    """Twenty samples are all that a process ever takes."""
    assert plan_samples(cost_s, most=20) == plan_samples(cost_s)


@given(COSTS_S, st.none() | st.integers(1, 100))
def test_a_closer_plan_has_twice_the_samples_unless_a_limit_binds(
    cost_s: float, most: int | None
) -> None:
    """The turns are as many and twice as long; a process is never asked for more than it may."""
    plan = plan_samples(cost_s, most=most)
    closer = closer_plan(plan, most=most)
    assert (closer.blocks, closer.warm_up) == (plan.blocks, plan.warm_up)
    fits = most is None or plan.warm_up + 2 * plan.samples <= most
    assert closer.samples == (2 if fits else 1) * plan.samples
