"""The user's git repository: which commits to compare, and copies of them to measure.

Nothing is written inside it: copies borrow its objects and live elsewhere, so that no ending of
the run, not even `kill -9`, leaves anything behind in it.
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

from groundspeed.errors import NoBaselineError, UsageError
from groundspeed.measure import checkout
from groundspeed.measure.git import Git, GitFailedError

__all__ = ["BaseChoice", "Commit", "Repository", "release_of_tag"]

# A star asks for the commit behind an annotated tag.
_TAG_FORMAT = (
    "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)"
    "%00%(committerdate:unix)%00%(*committerdate:unix)"
)
_FETCH_ALL = "git fetch --unshallow --tags (GitHub Actions: fetch-depth: 0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit.

    Attributes:
        sha: Its full name, 40 or 64 hexadecimal digits.
        short: The shortest name that is unique here, at least 7 digits.
        subject: The first line of its message.
        committed_at: When it was committed, with its time zone.
        name: The revision as it was typed or chosen.
    """

    sha: str
    short: str
    subject: str
    committed_at: datetime
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseChoice:
    """The base that was chosen, and why in a few words."""

    commit: Commit
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    name: str
    sha: str
    committed_at_s: int
    version: Version


@dataclass(frozen=True, slots=True)
class Repository:
    """A git work tree, read through the git program.

    Attributes:
        root: The top folder of the work tree.
    """

    root: Path

    @classmethod
    def discover(cls, start: Path) -> "Repository":
        """The repository whose work tree holds `start`.

        Raises:
            UsageError: If there is none, or git is not installed or does not trust it.
        """
        if not start.is_dir():
            raise UsageError(f"{start} is not a folder; run groundspeed inside a git work tree")
        try:
            return cls(Path(Git(start).line("rev-parse", "--show-toplevel")))
        except GitFailedError as error:
            raise UsageError(_why_no_repository(start, error.complaint)) from None

    def resolve(self, revision: str) -> Commit:
        """The commit that `revision` (a tag, a branch, HEAD~3, a hash) names.

        Raises:
            UsageError: If there is no such commit.
            NoBaselineError: If there is none yet, or the clone is shallow and may lack it.
        """
        sha = self._sha(revision)
        if sha is None:
            raise self._unknown(revision)
        return self._commit(sha, revision)

    def head(self) -> Commit:
        """The commit that is checked out.

        Raises:
            NoBaselineError: If there is no commit yet.
        """
        return self.resolve("HEAD")

    def default_base(self, *, dirty: bool, candidate: Commit | None) -> BaseChoice:
        """What to compare with when the user names nothing.

        The last release tag that is reachable, else the merge base with the default branch, else
        the commit before. With a dirty working tree as candidate the commit it stands on counts
        as a base too.

        Args:
            dirty: Whether the working tree differs from its commit.
            candidate: The commit to judge; None for the working tree.

        Raises:
            NoBaselineError: If nothing precedes the candidate here.
        """
        tip = candidate or self.head()
        differs = candidate is None and dirty
        choice = (
            self._last_release(tip, differs=differs)
            or self._merge_base(tip, differs=differs)
            or self._commit_before(tip, differs=differs)
        )
        if choice is None:
            raise NoBaselineError(self._why_no_base(tip))
        return choice

    def is_dirty(self, *, ignoring: Sequence[Path] = ()) -> bool:
        """Whether the working tree differs from its commit, untracked files included.

        Args:
            ignoring: Files and folders that do not count, such as the results. The root and what
                lies outside it are passed over.
        """
        inside = {self.relative(path) for path in ignoring} - {None, Path()}
        excluded = [f":(exclude,top,literal){path}" for path in inside]
        command = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
        return bool(self.git.run(*command, "--", ":(top)", *excluded))

    def relative(self, path: Path) -> Path | None:
        """`path` as seen from the root, or None when it lies outside."""
        absolute = Path(os.path.normpath(self.root / path))
        for root, seen in ((self.root, absolute), (self.root.resolve(), absolute.resolve())):
            if seen.is_relative_to(root):
                return seen.relative_to(root)
        return None

    def export(self, commit: Commit, target: Path) -> None:
        """Check `commit` out at `target` as a repository of its own, submodules included.

        Raises:
            BrokenError: If git cannot (an object or a submodule's commit is missing, disk full).
        """
        checkout.export(self.root, commit.sha, target)

    def snapshot(self, target: Path) -> None:
        """Copy the working tree as it is now to `target`, a repository at the same commit.

        Tracked and untracked files are there, ignored and deleted ones are not.

        Raises:
            BrokenError: If a file cannot be read or the disk is full.
        """
        checkout.snapshot(self.root, target)

    @property
    def git(self) -> Git:
        """The git program at the root."""
        return Git(self.root)

    @property
    def is_shallow(self) -> bool:
        """Whether the clone holds only the latest part of its history."""
        return self.git.ask("rev-parse", "--is-shallow-repository") == "true"

    def _sha(self, revision: str) -> str | None:
        # A leading dash would be read as an option, a NUL cannot be passed at all.
        if not revision or revision.startswith("-") or "\0" in revision:
            return None
        # In two steps: `:/text` would take the suffix for more text.
        named = self.git.ask("rev-parse", "--verify", "--quiet", revision)
        return named and self.git.ask("rev-parse", "--verify", "--quiet", f"{named}^{{commit}}")

    def _commit(self, sha: str, name: str) -> Commit:
        told = self.git.run(
            "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%h%x00%cI%x00%s", sha
        )
        short, committed_at, subject = told.decode("utf-8", "replace").rstrip("\n").split("\0", 2)
        return Commit(
            sha=sha,
            short=short,
            subject=subject,
            committed_at=datetime.fromisoformat(committed_at),
            name=name,
        )

    def _unknown(self, revision: str) -> UsageError | NoBaselineError:
        if self._sha("HEAD") is None:
            return NoBaselineError(
                f"{self.root} has no commit yet, so there is nothing to compare with; "
                "commit what you have, change it and run groundspeed check"
            )
        near = self._near(revision)
        if self.is_shallow and not near:
            return NoBaselineError(
                f"{revision!r} is not in this clone, which holds only part of the history; "
                f"fetch the rest: {_FETCH_ALL}"
            )
        hint = f"did you mean {' or '.join(near)}?" if near else "see: git log --oneline --all"
        return UsageError(f"{revision!r} names no commit in {self.root}; {hint}")

    def _near(self, revision: str) -> list[str]:
        scopes = ("refs/heads", "refs/tags", "refs/remotes")
        told = self.git.run("for-each-ref", "--format=%(refname:short)", *scopes)
        return difflib.get_close_matches(revision, os.fsdecode(told).splitlines(), n=3, cutoff=0.7)

    def _last_release(self, tip: Commit, *, differs: bool) -> BaseChoice | None:
        tags = [tag for tag in self._release_tags(tip) if differs or tag.sha != tip.sha]
        if not tags:
            return None
        last = max(tags, key=lambda tag: (tag.committed_at_s, tag.version))
        return BaseChoice(
            commit=self._commit(last.sha, last.name), reason="the last release tag reachable"
        )

    def _release_tags(self, tip: Commit) -> Iterable[_Tag]:
        told = self.git.run("for-each-ref", f"--merged={tip.sha}", _TAG_FORMAT, "refs/tags")
        for line in os.fsdecode(told).splitlines():
            name, own, peeled, own_s, peeled_s = line.split("\0")
            version = release_of_tag(name)
            if version is not None and (peeled_s or own_s):
                yield _Tag(
                    name=name,
                    sha=peeled or own,
                    committed_at_s=int(peeled_s or own_s),
                    version=version,
                )

    def _merge_base(self, tip: Commit, *, differs: bool) -> BaseChoice | None:
        branch = self._default_branch()
        sha = branch and self.git.ask("merge-base", tip.sha, branch)
        if not branch or not sha or (sha == tip.sha and not differs):
            return None
        if sha == tip.sha:
            return self._commit_before(tip, differs=differs)
        name = branch.removeprefix("refs/heads/").removeprefix("refs/remotes/")
        commit = self._commit(sha, sha)
        return BaseChoice(
            commit=replace(commit, name=commit.short), reason=f"where this branch left {name}"
        )

    def _default_branch(self) -> str | None:
        named = self.git.ask("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
        usual = [
            f"refs/{place}/{name}"
            for place in ("remotes/origin", "heads")
            for name in ("main", "master")
        ]
        candidates = [named, *usual] if named else usual
        return next((name for name in candidates if self._sha(name)), None)

    def _commit_before(self, tip: Commit, *, differs: bool) -> BaseChoice | None:
        if differs:
            return BaseChoice(commit=tip, reason="the last commit")
        sha = self._sha(f"{tip.sha}~1")
        if sha is None:
            return None
        return BaseChoice(commit=self._commit(sha, f"{tip.name}~1"), reason="the commit before")

    def _why_no_base(self, tip: Commit) -> str:
        if self.is_shallow:
            return (
                f"this clone holds nothing before {tip.short} to compare with; "
                f"fetch the history: {_FETCH_ALL}"
            )
        return (
            f"{tip.short} is the first commit and there is no change to compare with it; "
            "change something and run groundspeed check again"
        )


def release_of_tag(tag: str) -> Version | None:
    """The version that a release tag names, or None for a pre-release or any other tag.

    Understands `1.2.3`, `v1.2.3`, `release-1.2.3` and `name-1.2.3`.
    """
    tail = tag.rpartition("/")[2]
    for text in (tail, tail.rpartition("-")[2]):
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        return None if version.is_prerelease else version
    return None


def _why_no_repository(start: Path, complaint: str) -> str:
    if "dubious ownership" in complaint:
        return (
            f"git does not trust the repository at {start}, which belongs to another user; "
            f"allow it: git config --global --add safe.directory {start}"
        )
    if "must be run in a work tree" in complaint:
        return f"{start} is inside a bare repository or .git; run groundspeed in a work tree"
    return (
        f"{start} is not inside a git work tree, and groundspeed compares commits; "
        "change to your project's folder, or begin one: git init"
    )
