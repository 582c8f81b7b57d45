"""Recorded launches of benchmarks whose true slowdown is known: from a file to launch pairs.

One JSON object a line, gzip or plain. A line of kind `rr` is a launch group: fresh processes of the
versions of one benchmark, `b`, beside each other; `0` and `0b` are the same code, `3` is slower by
3 %. `rec[version]` is a list of blocks of samples [wall ns, CPU ns, involuntary context switches,
run-queue delay ns]. Any version may be missing, and the fields from the second on. Lines of other
kinds are counted and not used.

A launch is read as the mean of the faster half of its samples, by the best clock that holds for it:

* `clean`, wall time minus run-queue delay: what the process would have taken alone.
* `cpu`, where the delay was not recorded in some launch of the group, or the row is threaded.
* `wall`, where CPU time was not recorded either.

A row is threaded if its CPU time is above its clean time in more than a tenth of its samples. A
process with one thread never uses more CPU time than it had the CPU for, so that only the clocks'
own error can put it there (hence the 2 % of grace); what does is a second thread. It runs while
the first waits for it in the run queue, and such a wait is the program's own time and no delay;
delays summed over threads overlap and may exceed the wall time. So CPU time is what is left, for
all launches of the row: both sides of a pair always go by the same clock.
"""

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np

from groundspeed.stats import FloatArray, faster_half_mean

__all__ = ["SAME", "SLOWDOWNS", "Benchmark", "LaunchesError", "Recording", "read_recording"]

BASE = "0"
SAME = "0b"
SLOWDOWNS = ("1", "2", "3", "5", "10")
"""The versions that are slower, each by so many percent."""

Metric = Literal["clean", "cpu", "wall"]
_Launches: TypeAlias = Mapping[str, FloatArray]

_WALL, _CPU, _DELAY = 0, 1, 3
_FIELDS = 4
_GZIP_MAGIC = b"\x1f\x8b"
# Above what two clocks read one after the other disagree by, below what a second thread adds.
_GRACE = 1.02
_THREADED_SHARE = 0.1


