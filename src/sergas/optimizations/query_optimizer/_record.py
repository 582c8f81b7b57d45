"""A workload, recorded from what a program executes."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import msgspec

from sergas.errors import WorkloadError
from sergas.optimizations.query_optimizer._call_site import CallSite
from sergas.optimizations.query_optimizer._fingerprint import Fingerprint, fingerprint
from sergas.optimizations.query_optimizer._listen import Executed, listening
from sergas.optimizations.query_optimizer._values import plain, restored
from sergas.optimizations.query_optimizer._workload import Workload, WorkloadQuery

__all__ = ["QueryRecord", "Recorder", "load_workload", "record", "save_workload"]

_VERSION = 1


@dataclass(slots=True, kw_only=True)
class QueryRecord:
    """What was seen of one fingerprint.

    Attributes:
        fingerprint: Its name.
        sql: The text it was first seen with.
        count: How often it was executed.
        total_s: Seconds altogether, where the driver told them.
        longest_s: The longest of them.
        samples: Some of its parameters, distinct, in the order seen.
        sites: Where it came from, and how often from each.
    """

    fingerprint: Fingerprint
    sql: str
    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    samples: list[Any] = field(default_factory=list)
    sites: dict[CallSite, int] = field(default_factory=dict)


class Recorder:
    """Counts statements by fingerprint. Any thread may execute; memory is bounded.

    Args:
        queries_max: Fingerprints kept, >= 1; those that come later are counted as `dropped`.
        samples_max: Parameters kept of each, >= 1.

    Attributes:
        dropped: Statements of fingerprints beyond `queries_max`.
    """

    def __init__(self, *, queries_max: int = 1000, samples_max: int = 5) -> None:
        if queries_max < 1 or samples_max < 1:
            raise WorkloadError(
                f"Recorder: got queries_max={queries_max} and samples_max={samples_max}, needed 1 "
                "or more of each"
            )
        self.dropped = 0
        self._queries_max = queries_max
        self._samples_max = samples_max
        self._lock = threading.Lock()
        self._records: dict[str, QueryRecord] = {}

    def add(self, executed: Executed) -> None:
        """One more statement was executed."""
        named = fingerprint(executed.sql, executed.dialect)
        with self._lock:
            record = self._records.get(named.text)
            if record is None:
                if len(self._records) >= self._queries_max:
                    self.dropped += 1
                    return
                record = QueryRecord(fingerprint=named, sql=executed.sql)
                self._records[named.text] = record
            record.count += 1
            if executed.elapsed_s is not None:
                record.total_s += executed.elapsed_s
                record.longest_s = max(record.longest_s, executed.elapsed_s)
            record.sites[executed.site] = record.sites.get(executed.site, 0) + 1
            self._sample(record, executed)

    def records(self) -> tuple[QueryRecord, ...]:
        """What was seen, in the order in which it was first seen."""
        with self._lock:
            return tuple(self._records.values())

    def workload(self) -> Workload:
        """What `QueryOptimizer.advise` reads: reads and writes, without the rest."""
        return Workload(
            queries=tuple(
                WorkloadQuery(
                    sql=record.sql,
                    samples=tuple(record.samples) or ((),),
                    count=float(record.count),
                    fingerprint=record.fingerprint.text,
                    kind=record.fingerprint.kind,
                )
                for record in self.records()
                if record.fingerprint.kind != "other"
            )
        )

    def _sample(self, record: QueryRecord, executed: Executed) -> None:
        # Parameters belong to one text; where values are in the text, that is the sample.
        if len(record.samples) >= self._samples_max or executed.sql != record.sql:
            return
        if executed.parameters not in record.samples and not executed.is_batch:
            record.samples.append(executed.parameters)


@contextmanager
def record(*connections: Any, recorder: Recorder | None = None) -> Iterator[Recorder]:
    """Record what is executed on the connections in the block.

    Args:
        connections: Of sqlite3, psycopg or asyncpg.
        recorder: What to add to; None makes one.

    Raises:
        WorkloadError: If a connection is of no driver that is known.
        MissingExtraError: If sqlglot is not installed.
    """
    fingerprint("SELECT 1", "sqlite")  # what is missing is told before anything is executed
    chosen = recorder or Recorder()
    with listening(chosen.add, *connections):
        yield chosen


# Files


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sql: str
    samples: tuple[Any, ...]
    count: float
    fingerprint: str
    kind: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    queries: tuple[_Query, ...]


def save_workload(workload: Workload, path: str | PathLike[str]) -> None:
    """Write a workload to a JSON file, whole or not at all.

    Raises:
        WorkloadError: If a parameter is of a type that cannot be written down.
        OSError: If the file cannot be written.
    """
    file = _File(
        version=_VERSION,
        queries=tuple(
            _Query(
                sql=query.sql,
                samples=tuple(plain(sample) for sample in query.samples),
                count=query.count,
                fingerprint=query.fingerprint,
                kind=query.kind,
            )
            for query in workload
        ),
    )
    target = Path(fspath(path))
    draft = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def load_workload(path: str | PathLike[str]) -> Workload:
    """Read a workload from a file of `save_workload`.

    Raises:
        WorkloadError: If the file is none.
        OSError: If it cannot be read.
    """
    try:
        file = msgspec.json.decode(Path(fspath(path)).read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        raise WorkloadError(
            f"{path}: not a workload ({error}); write one with save_workload"
        ) from error
    if file.version != _VERSION:
        raise WorkloadError(
            f"{path}: a workload of version {file.version}, needed {_VERSION}; record it anew"
        )
    return Workload(
        queries=tuple(
            WorkloadQuery(
                sql=query.sql,
                samples=tuple(restored(sample) for sample in query.samples),
                count=query.count,
                fingerprint=query.fingerprint,
                kind="write" if query.kind == "write" else "read",
            )
            for query in file.queries
        )
    )
