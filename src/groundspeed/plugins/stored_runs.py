"""Which runs of pytest-benchmark's storage a run is compared with, and what they hold."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from groundspeed.errors import UsageError
from groundspeed.measure.git import Git

__all__ = ["Baseline", "Commit", "Storage", "StoredRun", "StoredTest", "find_baseline", "kind_of"]

_RUNS_MOST = 20  # more say no more of what a run differs from the next
_NUMBERED = "[0-9][0-9][0-9][0-9]_"  # as pytest-benchmark names what it saves
_NO_COMMIT = ("", "unknown", "unversioned")
_SHORT = 7
_HASH = re.compile(r"[0-9a-f]{7,40}")
_MACHINE = ("system", "machine", "python_implementation")
_CPU = ("brand_raw", "count", "bits")


class Storage(Protocol):
    """What is used of pytest-benchmark's own storage of files."""

    def query(self, *globs_or_files: str) -> list[Path]:
        """The files of a number, a prefix, a glob or a path, by name."""
        ...


class Commit(msgspec.Struct, frozen=True):
    """What pytest-benchmark writes of the commit that was measured."""

    id: str = ""
    dirty: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the project was under version control and its commit could be read."""
        return self.id not in _NO_COMMIT

    @property
    def short(self) -> str:
        """As a person reads it: `commit a1b2c3d`, with its changes where it had some."""
        if not self.is_known:
            return "no known commit"
        return f"commit {self.id[:_SHORT]}{' with changes' if self.dirty else ''}"


class Summary(msgspec.Struct, frozen=True):
    """The rounds of one test in seconds."""

    median: float
    rounds: int
    iqr: float = 0.0


class StoredTest(msgspec.Struct, frozen=True):
    """One test of a stored run."""

    fullname: str
    stats: Summary
    extra_info: dict[str, Any] = {}
    options: dict[str, Any] = {}
    groundspeed: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True):
    benchmarks: list[StoredTest]
    commit_info: Commit = Commit()
    machine_info: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One file.

    Attributes:
        path: Where it lies.
        commit: What was measured.
        machine: Where; see `kind_of`.
        tests: By node id.
    """

    path: Path
    commit: Commit
    machine: Mapping[str, Any]
    tests: Mapping[str, StoredTest]

    @property
    def name(self) -> str:
        """Its number, or the file's name where it has none: `0007`."""
        number = self.path.stem.partition("_")[0]
        return number if number.isdigit() else self.path.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The runs that this run is compared with, all of one commit and one machine.

    Attributes:
        runs: The newest first, at least one.
        other_machine: What differs, where they are of another machine; else empty.
    """

    runs: tuple[StoredRun, ...]
    other_machine: str = ""

    @property
    def commit(self) -> Commit:
        """What was measured."""
        return self.runs[0].commit

    @property
    def title(self) -> str:
        """The newest run, the commit and the number of runs."""
        number = len(self.runs)
        return (
            f"{self.runs[0].name} of {self.commit.short} ({number} run{'s' if number > 1 else ''})"
        )

    def tests(self, nodeid: str) -> list[StoredTest]:
        """What the runs hold of one test, the newest first."""
        return [run.tests[nodeid] for run in self.runs if nodeid in run.tests]


def kind_of(machine_info: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share to be compared: system, processor, kind and version of Python.

    The name of the host is no part of it: that of a container changes with every run.
    """
    cpu = machine_info.get("cpu") or {}
    version = str(machine_info.get("python_version", "")).split(".")[:2]
    kind = {name: machine_info.get(name) for name in _MACHINE}
    kind |= {f"cpu {name}": cpu.get(name) for name in _CPU if name in cpu}
    return kind | {"python_version": ".".join(version)}


def find_baseline(
    reference: str,
    storage: Storage,
    *,
    commit: Commit,
    machine: Mapping[str, Any],
    folder: Path,
) -> Baseline:
    """The runs that a reference names.

    Args:
        reference: Empty for the newest stored run of another state, else a number or a prefix as
            --benchmark-compare takes it, the path of a JSON file, or whatever git knows as a
            commit.
        storage: Where the runs are.
        commit: What is measured now.
        machine: Where, see `kind_of`.
        folder: Where git is asked.

    Raises:
        UsageError: If nothing is stored, nothing bears that name, or a file cannot be read.
    """
    shelf = _Shelf(storage=storage)
    named = shelf.named(reference, folder) if reference else shelf.of_another_state(commit, machine)
    here = [run for run in named if run.machine == machine]
    return Baseline(
        runs=tuple((here or named)[:_RUNS_MOST]),
        other_machine="" if here else _difference(named[0].machine, machine),
    )


