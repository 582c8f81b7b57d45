"""The parts of the performance report that need no stored run."""

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from tools.performance_report.amounts import Amount, amount_of, cut, digits, words
from tools.performance_report.asv import read_asv
from tools.performance_report.axes import span_of
from tools.performance_report.blocks import (
    Axis,
    Code,
    Commands,
    Curve,
    Document,
    Fact,
    Limit,
    Lines,
    Mark,
    Range,
    Ranges,
    Section,
    State,
    Table,
    VerdictCard,
    said,
)
from tools.performance_report.html import to_html
from tools.performance_report.markdown import to_markdown
from tools.performance_report.marks import TONES, shape_of
from tools.performance_report.material import Judged, headroom, times_target
from tools.performance_report.ratios import between_runs, mean_of, ratio_of
from tools.performance_report.roster import read_roster, section_of
from tools.performance_report.scaling import fit_of, is_scaling, noun_of, scaling_blocks
from tools.performance_report.sections.change import judge
from tools.performance_report.sections.summary import worst
from tools.performance_report.stored import Figure, Level, ReportError, Result, Series, read_run
from tools.performance_report.svg import svg_chart
from tools.performance_report.text_charts import text_chart

ROOT = Path(__file__).parents[3]
NUMBERS = st.floats(1e-6, 1e12)
LEVEL = Level(
    title="API P95 Latency",
    metric="latency_s_p95",
    unit="s",
    better="lower",
    target=0.02,
    critical=0.05,
    standing="met",
    value=0.01,
    low=0.009,
    high=0.011,
)
SUITE = """\
import pytest

class TestLoad:
    def test_one(self):
        \"\"\"What it says first.

        And then.
        \"\"\"

    @pytest.mark.slow
    async def test_two(self): ...

    def helper(self): ...

def test_alone(): ...
"""


def result(name: str = "tests/performance/test_load.py::TestX::test_y", **extra: Any) -> Result:
    """What a test left."""
    stored = {"fullname": name, "stats": {"median": 1.0, "rounds": 1}, "extra_info": extra}
    return msgspec.convert(stored, type=Result)


@given(NUMBERS)
def test_three_digits_say_the_number(number: float) -> None:
    """What is shown is within half a unit of its third digit, or whole."""
    shown = float(digits(number).replace(",", ""))
    assert shown == pytest.approx(number, rel=0.0051)


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (Figure(value=0.00312, low=0.003, high=0.0999, unit="s"), "3.12 ms (3.00 to 99.9)"),
        (Figure(value=0.0009999, unit="s"), "1.00 ms"),
        (Figure(value=0.0, low=0.0, high=0.0014, unit="share"), "0 % (0 to 0.140)"),
        (Figure(value=5e8, low=5e8, high=5e8, unit="bytes"), "500 MB"),
        (Figure(value=1142.4, low=1100.0, high=None, unit="per s"), "1,142 /s (1,100 to no upper"),
        (Figure(value=1234567.0, unit="count"), "1,234,567"),
        (Figure(value=3.0, unit="workers"), "3.00 workers"),
        (Figure(value=None, unit="s"), "unknown"),
        (Figure(value=math.inf, unit="s"), "unknown"),
    ],
)
def test_an_amount_has_one_unit(figure: Figure, shown: str) -> None:
    """The value's; what was read has no interval."""
    assert amount_of(figure).text.startswith(shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("latency_s_p99.9", "latency p99.9"),
        ("db_latency_s_mean", "db latency mean"),
        ("throughput_per_s", "throughput"),
        ("rss_bytes", "rss"),
        ("cache_hit_rate", "cache hit rate"),
        ("10_users.latency_s_p99.9", "10 users latency p99.9"),
        ("bulk_speedup_ratio", "bulk speedup"),
    ],
)
def test_a_name_loses_its_unit(name: str, shown: str) -> None:
    """The unit stands with the number."""
    assert words(name) == shown


@given(st.text(), st.text(min_size=9, max_size=9), st.integers(27, 60))
def test_a_name_that_is_cut_keeps_its_end(name: str, end: str, length: int) -> None:
    """Runs differ in their last words: p95, p99."""
    whole = f"{name}{end}"
    assert len(cut(whole, length)) <= length
    assert cut(whole, length).endswith(end)
    assert cut(whole, length) == whole or len(whole) > length


