"""What a scenario refuses, and how it reads from a file."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from groundspeed.errors import UsageError
from groundspeed.load import (
    Cache,
    Call,
    Closed,
    Http,
    Open,
    Operation,
    PartlyOpen,
    Ramp,
    Scenario,
    Sql,
    Steady,
    read_scenario,
)
from groundspeed.load.arrivals import legs_of
from groundspeed.load.engines import check_descriptors, connections_of
from groundspeed.load.http_client import bytes_of, resolve
from groundspeed.load.models import describe_model
from groundspeed.load.scenario import resolve_function

_GET = Operation(name="get", target=Http(url="http://127.0.0.1:80/"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Open(rate=0), "rate: got 0, needed above 0"),
        (lambda: Open(rate=1e9), r"rate: got 1e\+09, needed above 0 and at most 1,000,000"),
        (lambda: Open(rate=float("nan")), "rate: got nan"),
        (lambda: Closed(users=0), "users: got 0, needed 1 to 100,000"),
        (lambda: Closed(users=1, think=-1), "think: got -1"),
        (lambda: PartlyOpen(sessions=0, steps=1), "sessions: got 0"),
        (lambda: PartlyOpen(sessions=1, steps=0), "steps: got 0"),
        (lambda: Steady(duration=0), "duration: got 0"),
        (lambda: Steady(duration=1, level=-1), "level: got -1"),
        (lambda: Ramp(duration=1, start=0, end=0), "needed a level above 0 at one end"),
        (lambda: Http(url="https://a/"), "TLS is not spoken"),
        (lambda: Http(url="ftp://a/"), "got 'ftp://a/', needed http://"),
        (lambda: Http(url="http://a:x/"), "needed http://"),
        (lambda: Http(url="http://a/b c"), "without spaces"),
        (lambda: Http(url="http://a/", method="get"), "method: got 'get'"),
        (lambda: Http(url="http://a/", method="HEAD"), "method: got HEAD"),
        (lambda: Http(url="http://a/", headers={"A": "b\r\nC: d"}), "line break"),
        (lambda: Http(url="http://a/", keys=0), "keys: got 0"),
        (lambda: Sql(database="a", statement=" "), "statement: got nothing"),
        (lambda: Cache(url="redis://a", command=()), "command: got nothing"),
        (lambda: Call(function=3), "function: got 3"),
        (lambda: Operation(name="a", target=_GET.target, weight=0), "weight of 'a': got 0"),
        (lambda: Scenario(name="a", operations=(), model=Open(rate=1)), "operations: got 0"),
        (lambda: _scenario(operations=(_GET, _GET)), "different names"),
        (lambda: _scenario(timeout=0), "timeout: got 0"),
        (lambda: _scenario(warm_up=10), "warm_up: got 10 s, needed less than the 10 s"),
        (lambda: _scenario(processes=0), "processes: got 0"),
        (lambda: _scenario(connections=0), "connections: got 0"),
        (lambda: _scenario(seed=-1), "seed: got -1"),
        (
            lambda: _scenario(operations=(_GET, _call(print))),
            "an HTTP scenario talks to one host and port",
        ),
        (
            lambda: _scenario(operations=(_call(print),), processes=2),
            "a function that only this process has",
        ),
        (lambda: legs_of(Open(rate=1), []), "stages: got none"),
        (lambda: legs_of(Open(rate=1), [Steady(duration=1, level=0)]), "a level of 0 throughout"),
        (lambda: legs_of(Closed(users=1), [Steady(duration=1, level=1e6)]), "1e\\+06 users"),
        (lambda: resolve_function("no.such:thing"), "No module named 'no'"),
        (lambda: resolve_function("math:nothing"), "nothing"),
        (lambda: resolve_function("math:pi"), "got float, needed a function"),
        (lambda: resolve("no-such-host.invalid", 80), "host 'no-such-host.invalid'"),
    ],
)
def test_bad_input_is_refused_and_says_why(make: Callable[[], object], message: str) -> None:
    """What was seen and what was needed, at the door."""
    with pytest.raises(UsageError, match=message):
        make()


def _call(function: object) -> Operation:
    return Operation(name="call", target=Call(function=function))


def _scenario(**changed: object) -> Scenario:
    fields: dict[str, object] = {"name": "a", "operations": (_GET,), "model": Open(rate=1)}
    return Scenario(**(fields | changed))  # type: ignore[arg-type]


_TOML = b"""
name = "accounts"
seed = 7
stages = [{type = "ramp", duration = 2, start = 0, end = 50}, {type = "steady", duration = 5}]

