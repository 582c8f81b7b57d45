import io
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundspeed.errors import UsageError
from groundspeed.load import Figure, LoadResult, Open, ServiceLevel, Standing
from groundspeed.load.level_table import LevelTable, read_levels
from groundspeed.load.service_levels import SERVICE_LEVELS
from groundspeed.measure.occupancy import Occupancy
from groundspeed.plugins.load_harness import LoadTestHarness, ServiceLevelError
from groundspeed.plugins.measured import Measured, Mode, Verdict

TIME = ServiceLevel(metric="latency_s_p95", target=0.02, critical=0.05, title="Latency")
RATE = ServiceLevel(
    metric="cache_hit_rate", target=0.8, critical=0.6, better="higher", unit="share"
)
STANDS = {
    Standing.MET: (0.010, 0.008, 0.012),
    Standing.MISSED: (0.030, 0.025, 0.040),
    Standing.CRITICAL: (0.080, 0.060, 0.090),
    Standing.UNDECIDED: (0.020, 0.010, 0.030),
}


class Benchmark:
    """Keeps and times as pytest-benchmark does; without times where that is turned off."""

    def __init__(self, *, is_off: bool = False) -> None:
        self.extra_info: dict[str, Any] = {}
        self.stats: Any = None
        self._is_off = is_off

    def pedantic(self, target: Callable[..., Any], **options: Any) -> Any:
        """Call it as often as it is asked."""
        if self._is_off:
            return target()
        taken_s = []
        for _ in range(options["warmup_rounds"] + options["rounds"]):
            options["setup"]()
            began_s = time.perf_counter()
            target()
            taken_s.append(time.perf_counter() - began_s)
        data = taken_s[options["warmup_rounds"] :]
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=data))
        return None


class Machine:
    """A machine whose ten seconds went to others in some part."""

    def __init__(self, others: float, busy: float = 1.0) -> None:
        whole = Occupancy(machine_s=10.0, busy_s=10.0 * busy, own_s=10.0 * (busy - others))
        self._readings = iter([Occupancy(machine_s=0.0, busy_s=0.0, own_s=0.0), *[whole] * 9])

    def __call__(self) -> Occupancy:
        """The next reading."""
        return next(self._readings)


QUIET = 0.0
CROWDED = 0.5


def made(
    *levels: ServiceLevel, mode: Mode = "critical", others: float = QUIET, **options: Any
) -> tuple[Measured, dict[str, Any], list[str]]:
    """Something to keep figures with, what it has kept, and why it skipped."""
    benchmark, skipped = Benchmark(), list[str]()
    measured = Measured(
        benchmark, levels, mode=mode, skip=skipped.append, read=Machine(others), **options
    )
    return measured, benchmark.extra_info, skipped


def figure(standing: Standing) -> Figure:
    """A latency that stands so."""
    value, low, high = STANDS[standing]
    return Figure(metric="latency_s_p95", value=value, low=low, high=high)


@pytest.mark.parametrize(
    ("standing", "mode", "verdict"),
    [
        (Standing.MET, "critical", Verdict.PASSED),
        (Standing.MISSED, "critical", Verdict.WARNED),
        (Standing.CRITICAL, "critical", Verdict.FAILED),
        (Standing.UNDECIDED, "critical", Verdict.UNDECIDED),
        (Standing.MET, "target", Verdict.PASSED),
        (Standing.MISSED, "target", Verdict.FAILED),
        (Standing.CRITICAL, "target", Verdict.FAILED),
        (Standing.UNDECIDED, "target", Verdict.UNDECIDED),
        (Standing.MET, "report", Verdict.PASSED),
        (Standing.MISSED, "report", Verdict.WARNED),
        (Standing.CRITICAL, "report", Verdict.WARNED),
        (Standing.UNDECIDED, "report", Verdict.UNDECIDED),
    ],
)
def test_where_a_level_stands_says_what_comes_of_the_test(
    standing: Standing, mode: Mode, verdict: Verdict
) -> None:
    """As the mode has it; what is kept says the same, with the reason."""
    measured, info, skipped = made(TIME, mode=mode)
    measured.keep(figure(standing))
    if verdict is Verdict.FAILED:
        with pytest.raises(ServiceLevelError, match=f"Latency is {standing} at "):
            measured.judge()
    else:
        assert measured.judge() is verdict
    assert (measured.verdict, info["verdict"]) == (verdict, verdict)
    assert bool(info["reason"]) is (verdict is not Verdict.PASSED)
    is_skipped = verdict is Verdict.UNDECIDED and mode != "report"
    assert [text.partition(":")[0] for text in skipped] == ["undecided"] * is_skipped
    value, low, high = STANDS[standing]
    [level] = info["levels"]
    assert level == {
        "title": "Latency",
        "metric": "latency_s_p95",
        "unit": "s",
        "better": "lower",
        "target": 0.02,
        "critical": 0.05,
        "standing": standing,
        "value": value,
        "low": low,
        "high": high,
        "reason": level["reason"],
    }
    assert bool(level["reason"]) is (standing is Standing.UNDECIDED)


