"""Where a run keeps its files: one private folder under the user's cache, gone when the run ends.

A run owns a lock file beside its folder. The kernel drops the lock when the process dies, however
it dies, so the next run can tell what `kill -9` or a power cut left behind and removes it.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import platformdirs

from groundspeed.errors import BrokenError

__all__ = [
    "CACHE_VARIABLE",
    "FileLock",
    "cache_folder",
    "explained",
    "remove_tree",
    "scratch_folder",
]

CACHE_VARIABLE = "GROUNDSPEED_CACHE_DIR"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT}) if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for whatever may be deleted at any time; not created here.

    `GROUNDSPEED_CACHE_DIR` goes before the platform's own place for caches.
    """
    chosen = environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("groundspeed", appauthor=False)


@contextlib.contextmanager
def scratch_folder(cache: Path) -> Iterator[Path]:
    """Give a new private folder below `cache`, removed at exit.

    Folders of processes that died without removing theirs are removed first.

    Raises:
        BrokenError: If the folder cannot be made (disk full, not writable).
    """
    runs = cache / "runs"
    with explained(cache):
        runs.mkdir(parents=True, exist_ok=True)
        _sweep(runs)
        lock, folder = _claim(runs)
    try:
        yield folder
    finally:
        remove_tree(folder)
        lock.release()


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into an error that names `folder` and the way out.

    Raises:
        BrokenError: In place of the OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = _remedy(error.errno)
        if remedy is None:
            raise
        seen = f"{error.strerror or error} ({error.filename or folder})"
        raise BrokenError(
            f"groundspeed keeps its working files in {folder}: {seen}; {remedy}"
        ) from error


def _remedy(number: int | None) -> str | None:
    if number in _FULL:
        return f"free some space there, or set {CACHE_VARIABLE} to a folder on a larger disk"
    if number in _FORBIDDEN or number in {errno.EEXIST, errno.ENOTDIR}:
        return f"set {CACHE_VARIABLE} to a folder you can write to"
    return None


def remove_tree(folder: Path) -> None:
    """Remove `folder` and all it holds, read-only directories too; what resists is left behind."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    if not folder.exists():
        return
    for name, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(name).chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _claim(runs: Path) -> "tuple[FileLock, Path]":
    while True:
        folder = runs / f"run-{secrets.token_hex(4)}"
        # Lock first: a folder without a living lock is fair game for every other process.
        lock = FileLock.acquire(_lock_path(folder), wait=False)
        if lock is None:
            continue
        try:
            folder.mkdir(mode=0o700)
        except BaseException:
            lock.release()
            raise
        return lock, folder


def _sweep(runs: Path) -> None:
    folders = {path.with_suffix("") for path in runs.glob("run-*")}
    for folder in folders:
        lock = FileLock.acquire(_lock_path(folder), wait=False)
        if lock is not None:
            remove_tree(folder)
            lock.release()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


class FileLock:
    """An exclusive lock between processes, dropped by the kernel when its holder dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path, *, wait: bool) -> Self | None:
        """Take the lock at `path`, or give None when another holds it and `wait` is false."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                locked = _lock(descriptor, wait=wait)
            except BaseException:
                os.close(descriptor)
                raise
            if locked and _is_same_file(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)
            if not locked:
                return None

    def release(self) -> None:
        """Give the lock back and remove its file."""
        # While it is still held: whoever waits for it sees that the file is gone and starts anew.
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> bool:
        while True:
            try:
                # LK_LOCK gives up after ten seconds, hence the loop.
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True

else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
