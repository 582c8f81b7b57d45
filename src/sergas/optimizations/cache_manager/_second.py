"""The second level as the manager sees it: values for bytes, a breaker, no answers known to be old.

A removal that fails leaves the old value in the level. It is *owed*: before the level is read again
it is made up for. When too many are owed to remember, the whole level is to be cleared.

Methods are operations (`_steps`). Those that read turn every failure into "nothing found", counted;
those that write by name raise it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sergas.clock import Clock
from sergas.errors import CacheLevelError, UncacheableError
from sergas.optimizations.cache_manager._breaker import Breaker
from sergas.optimizations.cache_manager._codec import Codec
from sergas.optimizations.cache_manager._level import Claim, StoredValue
from sergas.optimizations.cache_manager._options import EntryOptions, Life
from sergas.optimizations.cache_manager._steps import AskLevel, Operation

__all__ = ["Found", "SecondLevel", "Sought"]

_OWED_MAX = 1024
_CLEAR = ("clear", "")


@dataclass(frozen=True, slots=True)
class Found:
    """A value from level 2 with what is left of its life."""

    value: object
    life: Life
    tags: tuple[str, ...]

    @property
    def is_fresh(self) -> bool:
        """Whether it may be served without trying for a newer one."""
        return self.life.ttl_s is None or self.life.ttl_s > 0


@dataclass(frozen=True, slots=True)
class Sought:
    """What asking for a key gave: a value, the right to store a new one, or neither."""

    found: Found | None
    claim: Claim | None


class SecondLevel:
    """A `CacheLevel` with its codec and its breaker.

    Attributes:
        errors: Times the level failed or held what could not be read.
        refusals: Values that the codec could not carry.
        skips: Calls that the open breaker kept from the level.
    """

    __slots__ = ("_breaker", "_clock", "_codec", "_lock", "_owed", "errors", "refusals", "skips")

    def __init__(self, codec: Codec, breaker: Breaker, clock: Clock) -> None:
        self.errors = 0
        self.refusals = 0
        self.skips = 0
        self._codec = codec
        self._breaker = breaker
        self._clock = clock
        self._lock = Lock()
        self._owed: dict[tuple[str, str], None] = {}

    @property
    def is_cut_off(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open

    @property
    def owed(self) -> int:
        """Removals that the level has still to be told."""
        return len(self._owed)

    def read(self, keys: Sequence[str], beta: float) -> Operation[dict[str, Found]]:
        """What the level holds under these keys; a failure is counted and finds nothing."""
        try:
            yield from self._settle()
            stored = yield from self._ask(lambda level: level.read(keys))
        except CacheLevelError:
            return {}
        return self._decoded(stored, beta)

    def claim(
        self, keys: Sequence[str], options: EntryOptions, early_s: float
    ) -> Operation[dict[str, Sought]]:
        """What the level holds, and claims of the rest; a failure is counted and gives nothing."""
        try:
            yield from self._settle()
            answers = yield from self._ask(
                lambda level: level.claim(
                    keys, tags=options.tags, lease_s=options.lease_s, early_s=early_s
                )
            )
        except CacheLevelError:
            return {}
        stored = {key: a.found for key, a in answers.items() if a.found is not None}
        found = self._decoded(stored, options.beta)
        unreadable = [key for key in stored if key not in found and answers[key].claim is None]
        if unreadable:  # nobody would ever load it
            yield from self.try_remove(unreadable)
        return {key: Sought(found.get(key), a.claim) for key, a in answers.items()}

    def fulfil(
        self, items: Sequence[tuple[Claim, object, Life | None]], tags: tuple[str, ...]
    ) -> Operation[dict[str, bool]]:
        """Store what was loaded, as far as the claims hold; False where somebody was faster.

        What must not be stored, or cannot be carried, leaves nothing in the level. A failure of the
        level is counted; the key is True then, for nobody was seen to be faster.
        """
        held = {claim.key: True for claim, _, _ in items}
        storable = []
        for claim, value, life in items:
            data = None if life is None else self._encoded(value)
            if life is None or data is None:
                yield from self.try_remove([claim.key])
            else:
                storable.append((claim, _stored(data, life, tags)))
        if storable:
            try:
                told = yield from self._ask(lambda level: level.fulfil(storable))
            except CacheLevelError:
                return held
            held.update({claim.key: ok for (claim, _), ok in zip(storable, told, strict=True)})
        return held

    def release(self, claims: Sequence[Claim]) -> Operation[None]:
        """Give claims up; if that fails they end with their leases."""
        if claims:
            try:
                yield from self._ask(lambda level: level.release(claims))
            except CacheLevelError:
                return

    def write(
        self, items: Mapping[str, tuple[object, Life]], tags: tuple[str, ...]
    ) -> Operation[None]:
        """Store values; what the codec cannot carry is removed instead.

        Raises:
            CacheLevelError: If the level failed; the keys' removal is owed from now on.
        """
        stored = {}
        refused = []
        for key, (value, life) in items.items():
            data = self._encoded(value)
            if data is None:
                refused.append(key)
            else:
                stored[key] = _stored(data, life, tags)
        if refused:
            yield from self.remove(refused)
        if stored:
            owed = [("key", key) for key in stored]
            yield from self._change(lambda level: level.write(stored), owed)

    def remove(self, keys: Sequence[str]) -> Operation[int]:
        """Remove keys; how many were there.

        Raises:
            CacheLevelError: If the level failed; the removal is owed from now on.
        """
        count: int = yield from self._change(
            lambda level: level.remove(keys), [("key", key) for key in keys]
        )
        return count

    def try_remove(self, keys: Sequence[str]) -> Operation[None]:
        """As `remove`, but a failure is only counted and the removal owed."""
        try:
            yield from self.remove(keys)
        except CacheLevelError:
            return

    def remove_matching(self, pattern: str) -> Operation[None]:
        """As `remove`, by pattern."""
        yield from self._change(
            lambda level: level.remove_matching(pattern), [("pattern", pattern)]
        )

    def invalidate_tag(self, tag: str) -> Operation[None]:
        """As `remove`, by tag."""
        yield from self._change(lambda level: level.invalidate_tag(tag), [("tag", tag)])

    def clear(self) -> Operation[None]:
        """As `remove`, everything."""
        yield from self._change(lambda level: level.clear(), [_CLEAR])
        with self._lock:
            self._owed.clear()

    def _change(
        self, call: Callable[[Any], Any], owed: Sequence[tuple[str, str]]
    ) -> Operation[Any]:
        try:
            result = yield from self._ask(call)
        except BaseException:  # a cancelled write may have failed as well
            self._owe(owed)
            raise
        with self._lock:
            for debt in owed:
                self._owed.pop(debt, None)
        return result

    def _ask(self, call: Callable[[Any], Any]) -> Operation[Any]:
        with self._lock:
            if not self._breaker.allows(self._clock.monotonic_s()):
                self.skips += 1
                raise CacheLevelError(
                    "level 2: it failed several times in a row and is left alone for a moment;"
                    " see stats().level2 and the errors before"
                )
        try:
            result = yield AskLevel(call)
        except CacheLevelError:
            with self._lock:
                self.errors += 1
                self._breaker.failed(self._clock.monotonic_s())
            raise
        with self._lock:
            self._breaker.succeeded()
        return result

    def _owe(self, debts: Sequence[tuple[str, str]]) -> None:
        with self._lock:
            if len(self._owed) + len(debts) > _OWED_MAX:
                self._owed.clear()
                debts = [_CLEAR]
            self._owed.update(dict.fromkeys(debts))

    def _settle(self) -> Operation[None]:
        """Tell the level the removals that it missed.

        Raises:
            CacheLevelError: If it fails again.
        """
        for debt in list(self._owed):
            yield from self._ask(_payment(debt))
            with self._lock:
                self._owed.pop(debt, None)

    def _encoded(self, value: object) -> bytes | None:
        try:
            return self._codec.encode(value)
        except UncacheableError:
            with self._lock:
                self.refusals += 1
            return None

    def _decoded(self, stored: Mapping[str, StoredValue], beta: float) -> dict[str, Found]:
        found = {}
        for key, item in stored.items():
            try:
                value = self._codec.decode(item.data)
            except CacheLevelError:
                with self._lock:
                    self.errors += 1
            else:
                life = Life(item.ttl_s, item.stale_ttl_s, item.cost_s, beta)
                found[key] = Found(value, life, item.tags)
        return found


def _payment(debt: tuple[str, str]) -> Callable[[Any], Any]:
    kind, what = debt
    if kind == "key":
        return lambda level: level.remove([what])
    if kind == "pattern":
        return lambda level: level.remove_matching(what)
    if kind == "tag":
        return lambda level: level.invalidate_tag(what)
    return lambda level: level.clear()


def _stored(data: bytes, life: Life, tags: tuple[str, ...]) -> StoredValue:
    return StoredValue(
        data=data,
        ttl_s=life.ttl_s,
        stale_ttl_s=life.stale_ttl_s,
        cost_s=life.cost_s,
        tags=tags,
    )