def test_the_gravest_level_decides() -> None:
    """Failed before undecided before warned; the reason tells of those that decide alone."""
    measured, info, _ = made(TIME, RATE)
    measured.keep(figure(Standing.MISSED))
    measured.count("cache_hit_rate", 0.3, unit="share")
    with pytest.raises(
        ServiceLevelError, match=r"^cache_hit_rate is critical at 30 %, needed > 80"
    ):
        measured.judge()
    assert [level["standing"] for level in info["levels"]] == ["missed", "critical"]
    measured, info, skipped = made(TIME, RATE)
    measured.keep(figure(Standing.MISSED))
    assert measured.judge() is Verdict.UNDECIDED
    assert skipped == [
        "undecided: cache_hit_rate is undecided, needed > 80 %, at worst 60 %: it was not measured"
    ]


def test_without_levels_a_test_passes() -> None:
    """Figures are kept all the same."""
    measured, info, _ = made()
    measured.keep(figure(Standing.CRITICAL))
    assert measured.judge() is Verdict.PASSED
    assert info["latency_s_p95"] == 0.080
    assert info["levels"] == []


@pytest.mark.parametrize("standing", [Standing.MISSED, Standing.CRITICAL, Standing.UNDECIDED])
@pytest.mark.parametrize("mode", ["critical", "target"])
def test_on_a_machine_that_others_fill_no_time_fails(standing: Standing, mode: Mode) -> None:
    """It is undecided, and the reason says how much was taken and what to do."""
    measured, _, skipped = made(TIME, mode=mode, others=CROWDED)
    measured.keep(figure(standing))
    assert measured.judge() is Verdict.UNDECIDED
    assert "other programs used 50 % of a machine that was full; stop them" in skipped[0]


def test_a_time_that_is_met_on_a_full_machine_is_met() -> None:
    """Others make it slower, never faster."""
    measured, _, _ = made(TIME, others=CROWDED)
    measured.keep(figure(Standing.MET))
    assert measured.judge() is Verdict.PASSED


@pytest.mark.parametrize(
    ("metric", "unit", "verdict"),
    [
        ("cache_hit_rate", "share", Verdict.FAILED),
        ("leak_bytes", "bytes", Verdict.FAILED),
        ("statements_count", "count", Verdict.FAILED),
        ("throughput_per_s", "per s", Verdict.UNDECIDED),
        ("speedup_ratio", "ratio", Verdict.UNDECIDED),
        ("scaling_efficiency", "share", Verdict.UNDECIDED),
    ],
)
def test_what_others_cannot_change_is_judged_on_a_full_machine(
    metric: str, unit: Any, verdict: Verdict
) -> None:
    """Counts, bytes and hit rates are what they are; times, rates and ratios of them are not."""
    level = ServiceLevel(metric=metric, target=2.0, critical=1.0, better="higher", unit=unit)
    measured, _, _ = made(level, others=CROWDED)
    measured.count(metric, 0.5, unit=unit)
    if verdict is Verdict.FAILED:
        with pytest.raises(ServiceLevelError):
            measured.judge()
    else:
        assert measured.judge() is verdict


def test_things_done_in_turn_are_judged_on_a_full_machine() -> None:
    """Others make both sides slower."""
    level = ServiceLevel(
        metric="speedup_ratio",
        target=2.0,
        critical=1.0,
        better="higher",
        unit="ratio",
        in_turn=True,
    )
    measured, _, _ = made(level, others=CROWDED)
    measured.count("speedup_ratio", 0.5, unit="ratio")
    with pytest.raises(ServiceLevelError, match=r"at 0\.5x"):
        measured.judge()


