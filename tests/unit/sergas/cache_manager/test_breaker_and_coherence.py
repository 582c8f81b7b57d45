"""The two pure machines: when to leave a level alone, and when level 1 may be served from."""

from collections.abc import Sequence

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError, CacheValueError
from sergas.optimizations.cache_manager import Breaker
from sergas.optimizations.cache_manager._coherence import (
    Member,
    Message,
    Trust,
    read_message,
    write_message,
)


class Told:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.news: list[object] = []

    def forget_keys(self, keys: Sequence[str]) -> None:
        """Told of keys."""
        self.news.append(tuple(keys))

    def forget_matching(self, pattern: str) -> None:
        """Told of a pattern."""
        self.news.append(f"pattern {pattern}")

    def forget_tag(self, tag: str) -> None:
        """Told of a tag."""
        self.news.append(f"tag {tag}")

    def forget_all(self) -> None:
        """Told of everything."""
        self.news.append("all")


def test_breaker_opens_after_failures_in_a_row() -> None:
    """It refuses after failures in a row, lets one through per pause, and closes on success."""
    breaker = Breaker(failures_max=2, pause_s=10.0)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(1.0)
    assert breaker.allows(1.0)
    breaker.failed(2.0)
    assert breaker.is_open
    assert not breaker.allows(11.9)
    assert [breaker.allows(12.0), breaker.allows(12.0)] == [True, False]
    breaker.failed(12.5)
    assert not breaker.allows(22.0)
    assert breaker.allows(22.5)
    breaker.succeeded()
    assert breaker.allows(22.5)
    for wrong in ({"failures_max": 0}, {"pause_s": 0.0}):
        with pytest.raises(CacheValueError):
            Breaker(**wrong)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the member."""
    return FakeClock()


@pytest.fixture
def told() -> Told:
    """The listener."""
    return Told()


@pytest.fixture
def member(clock: FakeClock, told: Told) -> Member:
    """A member with a lease of ten seconds."""
    return Member("me", told, Trust(), lease_s=10.0, now_s=clock.monotonic_s)


def test_trust_counts_from_the_sending_of_a_beat(member: Member, clock: FakeClock) -> None:
    """A heartbeat that is heard lets level 1 serve for nine tenths of a lease from its sending."""
    assert not member.is_trusted()
    beat = member.next_beat()
    clock.advance(4.0)
    assert not member.is_trusted()
    assert not member.hear(beat)
    clock.advance(4.9)
    assert member.is_trusted()
    clock.advance(0.2)
    assert not member.is_trusted()


def test_beat_heard_too_late_gives_no_trust(member: Member, clock: FakeClock) -> None:
    """A heartbeat that took longer than the lease is worth nothing, nor is another member's."""
    beat = member.next_beat()
    clock.advance(9.5)
    member.hear(beat)
    assert not member.is_trusted()
    assert not member.hear(Message("beat", "other", 1))
    assert not member.is_trusted()


def test_lost_channel_ends_trust_at_once(member: Member, told: Told) -> None:
    """Without the channel nothing is served; with a new one everything is dropped first."""
    beat = member.next_beat()
    member.hear(beat)
    member.lost()
    assert not member.is_trusted()
    member.hear(beat)
    assert not member.is_trusted()
    member.connected()
    assert told.news == ["all"]
    assert member.beat_due_in_s() == 0
    member.hear(member.next_beat())
    assert member.is_trusted()


def test_beats_come_three_times_a_lease(member: Member, clock: FakeClock) -> None:
    """The next heartbeat is due a third of a lease after the last."""
    assert member.beat_due_in_s() == 0
    member.next_beat()
    assert member.beat_due_in_s() == pytest.approx(10 / 3)
    clock.advance(5.0)
    assert member.beat_due_in_s() == 0


def test_news_is_passed_on_and_acknowledged(member: Member, told: Told) -> None:
    """Changes by others are told and acknowledged, one's own are neither."""
    for kind, what in (("keys", ("a", "b")), ("tag", ("t",)), ("pattern", ("p*",)), ("all", ())):
        assert member.hear(Message(kind, "other", 1, what))
        assert not member.hear(Message(kind, "me", 1, what))
    assert told.news == [("a", "b"), "tag t", "pattern p*", "all"]


def test_messages_travel_as_bytes() -> None:
    """A message comes back as it was, and what is none is an error that says so."""
    message = Message("keys", "me", 7, ("a", "ä"))
    assert read_message(write_message(message)) == message
    for data in (b"", b"\xc1", b"hello", write_message(message)[:-1]):
        with pytest.raises(CacheLevelError, match="namespace"):
            read_message(data)