@dataclass(kw_only=True)
class _Shelf:
    """The stored runs, read as they are needed and once."""

    storage: Storage
    read: dict[Path, StoredRun] = field(default_factory=dict)

    def named(self, reference: str, folder: Path) -> Sequence[StoredRun]:
        path = Path(reference)
        if path.suffix == ".json" and path.is_file():
            return [self._run(path)]
        files = self._query(reference)
        if files:
            return self._alike(list(self._runs(files)))
        return self._of_commit(reference, folder)

    def of_another_state(self, commit: Commit, machine: Mapping[str, Any]) -> Sequence[StoredRun]:
        """Those of the newest run of this machine that measured something else, if there is one."""
        files = self._query(_NUMBERED) or self._query(f"*/{_NUMBERED}")
        if not files:
            raise UsageError(
                f"--groundspeed-compare: no run is stored in {self.storage}; store one of the code "
                "to compare with: pytest --benchmark-autosave"
            )
        newest = None
        for run in self._runs(files):
            if run.machine == machine:
                newest = newest or run
                if run.commit != commit:
                    return self._alike([run])
        return self._alike([newest or self._run(files[-1])])

    def _of_commit(self, reference: str, folder: Path) -> Sequence[StoredRun]:
        runs = list(self._runs(self._everything()))
        short = [
            run
            for run in runs
            if _HASH.fullmatch(reference) and run.commit.id.startswith(reference)
        ]
        sha = short[0].commit.id if short else _resolved(reference, folder)
        found = [run for run in runs if sha is not None and run.commit.id == sha]
        if not found:
            raise UsageError(_unknown(reference, sha, runs, self.storage))
        clean = [run for run in found if not run.commit.dirty]
        return clean or found[:1]

    def _alike(self, runs: Sequence[StoredRun]) -> Sequence[StoredRun]:
        """These and the others of the same code as the newest of them.

        Uncommitted changes may be others in every run, and so may anything without a commit: of
        those only what was named counts.
        """
        first = runs[0]
        if first.commit.is_known and not first.commit.dirty:
            runs = list(self._runs(self._everything())) or runs
        return [first, *(r for r in runs if r.commit == first.commit and r.path != first.path)]

    def _everything(self) -> list[Path]:
        own = self._query(_NUMBERED)
        return own or self._query(f"*/{_NUMBERED}")

    def _query(self, reference: str) -> list[Path]:
        try:
            files = self.storage.query(reference)
        except (ValueError, NotImplementedError):  # more than one slash, or a root: no name of it
            return []
        return [file for file in files if file.suffix == ".json"]

    def _runs(self, files: Iterable[Path]) -> Iterator[StoredRun]:
        """The newest first."""
        for path in reversed(list(dict.fromkeys(files))):
            yield self._run(path)

    def _run(self, path: Path) -> StoredRun:
        if path not in self.read:
            self.read[path] = _read(path)
        return self.read[path]


def _read(path: Path) -> StoredRun:
    try:
        # Not msgspec's own decoder: pytest-benchmark writes NaN where it has no number.
        file = msgspec.convert(json.loads(path.read_bytes()), _File)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--groundspeed-compare: {path} is no run that pytest-benchmark stored: {error}; move "
            "it away, or name another run: --groundspeed-compare=NUMBER"
        ) from None
    return StoredRun(
        path=path,
        commit=file.commit_info,
        machine=kind_of(file.machine_info),
        tests={test.fullname: test for test in file.benchmarks},
    )


def _resolved(reference: str, folder: Path) -> str | None:
    if reference.startswith("-") or "\0" in reference:
        return None
    try:
        return Git(folder).ask("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    except UsageError:  # there is no git to ask, which the message about the name says as well
        return None


def _unknown(reference: str, sha: str | None, runs: Sequence[StoredRun], storage: Storage) -> str:
    start = f"--groundspeed-compare={reference}: "
    if Path(reference.partition("::")[0]).exists():
        return (
            f"{start}this is a test path, not a run; write --groundspeed-compare after the paths, "
            "or --groundspeed-compare="
        )
    stored = ", ".join(dict.fromkeys(run.name for run in runs[:_RUNS_MOST])) or "none"
    if sha is not None:
        return (
            f"{start}no run of commit {sha[:_SHORT]} is stored in {storage} (there are: {stored}); "
            "check it out and store one: pytest --benchmark-autosave"
        )
    return (
        f"{start}neither a run in {storage} (there are: {stored}), nor a JSON file, nor a commit "
        "that git finds here"
    )


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return ", ".join(f"{name} {then.get(name)} there, {now.get(name)} here" for name in names)