@pytest.mark.parametrize(("others", "busy"), [(0.2, 1.0), (0.5, 0.9)])
def test_a_machine_with_room_left_is_not_crowded(others: float, busy: float) -> None:
    """Others may use what the test does not need."""
    measured = Measured(Benchmark(), [TIME], read=Machine(others, busy))
    measured.keep(figure(Standing.CRITICAL))
    with pytest.raises(ServiceLevelError):
        measured.judge()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_is_undecided_and_what_is_never_fails(value: float) -> None:
    """A percentile that reaches into failures is infinite."""
    measured, info, skipped = made(TIME)
    measured.keep(Figure(metric="latency_s_p95", value=value, low=value, high=value))
    if math.isinf(value):
        with pytest.raises(ServiceLevelError, match="at never"):
            measured.judge()
    else:
        assert measured.judge() is Verdict.UNDECIDED
        assert "it is not a number" in skipped[0]
    assert "latency_s_p95" not in info  # JSON has no such number
    assert info["figures"]["latency_s_p95"]["value"] is None
    assert info["levels"][0]["value"] is None


def test_a_figure_that_could_not_be_had_leaves_its_level_undecided() -> None:
    """With the reason that was given; a later figure takes its place."""
    measured, _, skipped = made(TIME)
    measured.missing("latency_s_p95", "there is one CPU")
    assert measured.stands()[0].reason == "there is one CPU"
    measured.judge()
    assert skipped[0].endswith(": there is one CPU")
    measured.keep(figure(Standing.MET))
    assert measured.stands()[0].standing is Standing.MET


def test_a_reason_that_several_levels_have_is_said_once() -> None:
    """The line stays readable."""
    other = ServiceLevel(metric="latency_s_p99", target=0.05, critical=0.1)
    measured, _, skipped = made(TIME, other)
    measured.judge()
    assert skipped[0].count("it was not measured") == 1
    assert skipped[0].count("is undecided") == 2


def test_percentiles_are_kept_with_intervals() -> None:
    """Each by its name; those of too few samples are missing, and say how many are needed."""
    level = ServiceLevel(metric="latency_s_p99", target=0.5, critical=1.0)
    measured, info, skipped = made(level)
    measured.percentiles("latency_s", np.linspace(0.001, 0.1, 100))
    assert set(info["figures"]) == {"latency_s_p50", "latency_s_p95"}
    kept = info["figures"]["latency_s_p95"]
    assert kept["low"] < kept["value"] < kept["high"]
    assert info["latency_s_p95"] == kept["value"]
    assert kept["unit"] == "s"
    measured.judge()
    assert "needed at least 368" in skipped[0]


def test_a_function_is_timed_call_by_call() -> None:
    """Warming up is not counted, nor what comes before each call."""
    measured, _, _ = made()
    calls: list[str] = []
    taken_s = measured.times(
        lambda: calls.append("call"), rounds=5, warm_up=2, before=lambda: calls.append("before")
    )
    assert taken_s is not None
    assert (taken_s.shape, calls) == ((5,), ["before", "call"] * 7)
    assert (taken_s > 0.0).all()


def test_where_timing_is_turned_off_nothing_is_decided() -> None:
    """The function runs once, and the reason names the option."""
    skipped: list[str] = []
    measured = Measured(Benchmark(is_off=True), [TIME], skip=skipped.append, read=Machine(QUIET))
    calls: list[int] = []
    taken_s = measured.times(lambda: calls.append(1), rounds=5)
    assert (taken_s, calls) == (None, [1])
    measured.percentiles("latency_s", taken_s)
    assert measured.judge() is Verdict.UNDECIDED
    assert "run without --benchmark-disable" in skipped[0]


def test_settings_and_series_are_kept_together() -> None:
    """Later ones beside earlier ones."""
    measured, info, _ = made()
    measured.setting(accounts=100)
    measured.setting(users=10)
    measured.series("memory", x=("s", [0.0, 1.0]), y=("bytes", [10, 20]))
    measured.series("cpu", x=("s", [0.0]), y=("share", [0.5]))
    assert info["setting"] == {"accounts": 100, "users": 10}
    assert set(info["series"]) == {"memory", "cpu"}
    points = {"x": [0.0, 1.0], "y": [10, 20], "x_unit": "s", "y_unit": "bytes"}
    assert info["series"]["memory"] == points