[model]
type = "open"
rate = 50

[[operations]]
name = "get"
weight = 0.8
target = {type = "http", url = "http://127.0.0.1:8000/accounts/{n}", keys = 100}

[[operations]]
name = "patch"
weight = 0.2
target = {type = "http", url = "http://127.0.0.1:8000/accounts/{n}", method = "PATCH", body = "{}"}
"""


def test_a_scenario_reads_from_a_file_and_goes_to_another_process() -> None:
    """TOML in, JSON to the generators, the same scenario out."""
    scenario = read_scenario(_TOML, subject="accounts.toml")
    assert scenario.model == Open(rate=50)
    assert scenario.duration == 7
    assert [operation.weight for operation in scenario.operations] == [0.8, 0.2]
    assert msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario) == scenario


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_TOML.replace(b'"open"', b'"opne"'), r"accounts.toml: .*opne.*model"),
        (_TOML.replace(b"rate = 50", b'rate = "fast"'), r"accounts.toml: .*float.*model.rate"),
        (_TOML.replace(b"rate = 50", b"rate = 0"), "rate: got 0"),
        (b"name = ", "accounts.toml: "),
    ],
)
def test_a_scenario_file_with_an_error_says_where(content: bytes, message: str) -> None:
    """The file and the field are named."""
    with pytest.raises(UsageError, match=message):
        read_scenario(content, subject="accounts.toml")


def test_more_users_than_file_descriptors_are_refused() -> None:
    """Before a single connection is opened."""
    resource = pytest.importorskip("resource")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= 100_000:
        pytest.skip(f"the system allows {hard} descriptors")
    with pytest.raises(UsageError, match="file descriptors each, the system allows"):
        check_descriptors(_scenario(model=Closed(users=100_000)))


def test_requests_are_made_for_every_number_beforehand() -> None:
    """Bytes by RFC 9112, one variant a number."""
    made = bytes_of(
        Http(url="http://[::1]:81/a/{n}?b", method="POST", headers={"A": "b"}, body="{n}", keys=11)
    )
    assert len(made) == 11
    assert (
        made[10]
        == b"POST /a/10?b HTTP/1.1\r\nHost: [::1]:81\r\nA: b\r\nContent-Length: 2\r\n\r\n10"
    )
    padded = bytes_of(Http(url="http://h/a_{n:4}/{n}", keys=12))
    assert padded[11].startswith(b"GET /a_0011/11 HTTP/1.1")
    assert bytes_of(Http(url="http://h", keys=5)) == [b"GET / HTTP/1.1\r\nHost: h:80\r\n\r\n"]


def test_connections_are_one_a_user_at_the_highest_level() -> None:
    """Without a limit of the scenario's own."""
    stages = (Ramp(duration=1, start=0, end=30), Steady(duration=1))
    assert connections_of(_scenario(model=Closed(users=20), stages=stages)) == 30
    assert connections_of(_scenario()) == 1000
    assert connections_of(_scenario(operations=(_call(print),))) == 256
    assert connections_of(_scenario(connections=3)) == 3


def test_models_are_named_for_a_reader() -> None:
    """With their numbers, as they stand beside percentiles."""
    assert describe_model(Open(rate=100)) == "open, 100/s, poisson"
    assert describe_model(Closed(users=1, think=0.5)) == "closed, 1 user, think 0.5 s constant"
    assert describe_model(PartlyOpen(sessions=2, steps=3)) == (
        "partly open, 2 sessions/s poisson of 3 steps, think 0 s"
    )


def test_legs_follow_each_other_with_the_models_level_where_they_have_none() -> None:
    """A stage's time line is the run's."""
    legs = legs_of(Open(rate=8), [Ramp(duration=2, start=0, end=4), Steady(duration=3)])
    assert [(leg.start_s, leg.end_s) for leg in legs] == [(0, 2), (2, 5)]
    assert [leg.name for leg in legs] == ["ramp 0 to 4", "steady 8"]
    assert np.isclose(legs[0].arrivals, 4)
