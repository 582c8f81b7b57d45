"""What happens between a call and its result, as steps for whoever can send, wait and lock.

The steps are the same for threads and for tasks: a client sends what `Send` says, sleeps for
`Pause`, and for `Renew` takes its lock, under which tokens are renewed once for all who wait.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from sergas.clock import Clock
from sergas.sdk._calls import Request, issue_tokens, renew_tokens
from sergas.sdk.errors import AnswerTimeoutError, TransportError, UnauthorizedError, error_of
from sergas.sdk.model import TokenPair

__all__ = ["Exchange", "Pause", "Policy", "Renew", "Reply", "Send", "Step", "Steps"]

T = TypeVar("T")
_RENEW_BEFORE_S = 30.0
_TOO_MANY = 429
_AWAY = 503
_OLD_TOKEN = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a request; the answer is a `Reply`, or a `TransportError` thrown in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the tokens, unless somebody else has since they were `number`."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Step = Send | Pause | Renew
Steps = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a client is.

    Attributes:
        timeout_s: For a call with all its attempts.
        retries: Further attempts where it is safe: what only reads, and what was not begun.
        backoff_s: Most of the first pause; each one may be twice as long, and is drawn between
            nothing and that (full jitter).
        backoff_max_s: Most of any pause that the service does not ask for.
    """

    timeout_s: float = 30.0
    retries: int = 3
    backoff_s: float = 0.1
    backoff_max_s: float = 5.0


class Exchange:
    """The state that all calls of a client share: its tokens.

    Args:
        api_key: What the client was given.
        policy: How patient it is.
        clock: The monotonic clock.
        draw: Gives numbers from [0, 1).
    """

    def __init__(
        self, api_key: str, policy: Policy, *, clock: Clock, draw: Callable[[], float]
    ) -> None:
        self._api_key = api_key
        self._policy = policy
        self._now_s = clock.monotonic_s
        self._draw = draw
        self._tokens: TokenPair | None = None
        self._renew_at_s = 0.0
        self.number = 0

    def call(self, request: Request[T]) -> Steps[T]:
        """The steps of a call; they end with its result.

        Raises:
            RequestError: If the service refuses.
            TransportError: If no answer comes.
        """
        ends_s = self._now_s() + self._policy.timeout_s
        attempt, may_renew = 0, True
        while True:
            if request.needs_token and (self._tokens is None or self._now_s() >= self._renew_at_s):
                yield Renew(self.number)
            number = self.number
            try:
                reply: Reply = yield self._send(request, ends_s)
            except TransportError as error:
                may_repeat = request.is_safe or not error.was_sent
                pause_s = self._pause_s(attempt, 0.0)
                if not may_repeat or not self._has_time(attempt, pause_s, ends_s):
                    raise
            else:
                if reply.status < 400:  # noqa: PLR2004 a success
                    return msgspec.json.decode(reply.body, type=request.answer)
                if reply.status == _OLD_TOKEN and request.needs_token and may_renew:
                    may_renew = False
                    yield Renew(number)
                    continue
                # Neither was begun: the limit is asked first, and 503 has undone what it began.
                pause_s = self._pause_s(attempt, _asked_s(reply))
                may_repeat = reply.status in {_TOO_MANY, _AWAY}
                if not may_repeat or not self._has_time(attempt, pause_s, ends_s):
                    raise _refusal(reply)
            attempt += 1
            yield Pause(pause_s)

    def renewal(self) -> Steps[None]:
        """The steps that get new tokens, by the refresh token or, if that is over, by the key."""
        tokens: TokenPair
        if self._tokens is not None:
            try:
                tokens = yield from self.call(renew_tokens(self._tokens.refresh_token))
            except UnauthorizedError:
                tokens = yield from self.call(issue_tokens(self._api_key))
        else:
            tokens = yield from self.call(issue_tokens(self._api_key))
        self._tokens = tokens
        self._renew_at_s = self._now_s() + max(
            tokens.expires_in_s - _RENEW_BEFORE_S, tokens.expires_in_s / 2
        )
        self.number += 1

    def _send(self, request: Request[Any], ends_s: float) -> Send:
        headers = {"accept": "application/json"}
        if request.body is not None:
            headers["content-type"] = "application/json"
        if request.needs_token and self._tokens is not None:
            headers["authorization"] = f"Bearer {self._tokens.access_token}"
        left_s = ends_s - self._now_s()
        if left_s <= 0:
            raise AnswerTimeoutError(
                f"{request.method} {request.target}: no answer within {self._policy.timeout_s:g} s",
                was_sent=False,
            )
        return Send(
            method=request.method,
            target=request.target,
            headers=headers,
            body=request.body,
            timeout_s=left_s,
        )

    def _pause_s(self, attempt: int, asked_s: float) -> float:
        longest_s: float = min(self._policy.backoff_s * 2.0**attempt, self._policy.backoff_max_s)
        return asked_s + longest_s * self._draw()

    def _has_time(self, attempt: int, pause_s: float, ends_s: float) -> bool:
        return attempt < self._policy.retries and self._now_s() + pause_s < ends_s


def _asked_s(reply: Reply) -> float:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0


def _refusal(reply: Reply) -> Exception:
    try:
        told = msgspec.json.decode(reply.body, type=dict[str, dict[str, Any]]).get("error", {})
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {}  # a proxy's page
    return error_of(reply.status, told, reply.headers.get("x-request-id", ""))
