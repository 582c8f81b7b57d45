"""What is asked, how often and for how long: a scenario, as data.

A scenario without functions of its own can be written to a file and read back, and run by several
generator processes. `{n}` in a path, a body, a parameter or a command stands for a whole number
drawn for each request, from 0 to `keys` - 1; `{n:6}` is the same with zeros before it, six digits
long.
"""

import importlib
import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from groundspeed.errors import UsageError
from groundspeed.load.models import Model, Stage, Steady

__all__ = [
    "KEYS_MAX",
    "Cache",
    "Call",
    "Http",
    "Operation",
    "Scenario",
    "Sql",
    "Target",
    "filled",
    "is_varied",
    "read_scenario",
    "resolve_function",
]

KEYS_MAX = 65_536
_NUMBER = re.compile(r"\{n(?::(\d{1,2}))?\}")
_OPERATIONS_MAX = 256


class Http(msgspec.Struct, frozen=True, kw_only=True, tag="http"):
    """One HTTP/1.1 request without TLS.

    Attributes:
        url: `http://host:port/path`, where the path may hold `{n}`.
        method: In capitals.
        headers: Beside `Host` and `Content-Length`.
        body: What is sent; may hold `{n}`.
        expect: Status codes of a good answer; empty for every one below 400.
        keys: How many numbers `{n}` stands for.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""
    expect: tuple[int, ...] = ()
    keys: int = 1

    def __post_init__(self) -> None:
        _check_keys(self.keys)
        if not self.method.isalpha() or not self.method.isupper():
            raise UsageError(f"method: got {self.method!r}, needed one such as GET or PATCH")
        if self.method == "HEAD":
            raise UsageError(
                "method: got HEAD, needed one whose answer has its own length; use GET"
            )
        for name, value in self.headers.items():
            if any(sign in name + value for sign in "\r\n"):
                raise UsageError(f"header {name!r}: got a line break, needed one line")
        self.address()

    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            UsageError: If the URL has none, or another scheme.
        """
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port or 80
        except ValueError as error:
            raise UsageError(f"url {self.url!r}: {error}; needed http://host:port/path") from None
        if parts.scheme == "https":
            raise UsageError(
                f"url {self.url!r}: TLS is not spoken; measure the server behind it by http://"
            )
        if parts.scheme != "http" or not host or any(sign <= " " for sign in self.url):
            raise UsageError(f"url: got {self.url!r}, needed http://host:port/path without spaces")
        return host, port


class Sql(msgspec.Struct, frozen=True, kw_only=True, tag="sql"):
    """One SQL statement; its rows are fetched, and what it writes is committed.

    Attributes:
        database: A path of an SQLite file, or `postgresql://…` (extra `postgres`).
        statement: With the placeholders of its driver: `?` in SQLite, `%s` in PostgreSQL.
        parameters: One each; the text `{n}` is the drawn number.
        keys: How many numbers `{n}` stands for.
    """

    database: str
    statement: str
    parameters: tuple[int | float | str | None, ...] = ()
    keys: int = 1

    def __post_init__(self) -> None:
        _check_keys(self.keys)
        if not self.statement.strip():
            raise UsageError("statement: got nothing, needed an SQL statement")


class Cache(msgspec.Struct, frozen=True, kw_only=True, tag="cache"):
    """One command to a Redis or Valkey server (extra `redis`).

    Attributes:
        url: `redis://host:port/0` or `unix:///path`.
        command: Its words, such as `("GET", "account:{n}")`.
        keys: How many numbers `{n}` stands for.
    """

    url: str
    command: tuple[str, ...]
    keys: int = 1

    def __post_init__(self) -> None:
        _check_keys(self.keys)
        if not self.command:
            raise UsageError('command: got nothing, needed words such as ("GET", "account:{n}")')


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """A function or coroutine function; raising is failing.

    Attributes:
        function: Itself, or `module:name` where another process shall find it.
        keys: The function is called with the drawn number where this is above 0.
    """

    function: Any
    keys: int = 0

    def __post_init__(self) -> None:
        if self.keys:
            _check_keys(self.keys)
        named = isinstance(self.function, str) and self.function.count(":") == 1
        if not named and not callable(self.function):
            raise UsageError(
                f"function: got {self.function!r}, needed something to call, or module:name"
            )


