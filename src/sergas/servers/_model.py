"""The words that servers, their search and their faults have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sergas.errors import ServerError

__all__ = [
    "OWN",
    "SEARCH_ORDER",
    "Account",
    "Address",
    "Given",
    "Profile",
    "Source",
    "Transport",
    "check_choices",
]

Source = Literal["dsn", "path", "wheel"]
Profile = Literal["durable", "fast"]
Transport = Literal["unix", "tcp"]

SEARCH_ORDER: tuple[Source, ...] = ("dsn", "path", "wheel")
OWN: tuple[Source, ...] = ("path", "wheel")
"""The sources whose server is started here, so that it may be stopped, killed and thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A server that runs already, as the environment names it."""

    url: str
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens: a Unix socket, or a port of the loopback address.

    Attributes:
        path: The socket, or None for TCP.
        host: The numeric address or name, for TCP.
        port: 1 to 65535 for TCP.
    """

    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user and group that a server runs as, by number."""

    name: str
    user: int
    group: int


def check_choices(profile: Profile, transport: Transport, sources: Sequence[Source]) -> None:
    """Refuse words that are none of ours.

    Raises:
        ServerError: If one is.
    """
    if isinstance(sources, str) or not sources:
        raise ServerError(f"server: sources {sources!r}, needed a tuple such as ('path', 'wheel')")
    for what, got, offered in (
        ("profile", profile, get_args(Profile)),
        ("transport", transport, get_args(Transport)),
        *(("source", source, SEARCH_ORDER) for source in sources),
    ):
        if got not in offered:
            raise ServerError(f"server: {what} {got!r}, needed one of {', '.join(offered)}")
