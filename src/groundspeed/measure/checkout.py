"""Copies of a repository's commits and of its working tree, made without touching it.

A copy is a clone that borrows the user's objects, so it is quick and small, and a repository in
its own right: builds that take their version from git work in it. `git worktree` would do less
and leave an entry behind in the user's repository when the process is killed.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from groundspeed.errors import BrokenError
from groundspeed.measure.git import Git, GitFailedError
from groundspeed.measure.scratch import explained

__all__ = ["export", "snapshot", "working_files"]


def export(root: Path, sha: str, target: Path) -> None:
    """Check out commit `sha` of the repository at `root` at `target`.

    Submodules that the user has are checked out from the user's copy; others stay empty, as they
    are for the user.

    Raises:
        BrokenError: If git cannot.
    """
    _clone(root, target)
    Git(target).run("checkout", "--quiet", "--force", "--detach", sha)
    _check_out_submodules(target, root)


def snapshot(root: Path, target: Path) -> None:
    """Copy the working tree at `root` to `target`, with its commit and index.

    Raises:
        BrokenError: If a file cannot be read or written.
    """
    source = Git(root)
    _clone(root, target)
    copy = Git(target)
    head = source.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head:
        copy.run("update-ref", "--no-deref", "HEAD", head)
    copy.run("update-index", "-z", "--index-info", stdin=source.run("ls-files", "--stage", "-z"))
    with explained(target):
        for name in working_files(root):
            _copy(root / name, target / name)


def working_files(root: Path) -> Iterator[str]:
    """Names of the files in the working tree at `root` that git does not ignore, from its root.

    Files of submodules are among them; those of other repositories inside it are not.
    """
    listed = Git(root).names("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in dict.fromkeys(listed):
        path = root / name
        if path.is_symlink() or not path.is_dir():
            yield name
        elif not name.endswith("/") and (path / ".git").exists():
            yield from (f"{name}/{inner}" for inner in working_files(path))


def _clone(root: Path, target: Path) -> None:
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    Git(target.parent).run(
        "clone",
        "--quiet",
        # git lists borrowed object folders a line each and does not quote them.
        "--local" if "\n" in os.fspath(root) else "--shared",
        "--no-checkout",
        "--no-reject-shallow",
        "--template=",
        "--",
        os.fspath(root),
        os.fspath(target),
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a file or link; one that is gone meanwhile counts as deleted."""
    try:
        mode = source.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        if error.filename != os.fspath(source):
            raise
        raise BrokenError(
            f"{source} cannot be read, so the working tree cannot be copied; "
            "make it readable, or add it to .gitignore"
        ) from error


def _check_out_submodules(target: Path, source: Path) -> None:
    git = Git(target)
    for name, path in _submodules(target):
        stored = _stored_submodule(source, name, path)
        if stored is None:
            continue
        git.run("config", f"submodule.{name}.url", os.fspath(stored))
        try:
            git.run("submodule", "--quiet", "update", "--init", "--", path)
        except GitFailedError as error:
            said = "".join(error.complaint.splitlines()[-1:])
            raise BrokenError(
                f"submodule {name} lacks the commit that this version needs ({said}); "
                f"fetch it: git -C {source / path} fetch --all"
            ) from error
        _check_out_submodules(target / path, source / path)


def _stored_submodule(source: Path, name: str, path: str) -> Path | None:
    """Where the user's copy of a submodule is; None when it was never fetched."""
    common = Git(source).ask("rev-parse", "--git-common-dir")
    places = [source / path / ".git", source / common / "modules" / name if common else None]
    return next((place for place in places if place and place.is_dir()), None)


def _submodules(target: Path) -> Iterator[tuple[str, str]]:
    """Name and path of each submodule that the commit at `target` really holds."""
    if not (target / ".gitmodules").is_file():
        return
    told = Git(target).ask("config", "--file", ".gitmodules", "-z", "--get-regexp", r"\.path$")
    held = _gitlinks(target)
    for entry in (told or "").split("\0"):
        key, _, path = entry.partition("\n")
        name = key.removeprefix("submodule.").removesuffix(".path")
        if path in held and ".." not in PurePosixPath(name).parts:
            yield name, path


def _gitlinks(target: Path) -> set[str]:
    staged = Git(target).names("ls-files", "--stage", "-z")
    return {entry.partition("\t")[2] for entry in staged if entry.startswith("160000 ")}
