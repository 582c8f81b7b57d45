"""What the service reads from its environment, once, when it starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sergas.errors import SettingsError

__all__ = ["DEFAULT_DATABASE", "Settings", "database_kind", "without_password"]

DEFAULT_DATABASE = "sqlite:///sergas.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service runs.

    Attributes:
        database_url: `sqlite:///path` or `postgresql://...`; SERGAS_PG_DSN or DATABASE_URL.
        redis_url: Of the second cache level, or None; SERGAS_REDIS_URL or REDIS_URL.
        secret: Signs tokens and seals pages, 32 bytes or more; SERGAS_SECRET.
        api_keys: The clients' names by their keys; SERGAS_API_KEYS, as `name:key,name:key`.
        threads: Most queries at the same time in a process, >= 1; SERGAS_THREADS.
        has_cache: Whether anything is cached; SERGAS_CACHE is 0 or 1.
        rate_per_s: Requests a second that one client may make in the long run, > 0; SERGAS_RATE.
        burst: Requests that it may make at once, >= 1; SERGAS_BURST.
        body_max_bytes: The longest body that is read; SERGAS_BODY_MAX_BYTES.
        read_timeout_s: How long a client may take to send headers, and then a body;
            SERGAS_READ_TIMEOUT_S.
        shutdown_s: How long requests may take to end after SIGTERM; SERGAS_SHUTDOWN_S.

    Raises:
        SettingsError: If a value means nothing.
    """

    database_url: str = DEFAULT_DATABASE
    redis_url: str | None = None
    secret: bytes = field(default=b"", repr=False)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    threads: int = 8
    has_cache: bool = True
    rate_per_s: float = 100.0
    burst: int = 200
    body_max_bytes: int = 1024 * 1024
    read_timeout_s: float = 10.0
    shutdown_s: float = 4.0

    def __post_init__(self) -> None:
        database_kind(self.database_url)
        if len(self.secret) < 32:  # noqa: PLR2004 as many as the digest that it keys
            raise SettingsError(
                f"SERGAS_SECRET: got {len(self.secret)} bytes, needed 32 or more; make one with"
                ' python -c "import secrets; print(secrets.token_hex(32))"'
            )
        for name in ("threads", "burst", "body_max_bytes"):
            _check(name, getattr(self, name), least=1)
        for name in ("rate_per_s", "read_timeout_s", "shutdown_s"):
            _check(name, getattr(self, name), least=0.001)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """The settings that the environment names, with defaults for the rest.

        Raises:
            SettingsError: If a value means nothing; the message names the variable.
        """
        given = os.environ if environment is None else environment
        default = cls(secret=b" " * 32)
        return cls(
            database_url=_first(given, "SERGAS_PG_DSN", "DATABASE_URL") or DEFAULT_DATABASE,
            redis_url=_first(given, "SERGAS_REDIS_URL", "REDIS_URL"),
            secret=given.get("SERGAS_SECRET", "").encode(),
            api_keys=_keys(given.get("SERGAS_API_KEYS", "")),
            threads=_whole(given, "SERGAS_THREADS", default.threads),
            has_cache=bool(_whole(given, "SERGAS_CACHE", 1)),
            rate_per_s=_number(given, "SERGAS_RATE", default.rate_per_s),
            burst=_whole(given, "SERGAS_BURST", default.burst),
            body_max_bytes=_whole(given, "SERGAS_BODY_MAX_BYTES", default.body_max_bytes),
            read_timeout_s=_number(given, "SERGAS_READ_TIMEOUT_S", default.read_timeout_s),
            shutdown_s=_number(given, "SERGAS_SHUTDOWN_S", default.shutdown_s),
        )


def database_kind(url: str) -> str:
    """`sqlite` or `postgres`.

    Raises:
        SettingsError: If it is neither's URL.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return "sqlite"
    if scheme in {"postgresql", "postgres"}:
        return "postgres"
    raise SettingsError(
        f"database: got {without_password(url)!r}, needed sqlite:///path/to/file or"
        " postgresql://user@host/name"
    )


def without_password(url: str) -> str:
    """A URL for people and logs: whatever stands before the host is left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check(name: str, value: float, *, least: float) -> None:
    if not least <= value < 1e12:  # noqa: PLR2004 finite, and no number of anything here
        raise SettingsError(f"{name}: got {value}, needed {least:g} or more")


def _first(given: Mapping[str, str], *names: str) -> str | None:
    return next((given[name] for name in names if given.get(name)), None)


def _keys(text: str) -> dict[str, str]:
    keys = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, key = pair.partition(":")
        if not (name and separator and len(key) >= 16):  # noqa: PLR2004 said below
            raise SettingsError(
                f"SERGAS_API_KEYS: got an entry for {name!r} that is not name:key with a key of"
                " 16 characters or more"
            )
        keys[key] = name
    return keys


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{name}: got {text!r}, needed a number") from None


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    value = _number(given, name, default)
    if value != int(value):
        raise SettingsError(f"{name}: got {value:g}, needed a whole number")
    return int(value)
