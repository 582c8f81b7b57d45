"""Kept environments, of a project that needs no installer, so that each is ready in a moment."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundspeed.errors import BrokenError
from groundspeed.measure.environments.build import Recipe, WheelRequest
from groundspeed.measure.environments.kept import EnvironmentStore
from groundspeed.measure.environments.overlay import read_version
from groundspeed.measure.environments.wheels import environment_key
from groundspeed.measure.repository import Repository
from groundspeed.measure.scratch import FileLock
from groundspeed.measure.suite import find_suite

if TYPE_CHECKING:
    from tests.unit.groundspeed.measure.conftest import GitProject

KEY = "0123456789ab-0123456789ab"


@pytest.fixture
def recipe(project: "GitProject") -> Recipe:
    """What to build of a project without build files: nothing but the environment itself."""
    project.commit({"toy.py": "", "asv.conf.json": "{}", "benchmarks/b.py": ""})
    repository = Repository(project.root)
    request = WheelRequest(
        label="base",
        commit=repository.head(),
        version=read_version(project.root),
        tree=project.root,
    )
    suite = find_suite(project.root, repository)
    return Recipe(request=request, suite=suite, project_dir=project.root)


def names(folder: Path) -> set[str]:
    """Names in a folder."""
    return {path.name for path in folder.iterdir()}


def test_an_environment_is_built_once(tmp_path: Path, recipe: Recipe) -> None:
    """The second request finds what the first built, and no lock or half is left."""
    store = EnvironmentStore(tmp_path)
    said: list[str] = []
    homes = [store.provide(KEY, recipe, said.append) for _ in range(2)]
    assert homes[0] == homes[1]
    assert (homes[0] / "pyvenv.cfg").is_file()
    assert len(said) == 1
    assert names(store.folder) == {KEY}


def test_runs_at_the_same_time_build_it_once(tmp_path: Path, recipe: Recipe) -> None:
    """Who comes while another builds says so, waits, and takes what is there then."""
    store = EnvironmentStore(tmp_path)
    store.folder.mkdir()
    building = FileLock.acquire(store.folder / f"{KEY}.lock", wait=False)
    assert building is not None
    waiting = threading.Semaphore(0)
    said: list[str] = []
    homes: list[Path] = []

    def say(text: str) -> None:
        said.append(text.partition(" ")[0])
        waiting.release()

    def run() -> None:
        homes.append(store.provide(KEY, recipe, say))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=60)
    building.release()
    for thread in threads:
        thread.join()
    assert homes == [store.folder / KEY] * 3
    assert sorted(said) == ["building", "waiting", "waiting", "waiting"]
    assert names(store.folder) == {KEY}


def test_what_an_interrupted_build_left_is_never_used(tmp_path: Path, recipe: Recipe) -> None:
    """A half-built environment is passed over, and removed when no one holds its lock."""
    store = EnvironmentStore(tmp_path)
    half = store.folder / f"{KEY}.0000.building"
    half.mkdir(parents=True)
    (half / "pyvenv.cfg").touch()
    assert store.provide(KEY, recipe, lambda _: None) != half
    store.forget_old()
    assert names(store.folder) == {KEY}


def test_what_another_is_building_is_left_alone(tmp_path: Path) -> None:
    """A half-built environment whose builder lives stays."""
    store = EnvironmentStore(tmp_path)
    half = store.folder / f"{KEY}.0000.building"
    half.mkdir(parents=True)
    lock = FileLock.acquire(store.folder / f"{KEY}.lock", wait=False)
    assert lock is not None
    store.forget_old()
    assert half.is_dir()
    lock.release()
    store.forget_old()
    assert not half.exists()


def test_an_unusable_cache_is_broken(tmp_path: Path, recipe: Recipe) -> None:
    """A cache that cannot hold a folder names itself."""
    (tmp_path / "environments").touch()
    with pytest.raises(BrokenError, match="environments"):
        EnvironmentStore(tmp_path).provide(KEY, recipe, lambda _: None)


def aged(
    folder: Path, suffix: str, ages_s: Iterable[int], make: Callable[[Path], object]
) -> dict[str, int]:
    """Entries of these ages, made by `make`; their ages by name."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, int] = {}
    for index, age_s in enumerate(ages_s):
        path = folder / f"{index:012x}-{index:012x}{suffix}"
        make(path)
        os.utime(path, (2_000_000_000 - age_s,) * 2)
        found[path.name] = age_s
    return found


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ages_s=st.lists(st.integers(1, 10**6), max_size=8, unique=True),
    kept=st.integers(1, 5),
    used=st.sets(st.integers(0, 7)),
)
def test_the_latest_and_the_used_are_kept(
    tmp_path_factory: pytest.TempPathFactory, ages_s: list[int], kept: int, used: set[int]
) -> None:
    """Exactly those used last, and those that a living run links to, survive."""
    cache = tmp_path_factory.mktemp("cache")
    store = EnvironmentStore(cache)
    ages = aged(store.folder, "", ages_s, Path.mkdir)
    linked = {name for index, name in enumerate(ages) if index in used}
    for name in linked:
        place = cache / "runs" / f"run-{name}" / "a"
        place.mkdir(parents=True)
        (place / "env").symlink_to(store.folder / name)
    store.forget_old(kept)
    latest = set(sorted(ages, key=lambda name: ages[name])[:kept])
    assert names(store.folder) == latest | linked


def test_old_logs_go_too(tmp_path: Path) -> None:
    """Logs of failed builds do not pile up."""
    store = EnvironmentStore(tmp_path)
    aged(tmp_path / "logs", ".log", range(5, 0, -1), Path.touch)
    store.folder.mkdir()
    store.forget_old(kept=2)
    assert names(tmp_path / "logs") == {f"{index:012x}-{index:012x}.log" for index in (3, 4)}


def test_a_key_stands_for_all_that_decides_the_content(recipe: Recipe) -> None:
    """Commit, requirements, variables and folder each make another key of the same length."""
    suite = recipe.suite
    changed = (
        replace(suite, requirements=("a",)),
        replace(suite, environment={"A": "1"}),
    )
    keys = [
        environment_key("1" * 40, suite, Path()),
        environment_key("2" * 40, suite, Path()),
        environment_key("1" * 40, suite, Path("python")),
        *(environment_key("1" * 40, other, Path()) for other in changed),
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {25}
    assert environment_key("1" * 40, suite, Path()) == keys[0]