@given(
    st.lists(NUMBERS, min_size=1, max_size=8),
    st.sampled_from(["linear", "log"]),
    st.sampled_from(["s", "bytes", "share", "per s", "times"]),
    st.booleans(),
)
def test_an_axis_holds_its_values_in_order(
    values: list[float], kind: Literal["linear", "log"], unit: str, height: bool
) -> None:
    """Places lie from 0 to 1 and keep the order; so do the ticks, of which there are not many."""
    span = span_of(Axis(title="x", unit=unit, kind=kind), values, height=height)
    places = [span.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] >= 0.0
    assert places[-1] <= 1.0
    ticks = [place for place, _ in span.ticks()]
    assert ticks == sorted(ticks)
    assert len(ticks) <= 12


def test_nines_are_named_as_percentiles() -> None:
    """Each factor of ten in what is left takes the same room."""
    span = span_of(Axis(title="x", unit="", kind="nines"), [0.0, 0.999])
    assert span.place(0.9) == pytest.approx(1 / 3)
    assert span.place(0.99) == pytest.approx(2 / 3)
    assert [name for _, name in span.ticks()] == ["P0", "P50", "P90", "P95", "P99", "P99.9"]


@given(st.tuples(NUMBERS, NUMBERS), st.tuples(st.floats(0.5, 0.999), st.floats(1.001, 2.0)))
def test_a_ratio_of_exchanged_sides_is_turned_over(
    values: tuple[float, float], ends: tuple[float, float]
) -> None:
    """And equal figures have 1 within the interval."""
    base, other = (Figure(value=v, low=v * ends[0], high=v * ends[1]) for v in values)
    there, back = ratio_of(base, other), ratio_of(other, base)
    assert there is not None
    assert back is not None
    assert there[1] == pytest.approx(values[1] / values[0])
    assert there[0] < there[1] < there[2]
    assert back == pytest.approx((1 / there[2], 1 / there[1], 1 / there[0]))
    same = ratio_of(base, base)
    assert same is not None
    assert same[0] < 1.0 < same[2]


@pytest.mark.parametrize(
    "figure",
    [
        Figure(value=None, low=1.0, high=2.0),
        Figure(value=0.0, low=0.0, high=1.0),
        Figure(value=1.0),
        Figure(value=1.0, low=1.0, high=1.0),
        Figure(value=1.0, low=0.5, high=math.inf),
    ],
)
def test_what_has_no_interval_has_no_ratio(figure: Figure) -> None:
    """A single run's reading says nothing of how far it is off."""
    assert ratio_of(figure, Figure(value=1.0, low=0.9, high=1.1)) is None


@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(2, 6))
def test_the_interval_between_runs_is_welchs(seed: int, before: int, after: int) -> None:
    """Of the logarithms, as an independent implementation has it."""
    rng = np.random.default_rng(seed)
    base, other = rng.lognormal(0, 0.1, before), rng.lognormal(0.2, 0.3, after)
    found = between_runs(base.tolist(), other.tolist())
    assert found is not None
    test = scipy.stats.ttest_ind(np.log(other), np.log(base), equal_var=False)
    interval = test.confidence_interval(0.95)
    assert np.log(found[0]) == pytest.approx(interval.low)
    assert np.log(found[2]) == pytest.approx(interval.high)
    assert found[0] < found[1] < found[2]


@given(st.lists(NUMBERS, min_size=2, max_size=8))
def test_a_mean_lies_within_its_interval(values: list[float]) -> None:
    """And among the values; one value has no interval."""
    found = mean_of(values, "s")
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert min(values) * (1 - 1e-9) <= found.value <= max(values) * (1 + 1e-9)
    assert mean_of(values[:1], "s").low is None
    assert mean_of([0.0, 2.0], "s") == Figure(value=1.0, unit="s")


def test_one_run_a_side_has_no_interval_between_runs() -> None:
    """Nor have values that are not above 0."""
    assert between_runs([1.0], [1.0, 2.0]) is None
    assert between_runs([1.0, 0.0], [1.0, 2.0]) is None


@pytest.mark.parametrize(
    ("ratio", "several", "state"),
    [
        ((1.21, 1.3, 1.4), True, "worse"),
        ((1.21, 1.3, 1.4), False, "looks worse"),
        ((0.5, 0.6, 0.83), True, "better"),
        ((0.5, 0.6, 0.83), False, "looks better"),
        ((0.9, 1.0, 1.19), True, "not worse"),
        ((0.9, 1.0, 1.19), False, "looks alike"),
        ((0.9, 1.1, 1.3), True, "undecided"),
        (None, True, "not judged"),
    ],
)
def test_a_ratio_is_judged_by_its_whole_interval(
    ratio: tuple[float, float, float] | None, several: bool, state: State
) -> None:
    """And one run a side is never called worse."""
    assert judge(ratio, several=several) == state


