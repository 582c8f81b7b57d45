"""The cache for threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast, overload

from sergas.optimizations.cache_manager._core import Begun
from sergas.optimizations.cache_manager._flight import Outcome, Source
from sergas.optimizations.cache_manager._loading import lead
from sergas.optimizations.cache_manager._loading import load_many as load_many_of
from sergas.optimizations.cache_manager._options import DEFAULT, EntryOptions, TimeToLive
from sergas.optimizations.cache_manager._shell import Shell, batches, checked
from sergas.optimizations.cache_manager._steps import carry_out

__all__ = ["ThreadMethods"]

V = TypeVar("V")
D = TypeVar("D")


class ThreadMethods(Shell):
    """Reading, loading and writing from threads."""

    @overload
    def get(self, key: str) -> object: ...

    @overload
    def get(self, key: str, default: D) -> object | D: ...

    def get(self, key: str, default: object = None) -> object:
        """The fresh value under `key`, from either level, or `default`.

        Raises:
            UncacheableError: If `key` is not a string.
        """
        entry = self._core.glance(checked(key))
        if entry is not None:
            return entry.value
        return self._run(self._get([key])).get(key, default)

    def get_many(self, keys: Iterable[str]) -> dict[str, object]:
        """The fresh values of those keys that have one; level 2 is asked once for all.

        Raises:
            UncacheableError: If a key is not a string.
        """
        return self._run(self._get([checked(key) for key in keys]))

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], V],
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> V:
        """The value under `key`, or what `loader` returns, which is then stored.

        However many threads, tasks and, with a level 2, processes miss at once, one of them loads
        and the others wait for its value. If the load fails and there is no stale value to serve,
        those of this process all get the same error and nothing is stored. If the loading thread is
        interrupted (KeyboardInterrupt and the like), one of those who wait loads instead.

        Args:
            key: Any string.
            loader: Called without the cache's locks held; it may use the cache. It runs in a
                thread of its own where somebody may stop waiting for it (`EntryOptions`).
            ttl_s: As in the options, counted from the end of the load.
            tags: As in the options.
            options: What holds for the entry; the cache's own by default. Those of the caller that
                loads hold for those who wait.

        Raises:
            Exception: Whatever the loader raises.
            LoadTimeoutError: If there is no value within `hard_timeout_s`.
            RecursiveLoadError: If a loader, directly or through other keys, waits for its own key.
            CacheValueError: If a number is out of its range.
            UncacheableError: If `key` is not a string.
        """
        chosen = self._chosen(options, ttl_s, tags)
        entry = self._core.glance(checked(key))
        if entry is not None:
            return cast("V", entry.value)
        while True:
            begun = self._core.begin(key, chosen)
            if begun.is_leader and begun.flight is not None:
                self._lead(begun, chosen, loader)
            outcome = begun.outcome or self._wait(begun)
            if outcome.error is not None:
                raise outcome.error
            if outcome.source is not Source.NOBODY:
                return cast("V", outcome.value)

    def prefetch(
        self, key: str, loader: Callable[[], object], *, options: EntryOptions | None = None
    ) -> bool:
        """Begin to load `key` in the background; False if it is there, under way, or too much is.

        An error of the loader is counted and otherwise lost: whoever asks then loads again.

        Raises:
            UncacheableError: If `key` is not a string.
        """
        chosen = self._chosen(options)
        flight = self._core.prefetch(checked(key), chosen)
        return flight is not None and self._in_background(flight, chosen, loader)

    def warm_up(
        self,
        keys: Iterable[str],
        load_many: Callable[[Sequence[str]], Mapping[str, object]],
        *,
        batch: int = 100,
        options: EntryOptions | None = None,
    ) -> int:
        """Fill the cache: keys that neither level has are loaded, many at a time; how many were.

        Args:
            keys: The keys.
            load_many: Gets up to `batch` keys and returns the values of those that exist.
            batch: How many keys at a time, >= 1.
            options: What holds for the entries.

        Raises:
            Exception: Whatever `load_many` raises; the batches before it are stored.
            CacheValueError: If `batch` is below 1.
            UncacheableError: If a key is not a string.
        """
        chosen = self._chosen(options)
        return sum(
            self._run(load_many_of(self._core, part, chosen, load_many))
            for part in batches([checked(key) for key in keys], batch)
        )

    def set(
        self,
        key: str,
        value: object,
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> None:
        """Put `value` under `key` in both levels, replacing what is there.

        Args:
            key: Any string.
            value: Anything; what the codec cannot carry stays in level 1 alone.
            ttl_s: As in the options.
            tags: As in the options.
            options: What holds for the entry; the cache's own by default.

        Raises:
            Exception: Whatever the cache's writer raises; nothing is stored then.
            CacheLevelError: If level 2 failed. Level 1 has the value then, and this cache will not
                serve the old one; other processes may.
            CacheValueError: If a number is out of its range.
            UncacheableError: If `key` is not a string.
        """
        chosen = self._chosen(options, ttl_s, tags)
        self._bring_home({checked(key): value})
        self._run(self._core.write({key: value}, chosen))

    def set_many(self, items: Mapping[str, object], *, options: EntryOptions | None = None) -> None:
        """As `set` for many keys; level 2 is written to once for all."""
        for key in items:
            checked(key)
        self._bring_home(items)
        self._run(self._core.write(items, self._chosen(options)))

    def delete(self, key: str) -> bool:
        """Remove `key` from both levels; whether one of them had a fresh value.

        A load of it that is under way gives its value to those who already wait and stores nothing.
        Once this has returned, no process that listens to the same level 2 serves the value.

        Raises:
            CacheLevelError: If level 2 failed. This cache will not serve the value again; other
                processes may, until level 2 can be told.
            UncacheableError: If `key` is not a string.
        """
        return self._run(self._core.remove([checked(key)])) > 0

    def delete_many(self, keys: Iterable[str]) -> int:
        """As `delete` for many keys; how many had a fresh value."""
        return self._run(self._core.remove([checked(key) for key in keys]))

    def invalidate_tag(self, tag: str) -> None:
        """As `delete` for everything stored with `tag`, at the same cost however much that is."""
        self._run(self._core.invalidate_tag(checked(tag)))

    def invalidate_pattern(self, pattern: str) -> None:
        """As `delete` for the keys that fit a shell-style pattern; looks at every key.

        Args:
            pattern: For the whole key: `*`, `?`, `[seq]`, `[!seq]`; case matters.
        """
        self._run(self._core.remove_matching(checked(pattern)))

    def clear(self) -> None:
        """As `delete` for every key; the counts stay."""
        self._run(self._core.clear())

    def _lead(self, begun: Begun, options: EntryOptions, loader: Callable[[], object]) -> None:
        flight = begun.flight
        if flight is None:
            raise AssertionError("a leader has a flight")
        if begun.outcome is not None:
            self._in_background(flight, options, loader)
        elif begun.wait_s is None or not self._in_background(flight, options, loader, inline=True):
            try:
                carry_out(lead(self._core, flight, options, loader), self._level)
            except BaseException:
                self._core.leave(begun)
                raise

    def _wait(self, begun: Begun) -> Outcome:
        if begun.flight is None:
            raise AssertionError("who waits has a flight")
        outcome: Outcome | None
        try:
            outcome = begun.flight.done.result(begun.wait_s)
        except TimeoutError:
            outcome = None
        except BaseException:
            self._core.leave(begun)
            raise
        return self._core.end(begun, outcome)