def test_without_detail_only_plain_numbers_are_kept() -> None:
    """Those are what `groundspeed check` compares."""
    measured, info, _ = made(TIME, mode="report", is_detailed=False)
    measured.setting(accounts=100)
    measured.series("memory", x=("s", [0.0]), y=("bytes", [10.0]))
    measured.keep(figure(Standing.CRITICAL))
    measured.count("calls_count", 5)
    assert measured.judge() is Verdict.WARNED
    assert info == {"latency_s_p95": 0.080, "calls_count": 5}


@pytest.fixture(scope="module")
def result() -> LoadResult:
    """A second of load on a function, 400 times; one call in four fails."""
    calls = iter(range(10**6))

    def work() -> None:
        if next(calls) % 4 == 0:
            raise ValueError

    harness = LoadTestHarness(stream=io.StringIO())
    model = Open(rate=400.0, arrivals="constant")
    return harness.run(work, model=model, duration=1.0, warm_up=0.0).result


def judged(result: LoadResult, *levels: ServiceLevel, prefix: str = "") -> tuple[Measured, Any]:
    """A load run, kept."""
    measured, info, _ = made(*levels, mode="report")
    measured.load(result, prefix=prefix)
    return measured, info


def with_against(result: LoadResult, *invalid: str) -> LoadResult:
    """The run with these reasons against it, and no others."""
    return replace(result, invalid=invalid)


def test_a_load_run_has_its_figures(result: LoadResult) -> None:
    """Percentiles that a level asks for among them, each with the prefix of the run."""
    level = ServiceLevel(metric="busy.latency_s_p75", target=1.0, critical=2.0)
    measured, info = judged(with_against(result), level, prefix="busy.")
    assert {"busy.latency_s_p50", "busy.latency_s_p75", "busy.error_rate"} <= set(info["figures"])
    assert info["busy.error_rate"] == pytest.approx(0.25)
    assert info["figures"]["busy.error_rate"]["unit"] == "share"
    gap = result.littles_law_gap
    assert info["figures"]["busy.littles_law_gap"]["value"] == (None if math.isnan(gap) else gap)
    assert info["figures"]["busy.latency_s_p99"]["value"] is None  # it reaches into what failed
    assert measured.stands()[0].figure is not None


def test_an_invalid_run_fails_nothing(result: LoadResult) -> None:
    """Its levels are undecided, with what is against it; a level that is met stays met."""
    bad = ServiceLevel(metric="error_rate", target=0.01, critical=0.05, unit="share")
    good = ServiceLevel(metric="error_rate", target=0.5, critical=0.6, unit="share")
    measured, _ = judged(with_against(result), bad, good)
    assert [s.standing for s in measured.stands()] == [Standing.CRITICAL, Standing.MET]
    measured, _ = judged(with_against(result, "it was late"), bad, good)
    first, second = measured.stands()
    assert (first.standing, second.standing) == (Standing.UNDECIDED, Standing.MET)
    assert first.reason == "the run is invalid: it was late"


def written(folder: Path, text: str) -> LevelTable:
    """A table with this text."""
    path = folder / "levels.toml"
    path.write_text(text, encoding="utf-8")
    return read_levels(path)


