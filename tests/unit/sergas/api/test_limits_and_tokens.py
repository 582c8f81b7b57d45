"""Who may ask, and how much: tokens and buckets, on fake clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sergas.api._failures import ApiError
from sergas.api._rate import RateLimiter, Standing
from sergas.api._tokens import Tokens
from sergas.clock import FakeClock

SECRET = b"s" * 32


@given(
    rate=st.floats(0.1, 100.0),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0.0, 5.0), max_size=60),
)
def test_no_client_gets_more_than_its_burst_and_rate(
    rate: float, burst: int, gaps: list[float]
) -> None:
    """Whatever the gaps; and whoever waits as told is served."""
    clock = FakeClock()
    limiter = RateLimiter(rate, burst, clock=clock)
    for served, gap in enumerate(gaps, 1):
        clock.advance(gap)
        standing = _served(limiter, clock)
        assert 0 <= standing.remaining < burst
        assert served <= burst + clock.monotonic_s() * rate + 1e-6


def _served(limiter: RateLimiter, clock: FakeClock) -> Standing:
    """Ask, and if that is too much, wait as told and ask again."""
    try:
        return limiter.take("me")
    except ApiError as error:
        clock.advance(int(error.headers["retry-after"]))
        return limiter.take("me")


def test_clients_do_not_share_a_bucket() -> None:
    """And those unheard for long are forgotten, which costs them nothing."""
    limiter = RateLimiter(1.0, 1, clock=FakeClock())
    limiter.take("one")
    limiter.take("two")
    with pytest.raises(ApiError):
        limiter.take("one")
    for number in range(10_001):
        limiter.take(f"client {number}")
    assert len(limiter._buckets) == 10_000


def test_a_token_is_good_until_it_ends_and_then_renewed() -> None:
    """Also one whose signature was checked a moment ago."""
    clock = FakeClock(1000.0)
    tokens = Tokens(SECRET, {"key": "me"}, clock=clock, access_s=60)
    pair = tokens.for_key("key")
    for _ in range(2):
        assert tokens.client_of(f"Bearer {pair.access_token}") == "me"
    clock.advance(59)
    assert tokens.client_of(f"bearer {pair.access_token}") == "me"
    clock.advance(2)
    with pytest.raises(ApiError) as caught:
        tokens.client_of(f"Bearer {pair.access_token}")
    assert caught.value.code == "token_expired"
    again = tokens.renewed(pair.refresh_token)
    assert tokens.client_of(f"Bearer {again.access_token}") == "me"
    clock.advance(31 * 86_400)
    with pytest.raises(ApiError, match="expired"):
        tokens.renewed(pair.refresh_token)
    tokens.close()


def test_a_token_of_another_secret_or_use_is_none() -> None:
    """Nor is an access token good for renewing."""
    tokens, others = (Tokens(secret, {"key": "me"}) for secret in (SECRET, b"t" * 32))
    foreign = others.for_key("key")
    for header in (f"Bearer {foreign.access_token}", "Bearer ", "Bearer", "", "Token x"):
        with pytest.raises(ApiError) as caught:
            tokens.client_of(header)
        assert (caught.value.status, caught.value.code) == (401, "token_invalid")
    with pytest.raises(ApiError):
        tokens.renewed(tokens.for_key("key").access_token)
    with pytest.raises(ApiError, match="no such API key"):
        tokens.for_key("other")
    tokens.close()
    others.close()
