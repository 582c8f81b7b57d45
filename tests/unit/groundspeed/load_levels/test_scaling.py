import numpy as np
import pytest

from groundspeed.errors import UsageError
from groundspeed.load.scaling import scaling
from groundspeed.load.service_levels import SERVICE_LEVELS, Standing, judge_level


class Workers:
    """A target with a share of serial work, and a little noise."""

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self.asked: list[int] = []
        self.rng = np.random.default_rng(4)

    def __call__(self, workers: int) -> float:
        """Their throughput."""
        self.asked.append(workers)
        noise = float(np.exp(0.01 * self.rng.standard_normal()))
        return 1000.0 * workers / (1.0 + self.alpha * (workers - 1)) * noise


def test_it_finds_contention_and_efficiency() -> None:
    """And judges it by the level of its name."""
    report = scaling(Workers(0.05), levels=[1, 2, 4, 8], repeats=4, cpus=8)
    assert report.fit.alpha.value == pytest.approx(0.05, rel=0.2)
    assert report.fit.alpha.low < 0.05 < report.fit.alpha.high
    assert report.efficiency == report.points[-1].efficiency
    assert report.efficiency.low < 1 / 1.35 < report.efficiency.high
    assert report.notes == ()
    level = next(lv for lv in SERVICE_LEVELS if lv.metric == report.efficiency.metric)
    assert judge_level(level, report.efficiency).standing is Standing.MET
    bad = scaling(Workers(0.5), cpus=8).efficiency
    assert judge_level(level, bad).standing is Standing.CRITICAL


def test_it_knows_how_many_cpus_there_are() -> None:
    """Efficiency is that of workers with a CPU each; more than that is said."""
    report = scaling(Workers(0.05), cpus=2)
    assert report.efficiency == report.points[1].efficiency
    assert report.notes[0].startswith("there are 2 CPUs: of 4, 8 workers not all can run at once")
    single = scaling(Workers(0.05), cpus=1)
    assert single.notes[0].startswith("there is 1 CPU: of 2, 4, 8")
    assert single.efficiency.value == pytest.approx(1 / 1.05, rel=0.05)


def test_every_round_has_all_levels_in_an_order_of_its_own() -> None:
    """So that a drift of the machine meets all alike; the same seed, the same order."""
    target = Workers(0.0)
    scaling(target, levels=[4, 1, 2, 2], repeats=6, cpus=4, seed=3)
    rounds = [tuple(target.asked[i : i + 3]) for i in range(0, 18, 3)]
    assert {tuple(sorted(one)) for one in rounds} == {(1, 2, 4)}
    assert len(set(rounds)) > 1
    again = Workers(0.0)
    scaling(again, levels=[1, 2, 4], repeats=6, cpus=4, seed=3)
    assert again.asked == target.asked


def test_repeats_that_agree_exactly_have_no_width() -> None:
    """One worker is its own measure, and its efficiency is 1."""
    report = scaling(lambda workers: 10.0 * workers, levels=[1, 2, 4], repeats=2, cpus=4)
    assert report.points[0].efficiency.value == 1.0
    assert report.points[2].efficiency.low == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("levels", "repeats", "cpus"),
    [([1, 2], 3, 4), ([2, 4, 8], 3, 4), ([1, 2, 4], 1, 4), ([1, 2, 4], 3, 0)],
)
def test_bad_input_is_refused(levels: list[int], repeats: int, cpus: int) -> None:
    """Before anything is measured."""
    target = Workers(0.0)
    with pytest.raises(UsageError, match="needed at least"):
        scaling(target, levels=levels, repeats=repeats, cpus=cpus)
    assert target.asked == []


def test_a_run_that_did_nothing_is_refused() -> None:
    """No law has a throughput of 0."""
    with pytest.raises(UsageError, match=r"got a throughput of 0.0 from \d workers"):
        scaling(lambda _: 0.0, cpus=4)