def test_a_table_says_what_each_test_is_held_to(tmp_path: Path) -> None:
    """By patterns, in the table's order, whatever the folder and the parameters."""
    table = written(
        tmp_path,
        """
        [[level]]
        like = "API P95 Latency"
        target = 0.01
        tests = ["test_a.py::TestOne::*"]

        [[level]]
        title = "Moved keys"
        metric = "moved_share"
        target = 0.3
        critical = 0.5
        tests = ["test_a.py::*::test_y", "test_b.py::*"]
        """,
    )
    latency, moved = (level for level, _ in table.rows)
    assert (latency.title, latency.target, latency.critical) == ("API P95 Latency", 0.01, 0.05)
    assert (moved.better, moved.unit, moved.name) == ("lower", "share", "Moved keys")
    assert table.of("tests/performance/test_a.py::TestOne::test_x") == (latency,)
    assert table.of("test_a.py::TestOne::test_y[1/2-a]") == (latency, moved)
    assert table.of("a/test_b.py::test_z") == (moved,)
    assert table.of("a/test_c.py::test_z") == ()
    assert LevelTable().of("a/test_b.py::test_z") == ()


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("latency_s_p99.9", "s"),
        ("startup_s", "s"),
        ("throughput_per_s", "per s"),
        ("4_workers.throughput_per_s", "per s"),
        ("leak_bytes", "bytes"),
        ("speedup_ratio", "ratio"),
        ("calls_count", "count"),
        ("cache_hit_rate", "share"),
    ],
)
def test_the_unit_is_told_by_the_metric(tmp_path: Path, metric: str, unit: str) -> None:
    """Where the row does not say it; and which way is better by the two values."""
    row = f'[[level]]\nmetric = "{metric}"\ntarget = 2.0\ncritical = 1.0\ntests = ["*"]\n'
    [(level, _)] = written(tmp_path, row).rows
    assert (level.unit, level.better) == (unit, "higher")
    [(level, _)] = written(tmp_path, f'{row}unit = "count"\n').rows
    assert level.unit == "count"
    assert not level.in_turn


def test_a_row_says_that_it_compares_things_done_in_turn(tmp_path: Path) -> None:
    """Then a busy machine is no excuse."""
    row = '[[level]]\nmetric = "m_ratio"\ntarget = 2.0\ncritical = 1.0\ntests = ["*"]\n'
    [(level, _)] = written(tmp_path, f"{row}in_turn = true\n").rows
    assert level.in_turn


ROW = '[[level]]\nmetric = "m"\ntarget = 1\ncritical = 2\ntests = ["*"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[level", "levels.toml cannot be read"),
        ("level = 3\n", "levels.toml cannot be read: Expected `array`"),
        ("[[levels]]\n", "unknown field `levels`"),
        ('level = ["a"]\n', "levels.toml, level 1: Expected `object`, got `str`"),
        (ROW.replace("target", "tarjet"), "level 1: Object contains unknown field `tarjet`"),
        (ROW.replace("target = 1\n", ""), "level 1: got no target, needed metric"),
        (ROW.replace('metric = "m"\ntarget = 1\n', ""), "got no metric and no target"),
        (ROW.replace('tests = ["*"]\n', ""), "missing required field `tests`"),
        (ROW.replace('["*"]', "[]"), "length >= 1"),
        (ROW.replace('["*"]', '"*"'), "Expected `array`, got `str` - at `$.tests`"),
        (ROW.replace('["*"]', '[""]'), "length >= 1"),
        (ROW.replace("target = 1", 'target = "1 ms"'), "Expected `float"),
        (ROW.replace("target = 1", "target = nan"), "needed finite numbers"),
        (ROW.replace("critical = 2", "critical = inf"), "needed finite numbers"),
        (ROW + 'better = "higher"\n', "better than the target of 1; exchange them"),
        (ROW + 'better = "up"\n', "Invalid enum value 'up'"),
        (ROW + 'unit = "ms"\n', "Invalid enum value 'ms'"),
        (ROW + 'like = "API P95"\n', "got like = 'API P95', needed one of API P95 Latency, "),
        (ROW + ROW.replace('"m"', '""'), "level 2: Expected `str` of length >= 1"),
    ],
)
def test_a_wrong_table_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    """What was seen, and what a level has."""
    with pytest.raises(UsageError) as caught:
        written(tmp_path, text)
    message = str(caught.value)
    assert said in message
    if "cannot be read" not in message:
        assert message.endswith("; a level has " + ", ".join(FIELDS))


FIELDS = ("tests", "like", "metric", "target", "critical", "better", "unit", "title", "in_turn")


def test_a_table_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    """Its name is in it."""
    for path in (tmp_path / "levels.toml", tmp_path):
        with pytest.raises(UsageError, match=f"service levels: {path.name} cannot be read"):
            read_levels(path)
    (tmp_path / "levels.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"levels\.toml cannot be read"):
        read_levels(tmp_path / "levels.toml")


def test_each_of_the_service_s_levels_can_be_named(tmp_path: Path) -> None:
    """And stays as it is."""
    rows = [f'[[level]]\nlike = "{level.title}"\ntests = ["*"]\n' for level in SERVICE_LEVELS]
    assert written(tmp_path, "".join(rows)).of("a.py::b") == SERVICE_LEVELS
