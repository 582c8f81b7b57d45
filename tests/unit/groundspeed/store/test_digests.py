import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundspeed.store.digests import KEY_DIGITS, check_key, tree_digest

PARTS: dict[str, Any] = {
    "base": "a" * 40,
    "candidate": "b" * 40,
    "benchmarks": "c" * 64,
    "settings": {"looks": (5, 8), "selection": ("x",), "min_effect": 0.01, "shard": None},
    "machine": "0123456789ab",
    "tool_version": "0.1.0",
}


def test_a_key_is_the_same_for_the_same_check() -> None:
    """Whatever order the settings come in."""
    key = check_key(**PARTS)
    settings = dict(reversed(PARTS["settings"].items()))
    assert check_key(**(PARTS | {"settings": settings})) == key
    assert len(key) == KEY_DIGITS
    assert set(key) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "change",
    [
        *({part: "d" * 40} for part in PARTS if part != "settings"),
        {"settings": PARTS["settings"] | {"min_effect": 0.02}},
        {"settings": PARTS["settings"] | {"shard": "1/2"}},
        {"settings": PARTS["settings"] | {"selection": ("x", "y")}},
        {"base": PARTS["candidate"], "candidate": PARTS["base"]},
    ],
)
def test_a_key_is_another_for_another_check(change: dict[str, Any]) -> None:
    """Each part counts, and in its own place."""
    assert check_key(**(PARTS | change)) != check_key(**PARTS)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a few files."""
    folder = tmp_path / "tree"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.py").write_bytes(b"a = 1\n")
    (folder / "inner" / "b.py").write_bytes(b"")
    return folder


def test_a_copy_has_the_same_digest(tree: Path, tmp_path: Path) -> None:
    """Where it is, when it was written and what running it left behind do not matter."""
    copy = tmp_path / "copy"
    (copy / "inner" / "__pycache__").mkdir(parents=True)
    (copy / "inner" / "__pycache__" / "b.pyc").write_bytes(b"x")
    (copy / "empty").mkdir()
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_bytes(b"x")
    (copy / "inner" / "b.py").write_bytes(b"")
    (copy / "a.py").write_bytes(b"a = 1\n")
    os.utime(copy / "a.py", (0, 0))
    assert tree_digest(copy) == tree_digest(tree)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: (tree / "a.py").write_bytes(b"a = 2\n"),
    "name": lambda tree: (tree / "a.py").rename(tree / "c.py"),
    "folder": lambda tree: (tree / "inner").rename(tree / "outer"),
    "more": lambda tree: (tree / "inner" / "c.py").write_bytes(b""),
    "less": lambda tree: (tree / "inner" / "b.py").unlink(),
    "moved": lambda tree: (tree / "inner" / "b.py").write_bytes((tree / "a.py").read_bytes()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_shows(tree: Path, change: Callable[[Path], object]) -> None:
    """Contents and names count."""
    before = tree_digest(tree)
    change(tree)
    assert tree_digest(tree) != before


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes, links and pipes")
def test_modes_links_and_pipes_count_as_what_they_are(tree: Path) -> None:
    """A program is not a plain file; a link is where it points to, also to a folder or nowhere."""
    seen = {tree_digest(tree)}
    (tree / "a.py").chmod(0o755)
    seen.add(tree_digest(tree))
    for target in ("a.py", "nowhere", "inner"):
        link = tree / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        seen.add(tree_digest(tree))
    (tree / "link").unlink()
    os.mkfifo(tree / "link")
    seen.add(tree_digest(tree))
    assert len(seen) == 6


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It must not look like an empty one."""
    with pytest.raises(FileNotFoundError):
        tree_digest(tmp_path / "none")
