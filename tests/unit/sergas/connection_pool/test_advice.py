"""Sizes from Little's law and Erlang's formula, and when there is none to give."""

import heapq
import math
import random

import pytest

from sergas.errors import PoolValueError
from sergas.optimizations.connection_pool._advice import advice, erlang_c
from sergas.optimizations.connection_pool._histogram import LogHistogram
from sergas.optimizations.connection_pool._limits import Limits
from sergas.optimizations.connection_pool._machine import PoolMachine
from sergas.optimizations.connection_pool._model import PoolStats

# P(wait) from the textbook formula in exact fractions, c servers and load a.
ERLANG_C = [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (5, 4.0, 0.554112554112554)]


def measured(
    *, rate: float, hold_s: float, max_size: int = 10, window_s: float = 10.0, cv2: float = 1.0
) -> PoolStats:
    """What a pool says after such a load."""
    machine: PoolMachine[object, object] = PoolMachine(
        min_size=0, max_size=max_size, limits=Limits(), random=lambda: 0.0
    )
    machine.start(0.0)
    loans = round(rate * window_s)
    rng = random.Random(1)
    for _ in range(loans):
        machine.use.add(rng.expovariate(1 / hold_s) if cv2 else hold_s)
    machine._loans_past = loans
    machine._used_s_past = loans * hold_s
    return machine.stats(window_s)


@pytest.mark.parametrize(("servers", "load", "share"), ERLANG_C)
def test_erlang_c_is_the_textbooks(servers: int, load: float, share: float) -> None:
    """The recursion gives what the sum over factorials gives."""
    assert erlang_c(servers, load) == pytest.approx(share)
    top = load**servers / math.factorial(servers) * servers / (servers - load)
    below = sum(load**k / math.factorial(k) for k in range(servers))
    assert erlang_c(servers, load) == pytest.approx(top / (below + top))


def test_overload_makes_everybody_wait() -> None:
    """From a = c on, and without overflow for thousands."""
    assert erlang_c(4, 4.0) == 1.0
    assert 0.0 <= erlang_c(5000, 4000.0) < 1e-9


def test_advice_rests_on_what_was_measured() -> None:
    """400 requests a second of 10 ms keep four busy; the size is above and meets the wish."""
    told = advice(measured(rate=400.0, hold_s=0.01), wait_s=0.001, share=0.95)
    assert told.busy_mean == pytest.approx(4.0)
    assert told.size is not None
    assert told.size > 4
    assert erlang_c(told.size, 4.0) * math.exp(-(told.size - 4) * 0.1) <= 0.051
    assert erlang_c(told.size - 1, 4.0) * math.exp(-(told.size - 5) * 0.1) > 0.049
    assert "400 requests/s" in told.reason


def test_advised_size_keeps_its_promise_in_a_simulated_queue() -> None:
    """Random arrivals and holds, 30,000 of them: about as many wait too long as was said."""
    rng = random.Random(3)
    told = advice(measured(rate=400.0, hold_s=0.01), wait_s=0.002, share=0.9)
    assert told.size is not None
    for size, least, most in ((told.size, 0.0, 0.115), (told.size - 1, 0.085, 1.0)):
        free_at_s = [0.0] * size
        now_s, late = 0.0, 0
        for _ in range(30_000):
            now_s += rng.expovariate(400.0)
            start_s = max(now_s, heapq.heappop(free_at_s))
            late += start_s - now_s > 0.002
            heapq.heappush(free_at_s, start_s + rng.expovariate(100.0))
        assert least <= late / 30_000 <= most


def test_steadier_holds_need_no_more() -> None:
    """Variation makes queues: without it the size is at most the same."""
    wild = advice(measured(rate=600.0, hold_s=0.01), wait_s=0.005, share=0.99).size
    calm = advice(measured(rate=600.0, hold_s=0.01, cv2=0.0), wait_s=0.005, share=0.99).size
    assert wild is not None
    assert calm is not None
    assert calm <= wild


@pytest.mark.parametrize(
    ("stats", "reason"),
    [
        (measured(rate=1.0, hold_s=0.01), "only 10 loans"),
        (measured(rate=400.0, hold_s=0.01, max_size=4), "raise max_size"),
    ],
)
def test_no_advice_without_ground(stats: PoolStats, reason: str) -> None:
    """Too little seen, or a pool so busy that it shapes its own load: it says so."""
    told = advice(stats, wait_s=0.001, share=0.95)
    assert told.size is None
    assert reason in told.reason


@pytest.mark.parametrize(
    "wish", [{"wait_s": 0.0}, {"wait_s": math.inf}, {"share": 0.0}, {"share": 1.0}], ids=str
)
def test_impossible_wishes_are_refused(wish: dict[str, float]) -> None:
    """The message names the argument."""
    with pytest.raises(PoolValueError, match=next(iter(wish))):
        advice(measured(rate=10.0, hold_s=0.01), **{"wait_s": 0.001, "share": 0.9, **wish})


def test_quantiles_are_within_an_eighth() -> None:
    """Of any time from nanoseconds to hours, whatever else was counted."""
    rng = random.Random(2)
    for _ in range(200):
        times = sorted(10 ** rng.uniform(-8.5, 4) for _ in range(50))
        histogram = LogHistogram()
        for time_s in times:
            histogram.add(time_s)
        for rank in (1, 10, 25, 50):
            quantile_s = histogram.look().quantile_s(rank / 50)
            assert quantile_s == pytest.approx(times[rank - 1], rel=0.126, abs=1e-9)


def test_histogram_edges() -> None:
    """Nothing, zeros, less than zero and for ever."""
    histogram = LogHistogram()
    assert histogram.look().quantile_s(0.5) is None
    assert histogram.look().moments() is None
    assert histogram.look(zeros=3).quantile_s(1.0) == 0.0
    assert histogram.look(zeros=3).moments() == (0.0, 0.0)
    histogram.add(-1.0)
    histogram.add(1e9)
    assert histogram.look().count == 2
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        histogram.look().quantile_s(1.5)


def test_later_look_less_an_earlier_one_is_what_came_between() -> None:
    """Counts subtract."""
    histogram = LogHistogram()
    histogram.add(1.0)
    earlier = histogram.look()
    histogram.add(2.0, 5)
    between = histogram.look().since(earlier)
    assert between.count == 5
    assert between.quantile_s(0.0) == pytest.approx(2.0, rel=0.126)
