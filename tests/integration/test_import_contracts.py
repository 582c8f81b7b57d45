import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

GROUNDSPEED = "groundspeed: imports go down only"
SERGAS = "sergas: imports go down only"
APART = "what is measured and what measures do not know each other"
PURE = (
    "the statistics and the records do no input or output and have no clock or chance of their own"
)
RULER = "the ruler does not change with what it measures: benchmarks never import groundspeed"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of the contracts."""
    folder = tmp_path_factory.mktemp("house")
    for name in ("src", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def guest(house: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A module of the copy that one test may change; afterwards it is as it was."""
    path = house / _file(request.param)
    before = path.read_bytes() if path.exists() else None
    yield path
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)


def _file(module: str) -> Path:
    """Where a module's or package's own code is, seen from the root."""
    place = Path(*module.split("."))
    if module != "benchmarks":
        place = "src" / place
    return place / "__init__.py" if (ROOT / place).is_dir() else place.with_suffix(".py")


def broken_contracts(house: Path) -> set[str]:
    """The names of the contracts that import-linter finds broken in the copy."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=house,
        env=os.environ | {"PYTHONPATH": os.fspath(house / "src"), "COLUMNS": "500"},
        capture_output=True,
        check=False,
        text=True,
    )
    summary = re.search(r"^Contracts: (\d+) kept, (\d+) broken\.$", done.stdout, re.MULTILINE)
    assert summary, f"import-linter came to no conclusion: {done.stdout}{done.stderr}"
    broken = set(re.findall(r"^(.+) BROKEN\b", done.stdout, re.MULTILINE))
    assert done.returncode == bool(broken)
    assert len(broken) == int(summary[2])
    return broken


def test_the_house_keeps_its_contracts(house: Path) -> None:
    """Nothing is broken before anything is broken on purpose."""
    assert broken_contracts(house) == set()


@pytest.mark.parametrize(
    ("guest", "imported", "contract"),
    [
        ("groundspeed.check", "groundspeed.cli", GROUNDSPEED),
        ("groundspeed.report", "groundspeed.cli", GROUNDSPEED),
        ("groundspeed.check", "groundspeed.report", GROUNDSPEED),
        ("groundspeed.report", "groundspeed.check", GROUNDSPEED),
        ("groundspeed.measure", "groundspeed.check", GROUNDSPEED),
        ("groundspeed.store", "groundspeed.report", GROUNDSPEED),
        ("groundspeed.measure", "groundspeed.store", GROUNDSPEED),
        ("groundspeed.store", "groundspeed.measure", GROUNDSPEED),
        ("groundspeed.stats", "groundspeed.measure", GROUNDSPEED),
        ("groundspeed.model", "groundspeed.stats", GROUNDSPEED),
        ("groundspeed.units", "groundspeed.stats", GROUNDSPEED),
        ("groundspeed.model", "groundspeed.units", GROUNDSPEED),
        ("groundspeed.units", "groundspeed.model", GROUNDSPEED),
        ("groundspeed.errors", "groundspeed.model", GROUNDSPEED),
        ("groundspeed.errors", "groundspeed.units", GROUNDSPEED),
        ("sergas.errors", "sergas.clock", SERGAS),
        ("sergas.clock", "sergas.optimizations", SERGAS),
        ("sergas.errors", "sergas.optimizations", SERGAS),
        ("sergas.optimizations", "groundspeed.units", APART),
        ("groundspeed.measure", "sergas.clock", APART),
        ("groundspeed.stats", "json", PURE),
        ("groundspeed.stats", "os", PURE),
        ("groundspeed.stats", "time", PURE),
        ("groundspeed.stats", "random", PURE),
        ("groundspeed.model", "pathlib", PURE),
        ("benchmarks", "groundspeed.stats", RULER),
    ],
    indirect=["guest"],
    ids=lambda value: "" if " " in value else value,
)
def test_an_import_in_the_wrong_direction_is_caught(
    house: Path, guest: Path, imported: str, contract: str
) -> None:
    """Each arrow, broken once on purpose, breaks its own contract and no other."""
    with guest.open("a", encoding="utf-8") as module:
        module.write(f"\nimport {imported}\n")
    assert broken_contracts(house) == {contract}


@pytest.mark.parametrize(
    ("guest", "contract"),
    [("groundspeed.surprise", GROUNDSPEED), ("sergas.surprise", SERGAS)],
    indirect=["guest"],
    ids=["groundspeed", "sergas"],
)
def test_a_module_in_no_layer_is_caught(house: Path, guest: Path, contract: str) -> None:
    """Whoever adds a module must say where it stands."""
    guest.write_text('"""Nobody knows where this belongs."""\n', encoding="utf-8")
    assert broken_contracts(house) == {contract}
