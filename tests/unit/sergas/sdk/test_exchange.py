"""What a client does between a call and its result: the steps, without a socket or a clock."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sergas.clock import FakeClock
from sergas.sdk._calls import create_account, get_account, read_accounts, update_account
from sergas.sdk._exchange import Exchange, Pause, Policy, Renew, Reply, Send, Steps
from sergas.sdk.errors import (
    AnswerTimeoutError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServiceError,
    TransportError,
    UnauthorizedError,
)

ACCOUNT: dict[str, Any] = {
    **dict.fromkeys(
        ("id", "name", "owner_id", "number", "type", "status", "phone", "website", "tax_id"), "x"
    ),
    **dict.fromkeys(("payment_terms", "currency", "industry", "rating", "risk_level"), "x"),
    **dict.fromkeys(("email", "email_secondary", "parent_account_id"), None),
    **dict.fromkeys(("last_activity_at", "last_synced_at"), None),
    **dict.fromkeys(("annual_revenue", "credit_limit", "employee_count", "health_score"), 1),
    **dict.fromkeys(("churn_risk", "nps", "version"), 1),
    **dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z"),
    "billing_address": {},
    "shipping_address": {},
    "tags": [],
    "custom_fields": {},
    "from_the_future": True,
}
Answer = Callable[[Send], Reply | TransportError]


def reply(status: int, body: Any = None, **headers: str) -> Reply:
    """An answer."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=given, body=json.dumps(body).encode())


def refusal(status: int, **details: Any) -> Reply:
    """An answer in the service's shape of errors."""
    error = {"code": "word", "message": "said", "details": details}
    return reply(status, {"error": error}, x_request_id="id-1")


class World:
    """Answers the steps of an exchange and writes down what they were."""

    def __init__(self, *answers: Reply | TransportError, policy: Policy | None = None) -> None:
        self.clock = FakeClock()
        self.exchange = Exchange("key", policy or Policy(), clock=self.clock, draw=lambda: 1.0)
        self.answers = list(answers)
        self.sent: list[Send] = []
        self.pauses: list[float] = []
        self.renewals = 0

    def run(self, steps: Steps[Any]) -> Any:
        """Drive the steps to their result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    answer = self.answer(step)
                    step = (
                        steps.throw(answer)
                        if isinstance(answer, TransportError)
                        else steps.send(answer)
                    )
                elif isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    self.clock.advance(step.seconds)
                    step = next(steps)
                else:
                    assert isinstance(step, Renew)
                    if step.number == self.exchange.number:
                        self.renewals += 1
                        self.run(self.exchange.renewal())
                    step = next(steps)
        except StopIteration as end:
            return end.value

    def answer(self, step: Send) -> Reply | TransportError:
        """Tokens for those who ask for them, and otherwise the next of the answers."""
        self.sent.append(step)
        if step.target.startswith("/v1/tokens"):
            pair = {
                "access_token": f"access-{self.renewals}",
                "refresh_token": f"refresh-{self.renewals}",
                "expires_in_s": 900,
            }
            return reply(200, pair)
        return self.answers.pop(0)


OFF = TransportError("off", was_sent=True)
NEVER_SENT = TransportError("off", was_sent=False)


def test_the_first_call_gets_tokens_and_later_ones_keep_them() -> None:
    """Until shortly before they end; fields that nobody knows are passed over."""
    world = World(*[reply(200, ACCOUNT)] * 3)
    for _ in range(2):
        assert world.run(world.exchange.call(get_account("a/b"))).version == 1
    assert [step.target for step in world.sent] == [
        "/v1/tokens",
        "/v1/accounts/a%2Fb",
        "/v1/accounts/a%2Fb",
    ]
    assert world.sent[1].headers["authorization"] == "Bearer access-1"
    world.clock.advance(871)
    world.run(world.exchange.call(get_account("a")))
    assert world.sent[3].target == "/v1/tokens/refresh"
    assert world.sent[4].headers["authorization"] == "Bearer access-2"


def test_a_token_that_is_refused_is_renewed_once() -> None:
    """A second refusal is the caller's."""
    world = World(refusal(401), reply(200, ACCOUNT))
    world.run(world.exchange.call(get_account("a")))
    assert world.renewals == 2
    world = World(refusal(401), refusal(401))
    with pytest.raises(UnauthorizedError):
        world.run(world.exchange.call(get_account("a")))
    assert world.renewals == 2


