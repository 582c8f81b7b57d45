"""Digests that tell whether two checks would measure the same."""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["KEY_DIGITS", "check_key", "tree_digest"]

KEY_DIGITS = 32

_NOT_SOURCE = frozenset({".git", "__pycache__"})


def check_key(
    *,
    base: str,
    candidate: str,
    benchmarks: str,
    settings: Mapping[str, Any],
    machine: str,
    tool_version: str,
) -> str:
    """A digest, 32 hexadecimal digits, that two checks share only if they measure the same alike.

    Args:
        base: The base's full commit.
        candidate: The candidate's full commit, or the `tree_digest` of a changed working tree.
        benchmarks: `tree_digest` of the benchmark files.
        settings: Whatever else decides what is measured and how it is judged: rule, suite, metric,
            selection, shard, environment. Plain values, in any order.
        machine: The machine's fingerprint.
        tool_version: The groundspeed that measures.
    """
    parts = [base, candidate, benchmarks, settings, machine, tool_version]
    written = msgspec.json.encode(parts, order="deterministic")
    return hashlib.sha256(written).hexdigest()[:KEY_DIGITS]


def tree_digest(folder: Path) -> str:
    """A digest of the files below `folder`: their names, contents and whether they may be run.

    Times, owners, empty folders, `.git` and `__pycache__` do not matter; a link counts as where it
    points to.

    Raises:
        OSError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(folder)):
        name = os.fsencode(path.relative_to(folder).as_posix())
        digest.update(b"%d %s %s" % (len(name), name, _content_digest(path)))
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder, onerror=_raise):
        linked = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = [name for name in folders if name not in _NOT_SOURCE and name not in linked]
        found += [Path(place, name) for name in (*names, *linked) if name not in _NOT_SOURCE]
    return found


def _raise(error: OSError) -> None:
    raise error


def _content_digest(path: Path) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = os.fsencode(path.readlink())
        return b"link " + hashlib.sha256(target).digest()
    if not stat.S_ISREG(mode):  # a pipe or socket has no content, and reading it may never end
        return b"other"
    kind = b"program " if mode & stat.S_IXUSR else b"file "
    with path.open("rb") as file:
        return kind + hashlib.file_digest(file, "sha256").digest()
