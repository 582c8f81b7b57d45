"""One environment per version: its wheel, its dependencies and what the benchmarks need."""

import hashlib
import json
import os
import platform
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from groundspeed.measure.environments.build import Recipe, WheelRequest, base_interpreter, build
from groundspeed.measure.environments.kept import EnvironmentStore
from groundspeed.measure.environments.model import Side
from groundspeed.measure.suite import SuiteConfig

__all__ = ["environment_key", "site_dirs", "wheel_side"]


def environment_key(sha: str, suite: SuiteConfig, subdir: Path) -> str:
    """The name under which the environment of a commit is kept: all that decides its content."""
    parts = (
        sha,
        sys.implementation.cache_tag,
        platform.python_version(),
        sysconfig.get_platform(),
        os.fspath(base_interpreter()),
        sorted(suite.requirements),
        sorted(suite.environment.items()),
        subdir.as_posix(),
    )
    return f"{sha[:12]}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


def wheel_side(
    request: WheelRequest,
    *,
    suite: SuiteConfig,
    subdir: Path,
    cache: Path,
    say: Callable[[str], None],
) -> Side:
    """Build the environment of a version, or find it in the cache.

    Raises:
        BrokenError: If it cannot be built; the message shows the end of the build's output.
    """
    store = EnvironmentStore(cache)
    recipe = Recipe(request=request, suite=suite, project_dir=request.tree / subdir)
    place = request.tree.parent
    if request.commit is None:
        built = place / "built"
        # A name of its own: several runs may build their working trees at once.
        build(recipe, built, store.log(f"working-tree-{place.parent.name}"), say)
    else:
        built = store.provide(environment_key(request.commit.sha, suite, subdir), recipe, say)
    home = _linked(built, place / "env")
    store.forget_old()
    importable = () if request.version.project.is_buildable else request.version.import_paths
    return Side(tree=request.tree, import_paths=importable, site_dirs=site_dirs(home))


def site_dirs(home: Path) -> tuple[Path, ...]:
    """Where the virtual environment at `home` has its packages."""
    places = {"base": os.fspath(home), "platbase": os.fspath(home)}
    found = (sysconfig.get_path(kind, "venv", vars=places) for kind in ("purelib", "platlib"))
    # lib64 is often a link to lib, and a .pth file must not be run twice.
    return tuple({os.path.realpath(path): Path(path) for path in reversed([*found])}.values())


def _linked(built: Path, link: Path) -> Path:
    """A link to `built`, so that both sides lie at paths of equal length; also marks it as used."""
    try:
        link.symlink_to(built, target_is_directory=True)
    except OSError:
        if sys.platform == "win32":  # links need a privilege there
            return built
        raise
    return link
