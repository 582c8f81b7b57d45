"""The HTTP engine against real servers: good ones, and every kind of bad one."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from groundspeed.errors import BrokenError
from groundspeed.load import (
    Closed,
    Http,
    LoadResult,
    Open,
    Operation,
    PartlyOpen,
    Progress,
    Ramp,
    Scenario,
    Steady,
    run,
)
from groundspeed.load.arrivals import arrival_times, legs_of
from groundspeed.load.models import Model
from groundspeed.load.selfchecking import stalling_server

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that answers at once."""
    with stalling_server() as server:
        yield server.url


@contextlib.contextmanager
def _serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does `serve` with each connection, in threads of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, serve), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, serve), daemon=True).start()


def _serve(client: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    with client, contextlib.suppress(OSError):
        serve(client)


def _answering(answer: bytes, *, then_close: bool = False) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        while client.recv(1 << 16):
            client.sendall(answer)
            if then_close:
                return

    return serve


def _run(url: str, model: Model, seconds: float = 0.6, **changed: object) -> LoadResult:
    fields: dict[str, object] = {
        "name": "test",
        "operations": (Operation(name="get", target=Http(url=url)),),
        "model": model,
        "stages": (Steady(duration=seconds),),
        "warm_up": 0.0,
    }
    return run(Scenario(**(fields | changed)))  # type: ignore[arg-type]


def _accounted(result: LoadResult) -> None:
    """No arrival is lost, and times are in order."""
    samples = result.samples
    assert result.offered == result.recorded == len(samples)
    assert (samples.taken_ns >= samples.intended_ns).all()
    assert (samples.sent_ns >= samples.taken_ns).all()
    assert (samples.end_ns >= samples.sent_ns).all()
    assert result.littles_law_gap == 0.0


@pytest.mark.parametrize("processes", [1, 2])
def test_an_open_run_makes_its_schedule_whatever_the_number_of_processes(
    url: str, processes: int
) -> None:
    """Every arrival of the seed's schedule is made once, and answered."""
    told: list[Progress] = []
    scenario = Scenario(
        name="test",
        operations=(
            Operation(name="read", target=Http(url=f"{url}a/{{n}}", keys=9), weight=3),
            Operation(name="write", target=Http(url=url, method="POST", body="{n}")),
        ),
        model=Open(rate=400),
        stages=(Ramp(duration=0.6, start=0, end=400), Steady(duration=0.6)),
        processes=processes,
        seed=5,
    )
    result = run(scenario, progress=told.append)
    _accounted(result)
    assert result.errors == {}
    schedule = arrival_times(
        legs_of(scenario.model, scenario.stages), arrivals="poisson", seed=scenario.seed
    )
    assert np.array_equal(result.samples.intended_ns, np.concatenate(list(schedule)))
    assert result.generator.processes == processes
    assert 0.6 < np.mean(result.samples.operation == 0) < 0.9
    each = [len(result.only(name).samples) for name in result.operations]
    assert sum(each) == result.offered
    assert told
    assert result.resources is not None
    assert result.resources.threads.max() >= 1


def test_closed_users_wait_for_their_answers(url: str) -> None:
    """Never more in flight than users, and each thinks before asking again."""
    result = _run(url, Closed(users=4, think=0.02))
    _accounted(result)
    samples = result.samples
    starts = np.stack([samples.sent_ns, np.ones_like(samples.sent_ns)])
    ends = np.stack([samples.end_ns, -np.ones_like(samples.end_ns)])
    events = np.concatenate([ends, starts], axis=1)
    order = np.lexsort((events[1], events[0]))
    assert np.cumsum(events[1][order]).max() <= 4
    assert 40 <= len(samples) <= 4 * 31


def test_sessions_make_all_their_steps(url: str) -> None:
    """Each of three, one after the other."""
    result = _run(url, PartlyOpen(sessions=60, steps=3, think=0.005), pipeline=2)
    _accounted(result)
    assert result.offered % 3 == 0


def test_pipelining_keeps_to_its_limit() -> None:
    """One connection carries as many requests as it may, and no more."""
    most = []

    def serve(client: socket.socket) -> None:
        while data := client.recv(1 << 16):
            count = data.count(b"\r\n\r\n")
            most.append(count)
            time.sleep(0.01)
            client.sendall(_OK * count)

    with _serving(serve) as url:
        result = _run(url, Closed(users=8), connections=1, pipeline=4)
    _accounted(result)
    assert result.errors == {}
    assert 2 <= max(most) <= 4


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        (_answering(b"garbage\r\n\r\n"), "bad answer"),
        (_answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "status 503"),
        (
            _answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", then_close=True),
            "closed early",
        ),
        (lambda client: None, "closed early"),
        (lambda client: time.sleep(3), "timeout"),
    ],
    ids=["garbage", "busy", "cut", "closes", "hangs"],
)
def test_what_a_bad_server_does_is_counted_and_stays_in_the_tail(
    serve: Callable[[socket.socket], None], failure: str
) -> None:
    """Every arrival fails, by its class, and its response time is infinite."""
    with _serving(serve) as url:
        result = _run(url, Open(rate=50), seconds=0.4, timeout=0.2)
    _accounted(result)
    assert set(result.errors) == {failure}
    assert result.error_rate == 1.0
    assert np.isinf(result.response_s).all()


