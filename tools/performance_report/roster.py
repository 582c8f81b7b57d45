"""Which tests the suite has, read from its files, and which section of the report each belongs to.

The files are parsed, not imported: a report needs neither what the tests import nor their servers.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tools.performance_report.stored import ReportError

__all__ = ["SECTIONS", "Test", "read_roster", "section_of"]

SECTIONS = MappingProxyType(
    {
        "load": "Under load",
        "memory": "Memory and CPU",
        "latency": "Latency",
        "scalability": "Scalability",
        "optimizations": "The four modules at work",
        "briefs": "Ingestion, search and briefs",
        "sdk": "SDK and REST",
        "other": "Other tests",
    }
)
"""Sections that tests belong to, in the report's order, with their titles."""

_FILES = {
    "test_load": "load",
    "test_latency": "latency",
    "test_scalability": "scalability",
    "test_memory_performance": "briefs",
    "test_sdk_performance": "sdk",
}
_CLASSES = {
    "TestMemoryProfiling": "memory",
    "TestCPUProfiling": "memory",
    "TestConnectionPooling": "optimizations",
    "TestCacheEffectiveness": "optimizations",
    "TestResourceUsage": "memory",
    "TestMemoryPerformance": "memory",
    "TestScalability": "scalability",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test of the suite, in the order of its file.

    Attributes:
        fullname: As pytest-benchmark stores it, `tests/performance/test_load.py::TestX::test_y`.
        first_line: What its docstring says first; empty without one.
    """

    fullname: str
    first_line: str = ""


def section_of(fullname: str) -> str:
    """The key of the section that a test belongs to; `other` of tests that are not known."""
    path, _, rest = fullname.partition("::")
    named = rest.partition("::")[0]
    return _CLASSES.get(named) or _FILES.get(Path(path).stem, "other")


def read_roster(folder: Path, *, prefix: str) -> tuple[Test, ...]:
    """The tests of a folder's `test_*.py`.

    Args:
        folder: Where they are.
        prefix: The folder as pytest names it, from the root of the repository.

    Raises:
        ReportError: If there is none, or a file is no Python.
    """
    found: list[Test] = []
    for path in sorted(folder.glob("test_*.py")):
        try:
            module = ast.parse(path.read_text(encoding="utf-8"), filename=path.name)
        except (OSError, SyntaxError, ValueError) as error:
            raise ReportError(f"{path}: cannot be read as Python ({error})") from None
        found += _tests(module, f"{prefix}/{path.name}")
    if not found:
        raise ReportError(
            f"{folder}: got no test, needed the performance suite's files; run this at the root of "
            "the repository, or name their folder by --tests"
        )
    return tuple(found)


def _tests(scope: ast.Module | ast.ClassDef, name: str) -> Iterator[Test]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests(node, f"{name}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            lines = (ast.get_docstring(node) or "").splitlines()
            yield Test(fullname=f"{name}::{node.name}", first_line=lines[0] if lines else "")
