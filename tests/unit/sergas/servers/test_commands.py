"""Command lines, configuration, addresses and URLs: pure functions."""

from pathlib import Path

import pytest

from sergas.servers import Profile, _commands
from sergas.servers._binaries import Programs
from sergas.servers._model import Address
from sergas.servers._postgres import is_ready, url
from sergas.servers._valkey import moved

_PROGRAMS = Programs(
    folder=Path("/pg/bin"),
    server=Path("/pg/bin/postgres"),
    source="path",
    version="18.6",
    root=Path("/pg"),
    carried=(".",),
)
_SOCKET = Address(path=Path("/p/s/.s.PGSQL.5432"), port=5432)
_PORT = Address(port=40000)


def _settings(line: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line if "=" in word)


@pytest.mark.parametrize("profile", ["durable", "fast"])
def test_the_profile_decides_all_three_settings_of_postgres(profile: Profile) -> None:
    """In the fast profile nothing waits for the disk; in the durable one everything does."""
    line = _commands.postgres(_PROGRAMS, Path("/p/data"), _SOCKET, profile, {})
    expected = "on" if profile == "durable" else "off"
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert _settings(line)[name] == expected


def test_postgres_listens_where_its_address_says() -> None:
    """With a socket there is no port; with a port only the loopback address has it."""
    settings = _settings(_commands.postgres(_PROGRAMS, Path("/p/data"), _SOCKET, "fast", {}))
    assert settings["listen_addresses"] == ""
    assert settings["unix_socket_directories"] == "/p/s"
    settings = _settings(_commands.postgres(_PROGRAMS, Path("/p/data"), _PORT, "fast", {}))
    assert (settings["listen_addresses"], settings["port"]) == ("127.0.0.1", "40000")


def test_given_settings_win() -> None:
    """What the caller sets replaces what the profile sets."""
    line = _commands.postgres(_PROGRAMS, Path("/p/data"), _PORT, "fast", {"fsync": "on"})
    assert [word for word in line if word.startswith("fsync")] == ["fsync=on"]
    config = _commands.valkey_config(Path("/d"), _PORT, "durable", {"appendfsync": "no"}, None)
    assert [line for line in config.splitlines() if "appendfsync" in line] == ["appendfsync no"]


def test_a_port_asks_a_password_and_a_socket_trusts() -> None:
    """Initdb is told so for PostgreSQL; the configuration has it for Valkey."""
    line = _commands.initdb(_PROGRAMS, Path("/p/data"), Path("/p/password"))
    assert line[line.index("--auth-local") + 1] == "trust"
    assert line[line.index("--auth-host") + 1] == "scram-sha-256"
    config = _commands.valkey_config(Path("/d"), _PORT, "fast", {}, "secret")
    assert {"bind 127.0.0.1", "port 40000", "requirepass secret"} <= set(config.splitlines())
    config = _commands.valkey_config(Path("/d"), _SOCKET, "fast", {}, None)
    assert {"port 0", "unixsocketperm 700"} <= set(config.splitlines())
    assert "requirepass" not in config


def test_a_postgres_url_escapes_what_it_must() -> None:
    """Signs that mean something in a URL arrive as themselves; folders stay readable."""
    assert (
        url({"user": "a b", "password": "&=?#", "host": "/run/x", "dbname": "d/e"})
        == "postgresql:///d%2Fe?user=a%20b&password=%26%3D%3F%23&host=/run/x"
    )


@pytest.mark.parametrize(
    ("given", "address", "index", "expected"),
    [
        ("redis://h:1/3", None, None, "redis://h:1/3"),
        ("valkey://u:p@h:1", None, None, "redis://u:p@h:1"),
        ("valkeys://h", None, 2, "rediss://h?db=2"),
        ("redis://:p@h:1/3?timeout=2", None, 4, "redis://:p@h:1?timeout=2&db=4"),
        ("redis://:p@h:1/3", _PORT, None, "redis://:p@127.0.0.1:40000/3"),
        ("redis://:p@h:1/3", _PORT, 5, "redis://:p@127.0.0.1:40000?db=5"),
        ("unix:///run/r.sock?db=1", None, 2, "unix:///run/r.sock?db=2"),
        ("unix:///run/r.sock?db=1", _PORT, None, "redis://127.0.0.1:40000?db=1"),
        ("unix:///run/r.sock", Address(path=Path("/p/v.sock")), 2, "unix:///p/v.sock?db=2"),
    ],
)
def test_a_valkey_url_is_moved(
    given: str, address: Address | None, index: int | None, expected: str
) -> None:
    """Address and database change; credentials and options stay."""
    assert moved(given, address, index) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("7\n/d\n1\n5432\n/s\n\n1 2\nready   \n", True),
        ("7\n/d\n1\n5432\n/s\n\n1 2\nstarting\n", False),
        ("8\n/d\n1\n5432\n/s\n\n1 2\nready   \n", False),
        ("7\n/d\n1\n", False),
        ("", False),
    ],
    ids=["ready", "starting", "another", "half", "empty"],
)
def test_postgres_is_ready_when_its_own_status_says_so(
    tmp_path: Path, content: str, *, expected: bool
) -> None:
    """A file that is half written, or left by a killed predecessor, does not count."""
    status = tmp_path / "postmaster.pid"
    assert not is_ready(status, 7)
    status.write_text(content, "ascii")
    assert is_ready(status, 7) is expected
