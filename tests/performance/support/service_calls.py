"""Requests to a running service over one connection, and what the service itself counts."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

__all__ = ["THINK_S", "Ask", "account_id", "asking", "counts_of"]

# Between an answer and a user's next request, on average. 100 users make 500 requests a second so,
# which leaves the service room; users who never pause take any service to its limit, where their
# latency is their number by its throughput and says nothing about a request.
THINK_S = 0.2


class Ask(Protocol):
    """Sends a request and gives its answer."""

    def __call__(self, method: str, path: str, body: object = None, *, expect: int = 200) -> Any:
        """The decoded answer, or the bytes of one that is no JSON.

        Raises:
            AssertionError: If it has another status.
        """


def account_id(number: int) -> str:
    """The id of a seeded account, counted from 0."""
    return f"acc_{number:06d}"


@contextmanager
def asking(service: Any) -> Iterator[Ask]:
    """One connection to the service, kept open, with the token of its client."""
    headers = service.headers
    address = urlsplit(service.url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port)) as connection:

        def ask(method: str, path: str, body: object = None, *, expect: int = 200) -> Any:
            sent = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, body=sent, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == expect, content
            is_json = answer.headers.get_content_type() == "application/json"
            return msgspec.json.decode(content) if is_json else content

        yield ask


def counts_of(ask: Ask) -> Mapping[str, float]:
    """Every series of the service's metrics, `sergas_cache_hits_total` and the like."""
    lines: list[str] = ask("GET", "/metrics").decode().splitlines()
    series = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in series}
