"""Laws of the limiters, and where they end in a simulated queue."""

import heapq
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sergas.errors import ProcessorValueError
from sergas.optimizations.parallel_processor._limit import (
    AimdLimit,
    FixedLimit,
    GradientLimit,
    Limiter,
    Sample,
    limiter,
)

SAMPLES = st.lists(
    st.builds(
        Sample,
        latency_s=st.floats(1e-6, 100.0),
        in_flight=st.integers(1, 200),
        is_dropped=st.booleans(),
    ),
    max_size=300,
)
LEARNING = ("aimd", "gradient")


@given(name=st.sampled_from(["fixed", *LEARNING]), limit_max=st.integers(1, 100), samples=SAMPLES)
def test_the_limit_stays_between_one_and_its_bound(
    name: str, limit_max: int, samples: list[Sample]
) -> None:
    """Whatever is seen."""
    now = limiter(name, limit_max=limit_max)
    for sample in samples:
        assert 1 <= now.limit <= limit_max
        now = now.after(sample)
    assert 1 <= now.limit <= limit_max


@given(samples=SAMPLES)
def test_a_fixed_limit_learns_nothing(samples: list[Sample]) -> None:
    """It is what it was."""
    fixed: Limiter = FixedLimit(limit=7)
    for sample in samples:
        fixed = fixed.after(sample)
    assert fixed == FixedLimit(limit=7)


@given(level=st.floats(1.0, 50.0), latency_s=st.floats(1e-6, 10.0))
def test_a_drop_lowers_the_limit_at_once(level: float, latency_s: float) -> None:
    """AIMD by a tenth, the gradient by half."""
    drop = Sample(latency_s=latency_s, in_flight=50, is_dropped=True)
    assert AimdLimit(limit_max=50, level=level).after(drop).level == max(1.0, 0.9 * level)
    assert GradientLimit(limit_max=50, level=level).after(drop).level == max(1.0, level / 2.0)


@given(level=st.floats(4.0, 50.0), latency_s=st.floats(1e-6, 10.0))
def test_a_limit_that_is_not_used_is_not_raised(level: float, latency_s: float) -> None:
    """With one in flight nothing is known about fifty."""
    idle = Sample(latency_s=latency_s, in_flight=1)
    for start in (
        AimdLimit(limit_max=100, level=level),
        GradientLimit(limit_max=100, level=level, base_s=latency_s, seen=100),
    ):
        assert start.after(idle).limit == start.limit


def test_aimd_grows_by_one_a_round() -> None:
    """Ten chunks at a limit of ten make eleven, nearly."""
    now: Limiter = AimdLimit(limit_max=100, level=10.0)
    for _ in range(11):
        now = now.after(Sample(latency_s=0.1, in_flight=10))
    assert now.limit == 11


class Server:
    """c places, exponential service, and a queue that may be bounded: M/M/c seen by one caller."""

    def __init__(self, places: int, mean_s: float, seed: int, *, refuses_from: int) -> None:
        self._places = places
        self._mean_s = mean_s
        self._chance = random.Random(seed)
        self._refuses_from = refuses_from
        self._free_at = [0.0] * places

    def serve(self, now_s: float, in_flight: int) -> tuple[float, bool]:
        """When the answer comes, and whether it is a refusal."""
        if in_flight > self._refuses_from:
            return now_s + self._mean_s / 10.0, True
        begin_s = max(now_s, heapq.heappop(self._free_at))
        end_s = begin_s + self._chance.expovariate(1.0 / self._mean_s)
        heapq.heappush(self._free_at, end_s)
        return end_s, False


def limits_seen(now: Limiter, server: Server, *, answers: int) -> list[int]:
    """A caller that always has as many requests out as the limit lets it; the limit after each."""
    time_s = 0.0
    out: list[tuple[float, int, float, bool]] = []
    seen: list[int] = []
    for number in range(answers):
        while len(out) < now.limit:
            end_s, is_dropped = server.serve(time_s, len(out) + 1)
            heapq.heappush(out, (end_s, number * 1000 + len(out), time_s, is_dropped))
        in_flight = len(out)
        time_s, _, began_s, is_dropped = heapq.heappop(out)
        sample = Sample(
            latency_s=max(1e-9, time_s - began_s), in_flight=in_flight, is_dropped=is_dropped
        )
        now = now.after(sample)
        seen.append(now.limit)
    return seen


@pytest.mark.parametrize("places", [4, 16])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_aimd_settles_below_what_a_server_refuses(places: int, seed: int) -> None:
    """It uses the places and does not push against the bound: seldom above it, by one."""
    refuses_from = 2 * places
    server = Server(places, 0.01, seed, refuses_from=refuses_from)
    seen = limits_seen(limiter("aimd", limit_max=100), server, answers=4000)[1000:]
    assert max(seen) <= refuses_from + 1
    assert places <= sum(seen) / len(seen) <= refuses_from


@pytest.mark.parametrize("places", [4, 16])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gradient_finds_the_knee_without_a_refusal(places: int, seed: int) -> None:
    """By latency alone: it fills the places, and does not let the queue grow to its bound."""
    server = Server(places, 0.01, seed, refuses_from=10_000)
    seen = limits_seen(limiter("gradient", limit_max=200), server, answers=6000)[2000:]
    mean = sum(seen) / len(seen)
    assert places / 2 <= mean <= 4 * places, mean


@pytest.mark.parametrize("name", LEARNING)
def test_a_learnt_limit_recovers_after_an_outage(name: str) -> None:
    """Down while everything is refused, up again when it is over."""
    now = limiter(name, limit_max=40)
    for is_dropped, count in ((False, 2000), (True, 200), (False, 2000)):
        before = now.limit
        for _ in range(count):
            now = now.after(Sample(latency_s=0.01, in_flight=now.limit, is_dropped=is_dropped))
        assert now.limit == 1 if is_dropped else now.limit >= max(before, 20)


def test_a_limiter_that_does_not_exist_is_refused() -> None:
    """With the names there are."""
    unknown: Any = "vegas"
    with pytest.raises(ProcessorValueError, match='"fixed", "aimd", "gradient"'):
        limiter(unknown, limit_max=3)