def test_every_state_has_a_shape() -> None:
    """None is told by colour alone, and what differs in meaning differs in shape."""
    assert set(TONES) == set(get_args(State))
    assert len({shape_of(state) for state in ("passed", "warned", "failed", "undecided")}) == 4


def test_headroom_is_of_the_target_whichever_way_is_better() -> None:
    """Half the allowed time, or twice the needed rate, leave half of the target."""
    rate = replace(LEVEL, better="higher", target=100.0, critical=50.0, value=200.0)
    assert headroom(LEVEL) == pytest.approx(headroom(rate)) == pytest.approx(0.5)
    assert headroom(replace(LEVEL, value=None)) == -math.inf
    assert times_target(replace(LEVEL, target=0.0), 0.0) == 1.0


def test_the_worst_stands_worst_and_has_the_least_headroom() -> None:
    """Standing comes first, then what is left of the target."""
    levels = [
        replace(LEVEL, value=0.019),
        replace(LEVEL, value=0.001),
        replace(LEVEL, standing="missed", value=0.021),
        replace(LEVEL, standing="critical", value=0.06),
    ]
    judged = [Judged(result=result(verdict="passed"), level=level) for level in levels]
    assert worst(judged).level.value == 0.06
    assert worst(judged[:3]).level.value == 0.021
    assert worst(judged[:2]).level.value == 0.019


def test_a_result_without_a_verdict_has_decided_nothing() -> None:
    """It ended before; that is said."""
    assert result().verdict == "undecided"
    assert "ended before" in result().reason
    assert result("a/test_b.py::TestC::test_d[1-[x]]").test == "a/test_b.py::TestC::test_d"


def test_the_suite_is_read_without_running_it(tmp_path: Path) -> None:
    """Classes, functions and coroutines, in the order of the file; no helpers."""
    (tmp_path / "test_load.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "conftest.py").write_text("raise RuntimeError", encoding="utf-8")
    roster = read_roster(tmp_path, prefix="tests/performance")
    assert [test.fullname.removeprefix("tests/performance/test_load.py::") for test in roster] == [
        "TestLoad::test_one",
        "TestLoad::test_two",
        "test_alone",
    ]
    assert roster[0].first_line == "What it says first."
    (tmp_path / "test_broken.py").write_text("def", encoding="utf-8")
    with pytest.raises(ReportError, match=r"test_broken\.py: cannot be read as Python"):
        read_roster(tmp_path, prefix="tests/performance")


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("tests/performance/test_load.py::TestSmallScaleLoad::test_x", "load"),
        ("tests/performance/test_load.py::TestCPUProfiling::test_x", "memory"),
        ("tests/performance/test_sdk_performance.py::TestBulkReadPerformance::test_x", "sdk"),
        ("tests/performance/test_new.py::TestNew::test_x", "other"),
        ("tests/performance/test_load.py::test_x", "load"),
    ],
)
def test_a_test_belongs_to_one_section(name: str, section: str) -> None:
    """By its class, else by its file; what is not known is not lost."""
    assert section_of(name) == section


def test_asv_results_are_read_with_their_intervals(tmp_path: Path) -> None:
    """The repository's own: values in their units, 99 % intervals around them."""
    found = read_asv(ROOT / "results" / "asv")
    assert found is not None
    timed = [row.figure for row in found.rows if row.figure.unit == "s"]
    assert len(timed) > 10
    for figure in timed:
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
    assert all(row.figure.unit for row in found.rows)
    assert read_asv(tmp_path) is None
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "abc-env.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ReportError, match="needed one that `asv run` wrote"):
        read_asv(tmp_path)