def test_a_server_that_closes_after_each_answer_is_connected_to_again() -> None:
    """Connection: close is no failure."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with _serving(_answering(answer, then_close=True)) as url:
        result = _run(url, Open(rate=100))
    _accounted(result)
    assert result.errors == {}


def test_chunked_answers_and_announcements_are_read() -> None:
    """One answer is one answer, however it is cut."""

    def serve(client: socket.socket) -> None:
        while client.recv(1 << 16):
            client.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
            client.sendall(b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            client.sendall(b"0\r\n\r\n")

    with _serving(serve) as url:
        result = _run(url, Open(rate=100))
    _accounted(result)
    assert result.errors == {}


def test_a_target_that_is_not_there_is_said_before_anything_runs() -> None:
    """With its address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(BrokenError, match=f"target 127.0.0.1:{port}: .*; start the server"):
        _run(f"http://127.0.0.1:{port}/", Open(rate=1))


def test_a_target_that_goes_away_fails_and_the_run_goes_on() -> None:
    """Refused is a class of its own; no arrival is lost."""
    with stalling_server() as server:
        pid = _listener(server.port)
        threading.Timer(1.2, os.kill, (pid, signal.SIGKILL)).start()
        result = _run(server.url, Open(rate=100, arrivals="constant"), seconds=2.0)
    _accounted(result)
    assert result.errors["refused"] >= 10
    assert result.failures < 200


def _listener(port: int) -> int:
    for child in psutil.Process().children():
        if any(c.laddr.port == port for c in child.net_connections() if c.status == "LISTEN"):
            return int(child.pid)
    raise LookupError(port)


def test_arrivals_wait_for_a_connection_and_beyond_the_backlog_are_dropped() -> None:
    """Their waiting counts from the intended start; the dropped have failed."""

    def serve(client: socket.socket) -> None:
        while client.recv(1 << 16):
            time.sleep(0.1)
            client.sendall(_OK)

    with _serving(serve) as url:
        result = _run(
            url, Open(rate=100, arrivals="constant"), seconds=0.5, connections=1, backlog=3
        )
    _accounted(result)
    assert result.errors["dropped"] >= 30
    good = result.samples.where(~result.samples.failed)
    assert good.response_s.max() > 0.3
    assert good.service_s.max() < 0.2


def test_samples_beyond_the_cap_are_counted(url: str) -> None:
    """Raw up to the cap, in buckets from there; nothing is lost."""
    result = _run(url, Open(rate=500), samples_max=100)
    assert len(result.samples) == 100
    assert result.overflow is not None
    assert result.recorded == result.offered
    assert result.overflow.response_counts.sum() == result.overflow.count


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a signal")
def test_an_interrupted_run_keeps_what_it_has(url: str, tmp_path: Path) -> None:
    """Ctrl-C ends a run of a minute at once, with a result that says so."""
    script = tmp_path / "interrupted.py"
    script.write_text(
        "import sys\n"
        "from groundspeed.load import *\n"
        f"op = Operation(name='get', target=Http(url='{url}'))\n"
        "r = run(Scenario(name='x', operations=(op,), model=Open(rate=200),\n"
        "    stages=(Steady(duration=60),)), progress=lambda p: print('going', flush=True))\n"
        "print(r.partial, r.offered == r.recorded > 50, r.duration_s < 30, r.notes[0])\n",
        "utf-8",
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        last = process.stdout.read().splitlines()[-1]
    assert last == "True True True it was interrupted; these are the samples until then"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs cannot be chosen here")
def test_a_generator_starved_of_its_cpu_is_invalid_and_never_slow(url: str) -> None:
    """Four programs that never rest share its only CPU."""
    mine = os.sched_getaffinity(0)
    burning = []
    try:
        os.sched_setaffinity(0, {max(mine)})
        burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
        result = _run(url, Open(rate=200), seconds=1.5)
    finally:
        for process in burning:
            process.kill()
            process.wait()
        os.sched_setaffinity(0, mine)
    assert not result.valid
    assert any("CPU" in reason for reason in result.invalid)