@pytest.mark.parametrize("trouble", [OFF, NEVER_SENT, refusal(429), refusal(503)])
def test_what_only_reads_is_tried_again(trouble: Reply | TransportError) -> None:
    """With pauses that double, up to the policy's number."""
    for request in (get_account("a"), read_accounts(["a"])):
        body = ACCOUNT if request.method == "GET" else {"accounts": [], "missing": []}
        world = World(trouble, trouble, trouble, reply(200, body))
        world.run(world.exchange.call(request))
        assert world.pauses == pytest.approx([0.1, 0.2, 0.4])
        world = World(*[trouble] * 4)
        with pytest.raises((TransportError, RateLimitedError, ServiceError)):
            world.run(world.exchange.call(request))
        assert world.answers == []


def test_what_writes_is_tried_again_only_if_nothing_was_begun() -> None:
    """A request that may have been read is not sent twice."""
    for request in (create_account({"name": "n"}), update_account("a", 1, {"name": "n"})):
        for again in (NEVER_SENT, refusal(429), refusal(503)):
            world = World(again, reply(201, ACCOUNT))
            world.run(world.exchange.call(request))
        for error in (OFF, refusal(500), refusal(408)):
            world = World(error)
            with pytest.raises((TransportError, ServiceError, Exception)):
                world.run(world.exchange.call(request))
            assert world.pauses == []


def test_the_service_says_how_long_to_wait() -> None:
    """And a wait that is longer than the call may take is not begun."""
    world = World(reply(429, retry_after="7"), reply(200, ACCOUNT))
    world.run(world.exchange.call(get_account("a")))
    assert world.pauses == pytest.approx([7.1])
    world = World(reply(429, retry_after="31"))
    with pytest.raises(RateLimitedError):
        world.run(world.exchange.call(get_account("a")))
    assert world.pauses == []


def test_no_attempt_gets_more_time_than_the_call_has_left() -> None:
    """The last one gets what is left."""
    world = World(OFF, OFF, reply(200, ACCOUNT), policy=Policy(timeout_s=1.0, backoff_s=0.3))
    world.run(world.exchange.call(get_account("a")))
    asked = [step.timeout_s for step in world.sent if "tokens" not in step.target]
    assert asked == pytest.approx([1.0, 0.7, 0.1])
    world = World(OFF, OFF, policy=Policy(timeout_s=1.0, backoff_s=0.5))
    with pytest.raises(TransportError):
        world.run(world.exchange.call(get_account("a")))


def test_time_that_is_over_before_sending_is_told() -> None:
    """Renewing can take it all."""
    world = World(policy=Policy(timeout_s=1.0))
    steps = world.exchange.call(get_account("a"))
    assert isinstance(next(steps), Renew)
    world.clock.advance(2)
    with pytest.raises(AnswerTimeoutError, match="no answer within 1 s"):
        next(steps)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (500, ServiceError),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(status: int, kind: type[Exception]) -> None:
    """With all that the service said."""
    world = World(refusal(status, versions={"a": 3}))
    with pytest.raises(kind, match="said") as caught:
        world.run(world.exchange.call(update_account("a", 1, {})))
    error: Any = caught.value
    assert (error.status, error.code, error.request_id) == (status, "word", "id-1")
    if isinstance(error, ConflictError):
        assert error.versions == {"a": 3}


def test_a_refusal_that_is_not_the_services_is_told_too() -> None:
    """A proxy answers with a page of its own."""
    page = Reply(status=502, headers={}, body=b"<html>")
    world = World(page)
    with pytest.raises(ServiceError, match="answered with status 502"):
        world.run(world.exchange.call(get_account("a")))