def test_a_run_must_be_one(tmp_path: Path) -> None:
    """A folder, or a list, is refused with its name."""
    (tmp_path / "0001_x.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ReportError, match=r"0001_x\.json: got JSON that is no stored run"):
        read_run(tmp_path / "0001_x.json")
    with pytest.raises(ReportError, match="cannot be read"):
        read_run(tmp_path)


def test_only_throughput_over_so_many_is_scaling() -> None:
    """Memory over time is none, nor is latency over users."""
    assert is_scaling("workers", "per s")
    assert not is_scaling("s", "per s")
    assert not is_scaling("users", "s")
    assert noun_of("throughput over users", "count") == "users"
    assert noun_of("throughput", "workers") == "workers"


def test_a_law_is_fitted_where_there_are_points_enough() -> None:
    """Amdahl's own numbers give Amdahl's own coefficients; two points give none, and say so."""
    workers = (1.0, 2.0, 4.0, 8.0) * 2
    rates = tuple(100.0 * n / (1.0 + 0.1 * (n - 1.0)) for n in workers)
    series = Series(x=workers, y=rates, x_unit="workers", y_unit="per s")
    fit = fit_of(series)
    assert fit is not None
    assert fit.alpha.value == pytest.approx(0.1, rel=1e-6)
    shown = list(scaling_blocks("scaling", series, noun="workers", cpus=2))
    table, chart = shown[:2]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["1", "2", "4", "8"]
    assert table.rows[3][3] == Amount(value="58.8 %")
    assert isinstance(chart, Lines)
    assert "Amdahl's law" in {curve.name for curve in chart.curves}
    assert "of 4, 8 workers" in str(shown[-1])
    assert "CPU" not in str(list(scaling_blocks("users", series, noun="users", cpus=2)))
    few = Series(x=(1.0, 2.0), y=(1.0, 2.0), x_unit="workers", y_unit="per s")
    assert fit_of(few) is None
    assert "fewer than three" in str(list(scaling_blocks("few", few, noun="users", cpus=None))[-1])


CHARTS = (
    Lines(
        title="curves <&>",
        x=Axis(title="share", unit="", kind="nines"),
        y=Axis(title="time", unit="s", kind="log"),
        curves=(Curve(name="a <b>", points=((0.0, 1e-3), (0.9, 2e-3), (0.999, 0.5))),),
        limits=(Limit(name="p95", kind="target", y=0.02, x=0.95),),
    ),
    Lines(
        title="no point",
        x=Axis(title="time", unit="s"),
        y=Axis(title="size", unit="bytes"),
        curves=(Curve(name="nothing", points=()),),
    ),
    Ranges(
        title="rows",
        axis=Axis(title="times", unit="times", kind="log"),
        rows=(
            Range(name="zero", value=0.0, low=0.0, high=0.1, text="0", target=1.0, critical=2.0),
            Range(name="x" * 99, value=1.5, low=1.2, high=2.5, text="1.5", state="undecided"),
        ),
    ),
)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_a_chart_is_sound_whatever_it_holds(chart: Lines | Ranges) -> None:
    """As XML without a number that is none, and as text in as many lines as rows and more."""
    text = svg_chart(chart)
    ET.fromstring(text)  # noqa: S314 - what we wrote ourselves
    assert "nan" not in text
    assert "inf" not in text
    assert text_chart(chart)[0] == chart.title
    assert len(text_chart(chart)) > 1


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_text_breaks_a_table_or_a_page(text: str, code: str) -> None:
    """A message may hold anything: each row keeps its cells, and no tag comes from it."""
    assume(text.strip() and code.strip())
    card = VerdictCard(
        state="failed",
        word="BLOCK",
        sentence=text,
        counts=(("failed", 1),),
        reasons=((text, Code(code)),),
        commands=(),
        facts=(Fact(name="Commit", words=(Code(code),)),),
    )
    table = Table(
        caption=text, heads=("A", ">B"), rows=((text, Code(code)), (text, Mark(state="met")))
    )
    blocks = (table, said(text), Commands(("one", "two")))
    document = Document(title="t", card=card, sections=(Section(title="S", blocks=blocks),))
    markdown, html = to_markdown(document), to_html(document)
    rows = [line for line in markdown.split("\n") if line.startswith("| ")]
    assert len(rows) == 2 + 1 + 2 + 2
    bars = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in rows]
    assert set(bars) == {3}
    tags = html.count("<")
    assert tags == to_html(replace(document, card=replace(card, sentence="x"))).count("<")


def contrast(one: str, other: str) -> float:
    """The ratio of luminances of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_everything_can_be_read_in_light_dark_and_print() -> None:
    """Text has a contrast of 4.5 on every ground it stands on, lines of 3."""
    style = (ROOT / "tools" / "performance_report" / "page.css").read_text("utf-8")
    schemes = [dict(re.findall(r"--([\w-]+): (#\w+);", s)) for s in style.split(":root {")[1:]]
    assert len(schemes) == 3
    for colours in schemes:
        grounds = [colours[name] for name in ("bg", "surface")]
        tinted = [(t, colours[f"tint-{t}"]) for t in ("bad", "doubt", "good", "open")]
        for name in ("ink", "muted", "link", "bad", "doubt", "good", "better", "open"):
            assert min(contrast(colours[name], ground) for ground in grounds) >= 4.5, name
        for tone, ground in tinted:
            for name in (tone, "ink", "muted", "link"):
                assert contrast(colours[name], ground) >= 4.5, (name, tone)
        for name in ("c0", "c1", "c2", "c3"):
            assert contrast(colours[name], colours["surface"]) >= 3.0