Target: TypeAlias = Http | Sql | Cache | Call


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request of a mix.

    Attributes:
        name: For its own percentiles.
        target: What is asked.
        weight: Its share of the requests, relative to the others'; above 0.
    """

    name: str
    target: Target
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.weight < float("inf"):
            raise UsageError(f"weight of {self.name!r}: got {self.weight:g}, needed above 0")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A load run to be made.

    Attributes:
        name: For reports.
        operations: The mix; a request is of one of them, by weight.
        model: Who asks.
        stages: One after the other.
        timeout: Seconds after which a request has failed.
        seed: Of arrivals, think times and choices.
        processes: Generator processes; more than one needs targets that are data.
        connections: HTTP connections, or threads, at most, of all processes; None for one a user,
            or in open models 1,000 and 256.
        pipeline: Requests in flight on one HTTP connection at most.
        backlog: Arrivals that may wait for a connection; what comes then is dropped and has failed.
        warm_up: Seconds that are not judged; None to find the settled part.
        samples_max: Raw samples that are kept; the rest is counted in HDR buckets.
        watch: Processes whose trees are watched; empty for the one that can be found.
    """

    name: str
    operations: tuple[Operation, ...]
    model: Model
    stages: tuple[Stage, ...] = (Steady(duration=10.0),)
    timeout: float = 10.0
    seed: int = 1
    processes: int = 1
    connections: int | None = None
    pipeline: int = 1
    backlog: int = 1_000_000
    warm_up: float | None = None
    samples_max: int = 5_000_000
    watch: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        names = [operation.name for operation in self.operations]
        if not 1 <= len(names) <= _OPERATIONS_MAX or len(set(names)) < len(names):
            raise UsageError(
                f"operations: got {len(names)} with names {', '.join(names) or '-'}, needed 1 to "
                f"{_OPERATIONS_MAX} of different names"
            )
        self._check_numbers()
        self._check_targets()

    def _check_numbers(self) -> None:
        if not 0.0 < self.timeout < float("inf"):
            raise UsageError(f"timeout: got {self.timeout:g}, needed above 0 seconds")
        if self.warm_up is not None and not 0.0 <= self.warm_up < self.duration:
            raise UsageError(
                f"warm_up: got {self.warm_up:g} s, needed less than the {self.duration:g} s of "
                "all stages; None finds it"
            )
        if self.seed < 0:
            raise UsageError(f"seed: got {self.seed}, needed 0 or more")
        for field in ("processes", "connections", "pipeline", "backlog", "samples_max"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise UsageError(f"{field}: got {value}, needed 1 or more")

    def _check_targets(self) -> None:
        targets = [operation.target for operation in self.operations]
        addresses = {target.address() for target in targets if isinstance(target, Http)}
        if addresses and (len(addresses) > 1 or not all(isinstance(t, Http) for t in targets)):
            raise UsageError(
                "operations: an HTTP scenario talks to one host and port, and to nothing else; "
                "run the others as scenarios of their own"
            )
        if self.processes > 1 and any(
            isinstance(target, Call) and callable(target.function) for target in targets
        ):
            raise UsageError(
                f"processes: got {self.processes} with a function that only this process has; "
                'give Call(function="module:name")'
            )

    @property
    def duration(self) -> float:
        """Seconds of all stages."""
        return sum(stage.duration for stage in self.stages)

    @property
    def is_http(self) -> bool:
        """Whether it talks HTTP."""
        return isinstance(self.operations[0].target, Http)


def read_scenario(content: bytes, *, subject: str) -> Scenario:
    """Read a scenario from TOML.

    Args:
        content: The file.
        subject: What the error message shall call it.

    Raises:
        UsageError: If it is no scenario; the message names the field.
    """
    try:
        return msgspec.toml.decode(content, type=Scenario)
    except msgspec.DecodeError as error:
        raise UsageError(f"{subject}: {error}; see docs/reference/load.md for its fields") from None


def is_varied(text: str) -> bool:
    """Whether a number is to be put into the text."""
    return _NUMBER.search(text) is not None


def filled(text: str, number: int) -> str:
    """The text with the number put in."""
    return _NUMBER.sub(lambda found: str(number).zfill(int(found.group(1) or 0)), text)


def resolve_function(function: Any) -> Callable[..., Any]:
    """The function itself, found where it is named.

    Raises:
        UsageError: If there is none of that name.
    """
    if not isinstance(function, str):
        found: Callable[..., Any] = function
        return found
    module, _, name = function.partition(":")
    try:
        target: Any = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"function {function!r}: {error}") from None
    if not callable(target):
        raise UsageError(f"function {function!r}: got {type(target).__name__}, needed a function")
    return target  # type: ignore[no-any-return]


def _check_keys(keys: int) -> None:
    if not 1 <= keys <= KEYS_MAX:
        raise UsageError(f"keys: got {keys}, needed 1 to {KEYS_MAX:,}")
