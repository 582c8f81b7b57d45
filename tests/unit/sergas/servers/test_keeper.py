"""The keeper's parts, and what it says when it cannot do what is asked."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sergas.errors import ServerStartError
from sergas.servers import _keeper
from sergas.servers._keeper import Keeper
from sergas.servers._keeper_process import LOCK, PREFIX, children, hold, sweep
from sergas.servers._model import Address
from sergas.servers._valkey import pongs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="servers are started on Unix only")


def _folder(base: Path, name: str) -> Path:
    folder = base / (PREFIX + name)
    folder.mkdir()
    return folder


def test_only_folders_of_keepers_that_are_gone_are_swept(tmp_path: Path) -> None:
    """A held folder, one that is just being made, and those of others stay."""
    held, left = _folder(tmp_path, "held"), _folder(tmp_path, "left")
    fresh, other = _folder(tmp_path, "fresh"), tmp_path / "other"
    other.mkdir()
    (other / LOCK).touch()
    locks = [hold(held), hold(left)]
    os.close(locks.pop())
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        folder.name for folder in (held, fresh, other)
    )
    os.close(locks.pop())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_children_are_the_direct_ones() -> None:
    """A started process is found below its parent, whatever its name."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert process.pid in children(os.getpid())
        assert children(process.pid) == []


@pytest.fixture(params=["pidfd", "polling"])
def keeper(
    request: pytest.FixtureRequest,
    open_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Keeper]:
    """A keeper with its folder in one of the test's own; also as on a system without pidfd."""
    if request.param == "polling":
        program = tmp_path / "keeper.py"
        program.write_text(
            "import os, runpy\n"
            "vars(os).pop('pidfd_open', None)\n"
            f"runpy.run_path({os.fspath(_keeper._PROGRAM)!r}, run_name='__main__')\n"
        )
        monkeypatch.setattr(_keeper, "_PROGRAM", program)
    keeper = Keeper(open_folder, None)
    yield keeper
    keeper.close()


def test_a_keeper_runs_a_program_and_reports_its_end(keeper: Keeper) -> None:
    """Exit codes, output and signals come back; the folder goes with the keeper."""
    keeper.run(["/bin/sh", "-c", "echo hello"], timeout_s=20.0)
    assert keeper.last_words() == "hello"
    keeper.start(["/bin/sh", "-c", "exec sleep 60"], farewell="SIGKILL")
    assert keeper.is_running
    assert keeper.wait(0.0) is None
    assert keeper.end([("SIGTERM", 20.0)]) == -signal.SIGTERM
    assert not keeper.is_running
    folder = keeper.folder
    assert folder.is_dir()
    keeper.close()
    keeper.close()
    assert not folder.exists()


def test_a_program_sees_no_secret_of_its_starter(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a server has a path and a neutral language and time, and no more."""
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("PGOPTIONS", "-c fsync=on")
    keeper.run(["/usr/bin/env"], timeout_s=20.0)
    seen = dict(line.split("=", 1) for line in keeper.last_words(99).splitlines())
    assert {"SECRET", "PGOPTIONS"}.isdisjoint(seen)
    assert (seen["LC_ALL"], seen["TZ"]) == ("C", "UTC")


def test_what_a_keeper_cannot_do_is_told(keeper: Keeper, tmp_path: Path) -> None:
    """A program that is absent, fails, takes too long, or is the second; a keeper that is gone."""
    with pytest.raises(ServerStartError, match="no-such-program"):
        keeper.start([str(tmp_path / "no-such-program")], farewell="SIGKILL")
    with pytest.raises(ServerStartError, match=r"exit code 3; it wrote:\nwhy"):
        keeper.run(["/bin/sh", "-c", "echo why; exit 3"], timeout_s=20.0)
    with pytest.raises(ServerStartError, match=r"still ran after 0.01 s"):
        keeper.run(["/bin/sh", "-c", "exec sleep 60"], timeout_s=0.01)
    keeper.start(["/bin/sh", "-c", "exec sleep 60"], farewell="SIGKILL")
    with pytest.raises(ServerStartError, match="still runs"):
        keeper.start(["/bin/sh", "-c", ":"], farewell="SIGKILL")
    with pytest.raises(ServerStartError, match="unknown request"):
        keeper._ask(do="dance")
    keeper._talk._process.kill()
    keeper._talk._process.wait()
    with pytest.raises(ServerStartError, match="keeper has ended"):
        keeper.wait(0.0)
    keeper.close()
    with pytest.raises(ServerStartError, match="closed"):
        keeper.wait(0.0)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """When there is no folder to be had the error has the keeper's reason."""
    with pytest.raises(ServerStartError, match="absent"):
        Keeper(tmp_path / "absent", None)


def test_nobody_answers_where_nobody_listens(tmp_path: Path) -> None:
    """Asking for a Valkey that is not there is no error but a no."""
    assert not pongs(Address(path=tmp_path / "absent"), None)
    assert not pongs(Address(port=1), "password")
