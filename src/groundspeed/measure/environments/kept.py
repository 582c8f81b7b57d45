"""The environments of commits, built once and kept.

One is built under another name and renamed when it is complete, so what an interrupted build
leaves is never used. A lock that dies with its process lets two runs that want the same one
build it once. The ones used last are kept; one that a living run links to is never removed.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from groundspeed.measure.environments.build import Recipe, build
from groundspeed.measure.scratch import FileLock, explained, remove_tree

__all__ = ["KEPT_COUNT", "EnvironmentStore"]

KEPT_COUNT = 20
_UNFINISHED = ".building"


@dataclass(frozen=True, slots=True)
class EnvironmentStore:
    """The environments kept below the cache folder."""

    cache: Path

    @property
    def folder(self) -> Path:
        """Where they are, one folder each."""
        return self.cache / "environments"

    def log(self, name: str) -> Path:
        """Where the output of building `name` goes."""
        return self.cache / "logs" / f"{name}.log"

    def provide(self, key: str, recipe: Recipe, say: Callable[[str], None]) -> Path:
        """The complete environment named `key`, built by `recipe` if it is not there.

        Raises:
            BrokenError: If it cannot be built or the cache cannot be written.
        """
        home = self.folder / key
        if not home.is_dir():
            with explained(self.cache):
                self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock(key, say):
                if not home.is_dir():
                    self._build(key, recipe, say)
        # When it was used last decides what is forgotten; a cache that cannot be written forgets
        # nothing.
        with contextlib.suppress(OSError):
            os.utime(home)
        return home

    def forget_old(self, kept: int = KEPT_COUNT) -> None:
        """Remove all but the `kept` environments and logs used last, and unfinished ones."""
        for home in self._old(kept):
            self._remove(home.name)
        for unfinished in self.folder.glob(f"*{_UNFINISHED}"):
            self._remove(unfinished.name.partition(".")[0], unfinished_only=True)
        for log in _latest_first((self.cache / "logs").glob("*.log"))[kept:]:
            with contextlib.suppress(OSError):
                log.unlink()

    def _build(self, key: str, recipe: Recipe, say: Callable[[str], None]) -> None:
        unfinished = self._unfinished(key)
        try:
            build(recipe, unfinished, self.log(key), say)
            with explained(self.cache):
                unfinished.rename(self.folder / key)
        finally:
            remove_tree(unfinished)

    def _lock(self, key: str, say: Callable[[str], None]) -> FileLock:
        path = self.folder / f"{key}.lock"
        with explained(self.cache):
            lock = FileLock.acquire(path, wait=False)
            if lock is None:
                say("waiting for another groundspeed that builds the same environment")
                lock = FileLock.acquire(path, wait=True)
        assert lock is not None, "waiting ends with the lock"  # noqa: S101 - for the type checker
        return lock

    def _old(self, kept: int) -> list[Path]:
        homes = (path for path in self.folder.glob("*-*") if path.is_dir() and not path.suffix)
        old = _latest_first(homes)[kept:]
        used = {link.resolve() for link in (self.cache / "runs").glob("run-*/?/env")}
        return [home for home in old if home.resolve() not in used]

    def _remove(self, key: str, *, unfinished_only: bool = False) -> None:
        lock = FileLock.acquire(self.folder / f"{key}.lock", wait=False)
        if lock is None:
            return
        with lock:
            if not unfinished_only:
                # Out of sight at once: nobody may find it half removed.
                with contextlib.suppress(OSError):
                    (self.folder / key).rename(self._unfinished(key))
            for leftover in self.folder.glob(f"{key}.*{_UNFINISHED}"):
                remove_tree(leftover)

    def _unfinished(self, key: str) -> Path:
        # A name of its own each time: an installer may outlive a killed run and go on writing.
        return self.folder / f"{key}.{secrets.token_hex(4)}{_UNFINISHED}"


def _latest_first(paths: Iterator[Path]) -> list[Path]:
    dated: list[tuple[float, Path]] = []
    for path in paths:
        with contextlib.suppress(OSError):  # gone meanwhile
            dated.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(dated, reverse=True)]
