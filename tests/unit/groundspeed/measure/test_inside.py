import ast
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure import inside
from groundspeed.measure.inside.asv_suite import imported_files
from groundspeed.measure.inside.channel import Channel
from groundspeed.measure.inside.processes import describe_error, run_on

if sys.platform == "win32":
    pytest.skip("twins are forked and handed descriptors", allow_module_level=True)

MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=50) | st.integers() | st.none())
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Two ends of one conversation."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs)


@given(MESSAGES, st.integers(1, 64))
def test_messages_arrive_whole_and_in_order(messages: list[dict[str, Any]], piece: int) -> None:
    """Wherever the stream is cut, what was sent is received, and then that it is over."""
    stream = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    ours, theirs = socket.socketpair()
    with theirs:
        writer = threading.Thread(target=send_in_pieces, args=(ours, stream, piece))
        writer.start()
        channel = Channel(theirs)
        assert [channel.receive() for _ in messages] == messages
        assert channel.receive() is None
        writer.join()


def send_in_pieces(end: socket.socket, stream: bytes, piece: int) -> None:
    """Send a stream in small pieces and close."""
    with end:
        for start in range(0, len(stream), piece):
            end.sendall(stream[start : start + piece])


def test_a_message_larger_than_the_socket_is_whole(ends: tuple[Channel, Channel]) -> None:
    """A megabyte of samples is one message."""
    message = {"samples": list(range(200_000))}
    sender = threading.Thread(target=ends[0].send, args=(message,))
    sender.start()
    assert ends[1].receive() == message
    sender.join()


def test_a_descriptor_comes_with_its_message(ends: tuple[Channel, Channel]) -> None:
    """What is written to the descriptor received is read from the one that was sent."""
    reader, writer = os.pipe()
    socket.send_fds(ends[0].end, [b'{"op": "row"}\n'], [writer])
    os.close(writer)
    assert ends[1].receive() == {"op": "row"}
    with os.fdopen(ends[1].take_descriptor(), "wb") as received:
        received.write(b"here")
    with os.fdopen(reader, "rb") as kept:
        assert kept.read() == b"here"


def test_speaking_to_nobody_is_no_error(ends: tuple[Channel, Channel]) -> None:
    """A controller that is gone is noticed by the next receive, not by a broken pipe."""
    ends[1].end.close()
    ends[0].send({"samples": []})
    assert ends[0].receive() is None


def caught(action: str) -> BaseException:
    """What a benchmark's line raises, with the frames it has."""
    with pytest.raises(BaseException) as error:  # noqa: PT011 - whatever it is
        exec(compile(action, "bench.py", "exec"))  # noqa: S102 - a frame of a file of that name
    return error.value


@pytest.mark.parametrize(
    ("action", "kind", "message"),
    [
        ("raise ValueError('no such account')", "ValueError", "no such account"),
        ("raise SystemExit(3)", "SystemExit", "it called exit(3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("raise OSError('caf\\udce9.db')", "OSError", "caf\\udce9.db"),
    ],
)
def test_an_exception_becomes_three_texts(action: str, kind: str, message: str) -> None:
    """Type, message and traceback, all of which UTF-8 can carry."""
    told = describe_error(caught(action))
    assert (told["type"], told["message"]) == (kind, message)
    assert 'File "bench.py", line 1' in told["traceback"]
    assert all(text.encode("utf-8") for text in told.values() if text)


def test_a_long_traceback_keeps_its_end() -> None:
    """What a reader needs most is the last line, and a message is bounded."""
    told = describe_error(caught("raise ValueError('x' * 10_000 + 'the end')"))
    assert len(told["traceback"]) <= 4000
    assert told["traceback"].endswith("the end\n")


def test_a_cpu_that_is_not_there_is_no_error() -> None:
    """A plan that no longer fits the machine leaves the process where it is."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    run_on([])
    run_on([4095])
    after = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    assert before == after


HERE = Path(inside.__file__).parent


@pytest.mark.parametrize("file", sorted(HERE.glob("*.py")), ids=lambda file: file.stem)
def test_what_runs_inside_needs_the_standard_library_alone(file: Path) -> None:
    """It runs in the environment of any commit, where groundspeed may not be installed."""
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    of_the_suite = (
        {"_pytest", "pluggy", "pytest", "pytest_benchmark"}
        if file.stem.startswith("pytest_")
        else set()
    )
    assert imported <= sys.stdlib_module_names | of_the_suite


# As the launch script does it: its folder becomes a package, by its place.
LOAD = f"import runpy, sys; runpy.run_path({os.fspath(HERE / 'launch.py')!r})['_load_siblings']();"
LOAD_RUNNER = "from groundspeed_inside.asv_suite import load_asv_runner;"


@pytest.mark.parametrize("time_only", [True, False])
def test_asv_runner_is_loaded_without_its_neighbours(time_only: bool) -> None:
    """The one folder it is in is no place to import the rest of site-packages from."""
    spec = importlib.util.find_spec("asv_runner")
    assert spec is not None
    assert spec.origin is not None
    script = (
        f"{LOAD} {LOAD_RUNNER} before = list(sys.path);"
        f"load_asv_runner({os.fspath(Path(spec.origin).parent)!r}, time_only={time_only});"
        "assert sys.path == before;"
        "from asv_runner.discovery import _get_benchmark;"
        "assert not {'numpy', 'groundspeed'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", script], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_later_launches_are_spared_what_other_kinds_of_benchmarks_need() -> None:
    """No numpy by way of pympler, and afterwards everything can be imported as ever."""
    spec = importlib.util.find_spec("asv_runner")
    assert spec is not None
    assert spec.origin is not None
    script = (
        f"{LOAD} {LOAD_RUNNER}"
        f"load_asv_runner({os.fspath(Path(spec.origin).parent)!r}, time_only=True);"
        "assert 'numpy' not in sys.modules; import pympler, importlib.metadata;"
        "assert list(importlib.metadata.distributions());"
        "from asv_runner.benchmarks import benchmark_types as kinds;"
        "assert 'TimeBenchmark' in [kind.__name__ for kind in kinds]"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_ruler_is_nobodys_foreign_file() -> None:
    """What takes the samples may lie in the very checkout that is measured."""
    names = {name.partition(".")[0] for name in imported_files()}
    assert imported_files.__module__.partition(".")[0] not in names
    assert {"pytest", "json"} <= names


def test_the_program_that_runs_is_no_imported_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor under the second name that multiprocessing gives it."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/somewhere/launch.py", raising=False)
    monkeypatch.setitem(sys.modules, "__mp_main__", sys.modules["__main__"])
    assert "/somewhere/launch.py" not in imported_files().values()
