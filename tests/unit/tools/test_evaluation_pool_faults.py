"""The comparison of pools under faults: what it counts, and how it shows it."""

import pytest
from tools.evaluation.pool_faults import (
    POOLS,
    Call,
    Tally,
    main,
    missing,
    summary,
    table,
    timed_call,
    turns,
)


def _call(begun_s: float, ended_s: float, error: str | None = None) -> Call:
    return Call(begun_s=begun_s, spent_s=ended_s - begun_s, error=error)


def test_a_summary_counts_what_began_while_the_server_was_away() -> None:
    """What was under way before counts nowhere; errors, and the way back, are those of the rest."""
    clients = [
        [_call(0, 11, "Lost"), _call(11, 12, "Refused"), _call(13, 21)],
        [_call(10, 14, "Refused"), _call(14, 20.5), _call(21, 22)],
    ]
    found = summary("ours", "outage", clients, since_s=10, back_s=20)
    assert (found.calls, found.errors) == (5, 2)
    assert (found.error_s_median, found.error_s_max) == (2.5, 4)
    assert (found.first_answer_s, found.all_answered_s) == (0.5, 1)


def test_a_client_that_is_never_served_is_not_passed_over() -> None:
    """While one client has no answer there is no time at which all had one."""
    clients = [[_call(10, 21)], [_call(10, 19), _call(19, 22, "Refused")]]
    found = summary("ours", "outage", clients, since_s=10, back_s=20)
    assert (found.first_answer_s, found.all_answered_s) == (1, None)
    nobody = summary("ours", "outage", clients[1:], since_s=10, back_s=20)
    assert nobody.first_answer_s is None
    no_error = summary("ours", "outage", clients[:1], since_s=10, back_s=20)
    assert (no_error.error_s_median, no_error.error_s_max) == (None, None)


def test_the_error_of_a_query_is_kept_by_name() -> None:
    """A query that raises is a call with an error, one that returns is a call without."""

    def fail() -> None:
        raise ConnectionError("gone")

    assert timed_call(fail).error == "ConnectionError"
    assert timed_call(lambda: None).error is None


def test_every_connect_is_counted_also_one_that_fails() -> None:
    """Attempts count, not successes."""
    tally = Tally()
    assert tally.counted(lambda word: word)("hello") == "hello"
    with pytest.raises(ZeroDivisionError):
        tally.counted(lambda: 1 / 0)()
    assert tally.count == 2


def test_each_pool_begins_in_turn() -> None:
    """Every repeat has all pools once, and another one first."""
    order = turns(["a", "b", "c"], 3)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_a_table_has_a_line_for_each_pool_and_scenario() -> None:
    """Repeats become one line with the middle and the range; what never was is a dash."""
    results = [
        summary("ours", "restart", [[_call(0, 1)]], since_s=0, back_s=0.5),
        summary("ours", "restart", [[_call(0, 3)]], since_s=0, back_s=0.5),
        summary("theirs", "restart", [[_call(0, 1, "Lost")]], since_s=0, back_s=0.5),
    ]
    head, ours, theirs = table(results)
    assert head.split()[:2] == ["scenario", "pool"]
    assert "1500.0 (500.0-2500.0)" in ours
    assert theirs.split() == ["restart", "theirs", "1", "1", "1000.0", "1000.0", *"--0-"]


def test_libraries_that_are_missing_are_named_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a peer the exit code is 2 and the message says what to install or to leave out."""
    assert missing(["sergas"]) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing(list(POOLS)) == ["psycopg_pool", "sqlalchemy"]
    assert main([]) == 2
    assert "groundspeed[peers]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--pools", "sergas;theirs"])
    assert "theirs" in capsys.readouterr().err
