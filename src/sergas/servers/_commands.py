"""The command lines of both servers: pure functions of what is wanted."""

from collections.abc import Mapping
from pathlib import Path

from sergas.servers._binaries import Programs
from sergas.servers._model import Address, Profile

__all__ = ["SUPERUSER", "initdb", "postgres", "valkey_config", "valkey_url"]

SUPERUSER = "postgres"

_POSTGRES: dict[Profile, dict[str, str]] = {
    "durable": {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    "fast": {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
}
_VALKEY: dict[Profile, dict[str, str]] = {
    "durable": {"save": '""', "appendonly": "yes", "appendfsync": "always"},
    "fast": {"save": '""', "appendonly": "no"},
}


def initdb(programs: Programs, data: Path, password: Path) -> list[str]:
    """Make a cluster: the local socket trusts (its folder is private), the port asks a password."""
    return [
        *(str(programs.folder / "initdb"), "--pgdata", str(data), "--username", SUPERUSER),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
        *("--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", str(password)),
    ]


def postgres(
    programs: Programs,
    data: Path,
    address: Address,
    profile: Profile,
    settings: Mapping[str, str],
) -> list[str]:
    """Start PostgreSQL on `data`; `settings` come last and win.

    The socket is there with a port too: it is how the server is looked after.
    """
    chosen = {
        "listen_addresses": "" if address.path else address.host,
        "port": str(address.port or 5432),
        "unix_socket_directories": str(data.parent / "s"),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        **_POSTGRES[profile],
        **settings,
    }
    line = [str(programs.server), "-D", str(data)]
    for name, value in chosen.items():
        line += ["-c", f"{name}={value}"]
    return line


def valkey_config(
    data: Path,
    address: Address,
    profile: Profile,
    settings: Mapping[str, str],
    password: str | None,
) -> str:
    """The configuration file of Valkey or Redis with its files in `data`; `settings` win.

    A file, because a command line, and the password in it, is for every user to see.
    """
    chosen = {
        "daemonize": "no",
        "dir": f'"{data}"',
        "databases": "64",
        **(
            {"port": "0", "unixsocket": f'"{address.path}"', "unixsocketperm": "700"}
            if address.path
            else {"port": str(address.port), "bind": address.host}
        ),
        **({"requirepass": password} if password else {}),
        **_VALKEY[profile],
        **settings,
    }
    return "".join(f"{name} {value}\n" for name, value in chosen.items())


def valkey_url(address: Address, password: str | None) -> str:
    """A URL without a database, so that a client may name one; redis-py and valkey-py read it."""
    if address.path is not None:
        return f"unix://{address.path}"
    return f"redis://:{password}@{address.host}:{address.port}"
