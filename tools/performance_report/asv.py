"""The newest results of asv, as far as a report shows them."""

import ast
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.performance_report.stored import Figure, ReportError

__all__ = ["AsvRow", "AsvRun", "read_asv"]

_UNITS = {"seconds": "s", "unit": "count"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AsvRow:
    """One benchmark at one combination of its parameters.

    Attributes:
        name: As asv shows it, `cache_manager.FirstLevel.time_get(10)`.
        figure: Its value, with asv's 99 % interval where it has one.
    """

    name: str
    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class AsvRun:
    """The results of one commit on one machine."""

    path: Path
    commit: str
    machine: str
    rows: tuple[AsvRow, ...]


def read_asv(folder: Path) -> AsvRun | None:
    """The results that were measured last; None where there are none.

    Raises:
        ReportError: If a file is not what asv writes.
    """
    files = sorted(p for p in folder.glob("*/*.json") if p.name != "machine.json")
    read = [(_read(path), path) for path in files]
    newest = max(read, key=lambda found: (_measured_at(found[0]), found[1].name), default=None)
    if newest is None:
        return None
    data, path = newest
    units = _units(folder / "benchmarks.json")
    try:
        return AsvRun(
            path=path,
            commit=data["commit_hash"],
            machine=str(data["params"].get("cpu", "")),
            rows=tuple(_rows(data, units)),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise _no_results(path, error) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_results(path, error) from None
    if not isinstance(data, dict) or not isinstance(data.get("results"), dict):
        raise _no_results(path, "no table of results")
    return data


def _no_results(path: Path, error: object) -> ReportError:
    return ReportError(
        f"{path}: got a file that holds no results of asv ({error!r}), needed one that `asv run` "
        "wrote; remove it, or name another folder by --asv"
    )


def _measured_at(data: dict[str, Any]) -> float:
    columns = dict(zip(data.get("result_columns", ()), itertools.count(), strict=False))
    place = columns.get("started_at", -1)
    rows = [row for row in data["results"].values() if isinstance(row, list)]
    times = [row[place] for row in rows if 0 <= place < len(row)]
    return float(max((time for time in times if isinstance(time, int | float)), default=0))


def _units(path: Path) -> dict[str, str]:
    """The unit of each benchmark, as `benchmarks.json` has it."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _no_results(path, error) from None
    described = {name: row for name, row in stored.items() if isinstance(row, dict)}
    return {name: str(row.get("unit", "")) for name, row in described.items()}


def _rows(data: dict[str, Any], units: dict[str, str]) -> Iterator[AsvRow]:
    for name, stored in sorted(data["results"].items()):
        row = dict(zip(data["result_columns"], stored, strict=False))
        parameters = itertools.product(*row["params"])
        for place, (values, result) in enumerate(
            zip(parameters, row["result"] or (), strict=False)
        ):
            if not isinstance(result, int | float):
                continue  # failed, or not asked for
            low, high = (_at(row.get(f"stats_ci_99_{end}"), place) for end in "ab")
            called = f"{name}({', '.join(map(_plain, values))})" if values else name
            unit = _UNITS.get(units.get(name, ""), units.get(name, ""))
            yield AsvRow(name=called, figure=Figure(value=result, low=low, high=high, unit=unit))


def _at(values: Any, place: int) -> float | None:
    found = values[place] if isinstance(values, list) and place < len(values) else None
    return float(found) if isinstance(found, int | float) else None


def _plain(value: str) -> str:
    """A parameter's representation; of a number with a point the short one."""
    try:
        number = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value
    return f"{number:g}" if isinstance(number, float) else value