class LaunchesError(Exception):
    """The file cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """The launch pairs of one benchmark.

    Attributes:
        name: As the file calls it.
        metrics: How many launch groups were read by which clock.
        differences: Version -> log(version / base) of each launch group that has both, shape
            (groups,); only versions with enough of them.
    """

    name: str
    metrics: Mapping[Metric, int]
    differences: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A launch group by one clock: version -> time of its launch, 0 or less if it has none."""

    metric: Metric
    times_ns: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a file holds.

    Attributes:
        benchmarks: In the order of their names; at least one has identical code.
        notes: What was left out, a sentence each.
    """

    benchmarks: tuple[Benchmark, ...]
    notes: tuple[str, ...]

    def with_version(self, version: str) -> tuple[Benchmark, ...]:
        """The benchmarks that have launch pairs of base and this version."""
        return tuple(b for b in self.benchmarks if version in b.differences)


def read_recording(path: Path, *, groups_min: int) -> Recording:
    """Read a file of launches.

    Args:
        path: The file.
        groups_min: Launch groups with both base and a version that the version needs to count.

    Raises:
        LaunchesError: If the file cannot be read, is damaged, or has no benchmark with enough
            launch groups of identical code.
    """
    groups: dict[str, list[_Launches]] = {}
    notes: list[str] = []
    unused: Counter[str] = Counter()
    for number, entry in _entries(path):
        if entry.get("kind") == "rr":
            name, launches = _launch_group(entry, where=f"{path}, line {number}")
            groups.setdefault(name, []).append(launches)
        else:
            unused[str(entry.get("kind"))] += 1
    notes += [f"{count} lines of kind {kind!r} are not replayed" for kind, count in unused.items()]
    if not groups:
        raise LaunchesError(f"{path}: got no line of kind 'rr', needed launch groups to replay")
    benchmarks = tuple(
        _benchmark(name, of_name, groups_min=groups_min, notes=notes)
        for name, of_name in sorted(groups.items())
    )
    if not any(SAME in benchmark.differences for benchmark in benchmarks):
        raise LaunchesError(
            f"{path}: got no benchmark with {groups_min} launch groups that have both {BASE!r} and "
            f"{SAME!r}; without identical code there is no false alarm to count"
        )
    return Recording(benchmarks=benchmarks, notes=tuple(notes))


def _entries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every line that is not blank, decoded, and its number from 1."""
    number = 0
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        with gzip.open(path) if is_packed else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _entry(line)
    except ValueError as error:
        raise LaunchesError(f"{path}, line {number}: no JSON object ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise LaunchesError(f"{path}: cannot be read after line {number} ({reason})") from error


def _entry(line: bytes) -> dict[str, Any]:
    entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError(f"got a {type(entry).__name__}")  # noqa: TRY004 - an error of the file
    return entry


def _launch_group(entry: Mapping[str, Any], *, where: str) -> tuple[str, _Launches]:
    """The benchmark's name and version -> samples, shape (samples, fields), of one line."""
    name, recorded = entry.get("b"), entry.get("rec")
    if not (isinstance(name, str) and isinstance(recorded, dict)):
        raise LaunchesError(f"{where}: a launch group needs a name, 'b', and samples, 'rec'")
    launches: dict[str, FloatArray] = {}
    for version, blocks in recorded.items():
        try:
            samples = [sample for block in blocks or () for sample in block]
            if samples:
                launches[version] = _table(samples)
        except (TypeError, ValueError) as error:
            raise LaunchesError(f"{where}: samples of version {version!r}: {error}") from error
    return name, launches


def _table(samples: Sequence[Sequence[float]]) -> FloatArray:
    """The samples with the fields that all of them have."""
    fields = min(_FIELDS, *(len(sample) for sample in samples))
    table = np.array([sample[:fields] for sample in samples], dtype=np.float64)
    if table.ndim != 2 or not fields:  # noqa: PLR2004 - samples and their fields
        raise ValueError("needed lists of numbers, the wall time first")
    if not (np.isfinite(table[:, : _CPU + 1]).all() and (table[:, _WALL] > 0.0).all()):
        raise ValueError("needed wall times above 0, and finite times")
    return table if np.isfinite(table[:, _DELAY:]).all() else table[:, :_DELAY]


def _benchmark(
    name: str, groups: Sequence[_Launches], *, groups_min: int, notes: list[str]
) -> Benchmark:
    is_threaded = _is_threaded(groups)
    read = [_read_group(launches, is_threaded=is_threaded) for launches in groups]
    differences = {version: _differences(read, version) for version in (SAME, *SLOWDOWNS)}
    few = {version: d.size for version, d in differences.items() if d.size < groups_min}
    if few:
        listed = ", ".join(f"{version!r} {count}" for version, count in few.items())
        notes.append(f"{name}: left out for want of launch groups: {listed}")
    lost = sum(time_ns <= 0.0 for group in read for time_ns in group.times_ns.values())
    if lost:
        notes.append(f"{name}: {lost} launches whose time is not above 0 are left out")
    return Benchmark(
        name=name,
        metrics=MappingProxyType(Counter(group.metric for group in read)),
        differences={v: d for v, d in differences.items() if v not in few},
    )


def _is_threaded(groups: Sequence[_Launches]) -> bool:
    tables = [t for launches in groups for t in launches.values() if t.shape[1] == _FIELDS]
    if not tables:
        return False
    samples = np.concatenate(tables)
    clean = samples[:, _WALL] - samples[:, _DELAY]
    return bool((samples[:, _CPU] > _GRACE * clean).mean() > _THREADED_SHARE)


def _read_group(launches: _Launches, *, is_threaded: bool) -> _Read:
    used = {v: launches[v] for v in (BASE, SAME, *SLOWDOWNS) if v in launches}
    metric = _metric(used, is_threaded=is_threaded)
    times_ns = {v: faster_half_mean(_by_metric(table, metric)) for v, table in used.items()}
    return _Read(metric=metric, times_ns=times_ns)


def _metric(launches: _Launches, *, is_threaded: bool) -> Metric:
    fields = min((table.shape[1] for table in launches.values()), default=_FIELDS)
    if fields <= _CPU:
        return "wall"
    return "cpu" if is_threaded or fields <= _DELAY else "clean"


def _by_metric(table: FloatArray, metric: Metric) -> FloatArray:
    match metric:
        case "clean":
            return np.asarray(table[:, _WALL] - table[:, _DELAY])
        case "cpu":
            return table[:, _CPU]
        case "wall":
            return table[:, _WALL]


def _differences(read: Sequence[_Read], version: str) -> FloatArray:
    """log(version / base) of the launch groups in which both could be read."""
    pairs = [(g.times_ns.get(version, 0.0), g.times_ns.get(BASE, 0.0)) for g in read]
    return np.array([math.log(own / base) for own, base in pairs if own > 0.0 and base > 0.0])
