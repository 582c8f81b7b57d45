from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundspeed.check.promise import (
    conclude,
    count_false_alarms,
    exit_code,
    rows_seen,
    seen_overall,
    sizes_found,
    smallest_seen,
)
from groundspeed.model import LabelExchange, Machine, Outcome
from groundspeed.report.selftest import selftest_report
from groundspeed.store.calibrations import calibration_of
from groundspeed.store.selftests import (
    SELFTEST_SCHEMA,
    RowTried,
    SelftestCheck,
    SelftestRecord,
    encode_selftest,
)

GOLDEN = Path(__file__).parents[3] / "golden"
KINDS = ("loops", "json", "sqlite", "threads")
MACHINE = Machine(
    fingerprint="0123456789ab",
    cpu="Example CPU",
    cpus=4,
    measuring_cpus=(3,),
    memory_bytes=2**34,
    system="Linux 6.1",
    python="CPython 3.12.4",
    load_average_1m=0.5,
    schedstat=True,
)


def checked(**found: tuple[float, Outcome]) -> SelftestCheck:
    """A check in which these kinds were made slower and ended so, and the others are the same."""
    rows = []
    for number, kind in enumerate(KINDS):
        size, outcome = found.get(kind, (0.0, Outcome.SAME))
        rows.append(
            RowTried(
                row=kind,
                size=size,
                outcome=outcome,
                ratio=1.0 + size,
                pairs=8,
                detectable=0.012 * 2**number,
                metric="cpu" if kind == "threads" else "clean",
            )
        )
    exchange = None
    if not any(row.size for row in rows):
        exchange = LabelExchange(
            exchanges=200, alarmed=1, rate_low=0.0, rate_high=0.03, cut_short=0.0
        )
    return SelftestCheck(duration_s=9.5, rows=tuple(rows), exchange=exchange)


def recorded(*checks: SelftestCheck, **changes: Any) -> SelftestRecord:
    """The record of a self-test that consisted of these checks."""
    alarms, sizes = count_false_alarms(checks, 0.01), sizes_found(checks)
    rows = rows_seen(checks, 5, 34)
    conclusion = conclude(alarms, sizes)
    record = SelftestRecord(
        schema=SELFTEST_SCHEMA,
        tool_version="0.1.0",
        started_at="2026-03-01T12:00:00+00:00",
        duration_s=89.4,
        conclusion=conclusion,
        exit_code=exit_code(conclusion),
        smallest_seen=smallest_seen(sizes),
        false_alarms=alarms,
        sizes=sizes,
        first=seen_overall({row.row: row.first for row in rows}, 5),
        last=seen_overall({row.row: row.last for row in rows}, 34),
        rows=rows,
        warnings=(),
        min_effect=0.01,
        looks=(5, 34),
        seed=42,
        machine=MACHINE,
        checks=checks,
    )
    return replace(record, **changes)


SLOWER, SAME = Outcome.SLOWER, Outcome.SAME
FINDING = checked(loops=(0.02, SLOWER), json=(0.03, SLOWER), sqlite=(0.01, SAME))
MISSING = checked(loops=(0.02, SAME), json=(0.03, SAME), sqlite=(0.05, SLOWER))
ALARM = checked(json=(0.0, SLOWER))
QUIET = checked()


def assert_golden(name: str, text: str) -> None:
    """Compare with the kept text; on a difference leave what there was beside it."""
    expected, got = GOLDEN / f"{name}.txt", GOLDEN / f"{name}.got"
    if not expected.exists() or expected.read_text("utf-8") != text:
        got.write_text(text, "utf-8")
        pytest.fail(f"{got} differs from {expected}; if it reads better, rename it")
    got.unlink(missing_ok=True)


def test_a_kept_promise() -> None:
    """The answer, what it rests on, and nothing to do."""
    assert_golden("selftest_kept", selftest_report(recorded(*[QUIET, FINDING] * 5)))


def test_a_machine_that_misses_too_much() -> None:
    """What to do about it, what a reader should know, and every row."""
    record = recorded(*[QUIET, MISSING] * 4, warnings=("nothing was pinned",))
    assert_golden("selftest_blind", selftest_report(record, verbose=True))


def test_too_many_false_alarms() -> None:
    """How unlikely so many are."""
    report = selftest_report(recorded(*[ALARM] * 2, *[QUIET, FINDING] * 4))
    assert report.startswith(
        "On this machine a check sees 2 %; 2 of 6 unchanged checks alarmed.\n"
        "The gate raises more false alarms here than it promises: so many in so few checks have a "
        "chance of 0.62 %.\n"
    )


def test_too_short_a_self_test() -> None:
    """It claims nothing about what a check sees, and says to run it longer."""
    report = selftest_report(recorded(QUIET, FINDING))
    first, second, *_ = report.splitlines()
    assert first == (
        "On this machine a check may see what it should, but too few rows were tried to say; "
        "0 of 1 unchanged checks alarmed."
    )
    assert second == "Whether the gate keeps its promise here is not decided."
    assert "groundspeed selftest --seconds 300" in report


def test_lines_fit_a_terminal() -> None:
    """None is longer than 100 but the first, which is a sentence."""
    report = selftest_report(recorded(*[QUIET, MISSING] * 400, FINDING), verbose=True)
    assert max(map(len, report.splitlines()[1:])) <= 100


def test_style_colours_and_changes_nothing_else() -> None:
    """Without the marks of the style, the text is the plain one."""
    record = recorded(QUIET, MISSING, warnings=("a note",))
    styled = selftest_report(record, style=lambda text, kind: f"<{kind}>{text}</>")
    assert "<doubt>" in styled
    for kind in ("good", "bad", "doubt", "quiet", "strong"):
        styled = styled.replace(f"<{kind}>", "")
    assert styled.replace("</>", "") == selftest_report(record)


def test_the_json_is_the_record() -> None:
    """It is read back as it was, and ends in a newline."""
    record = recorded(QUIET, FINDING)
    encoded = encode_selftest(record)
    assert encoded.endswith(b"}\n")
    assert msgspec.json.decode(encoded, type=SelftestRecord) == record


def test_what_is_kept_is_what_can_be_seen() -> None:
    """On which machine, by which version and when."""
    record = recorded(QUIET, FINDING)
    kept = calibration_of(record)
    assert (kept.first, kept.last) == (record.first, record.last)
    assert (kept.fingerprint, kept.tool_version) == ("0123456789ab", "0.1.0")
    assert str(kept.day) == "2026-03-01"
