"""A project's pytest tests inside a twin: which use the `benchmark` fixture, and one of them run.

pytest collects once in each twin, as the project configures it. A row is one test, run by pytest's
own protocol in a process of its own: every fixture, of whatever scope, is set up and torn down
there. Where the test calls its `benchmark` fixture, the controller takes over (`pytest_row`).
"""

import importlib.machinery
import importlib.util
import os
import site
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .asv_suite import imported_files
from .channel import Channel
from .marker import MarkerError, read_marker

if TYPE_CHECKING:
    import pytest

__all__ = ["PytestSuite"]

_NEEDED = {"pytest": "pytest", "pytest_benchmark": "pytest-benchmark"}
_MARKER = "groundspeed"


class PytestSuite:
    """The tests of one side, collected.

    Args:
        side: `site_dirs`, `import_paths` and `hidden_paths` as for any suite, `tree` (where its
            files are), `packages` (top-level names that the project itself provides), and `foreign`
            (prefixes that must not be imported from).
        configuration: `folder`, where pytest is run, and `rootdir`, both seen from the tree;
            `arguments` of pytest; `ruler`, the files and folders that are the same on both sides.
    """

    def __init__(self, side: dict[str, Any], configuration: dict[str, Any]) -> None:
        self._side = side
        self._ruler = tuple(os.path.join(side["tree"], path) for path in configuration["ruler"])  # noqa: PTH118 - pathlib costs start-up in each launch
        self._folder = os.path.normpath(os.path.join(side["tree"], configuration["folder"]))  # noqa: PTH118
        self._items: dict[str, pytest.Item] = {}
        self._errors: list[dict[str, str]] = []
        self._markers: dict[str, dict[str, Any]] = {}
        self.refusal: str | None = None
        self._make_importable()
        self.refusal = _what_is_missing()
        if self.refusal is None:
            # A project's filters must not make errors of what the twin itself does.
            with warnings.catch_warnings():
                self._collect(configuration)

    def _make_importable(self) -> None:
        side = self._side
        for folder in side["site_dirs"]:
            site.addsitedir(folder)
        kept = [path for path in sys.path if path not in side["hidden_paths"]]
        # Last comes what `python -m pytest` would put first: the folder it is run in.
        sys.path[:] = [*side["import_paths"], *kept, self._folder]
        if side["site_dirs"]:
            sys.meta_path.insert(0, _Installed(side["packages"], side["site_dirs"]))

    def _collect(self, configuration: dict[str, Any]) -> None:
        import _pytest.config
        import pytest

        from .pytest_plugin import GatePlugin, describe_failure

        os.environ.pop("PYTEST_XDIST_WORKER", None)
        os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103
        os.chdir(self._folder)
        rootdir = os.path.normpath(os.path.join(self._side["tree"], configuration["rootdir"]))  # noqa: PTH118
        arguments = [*configuration["arguments"], f"--rootdir={rootdir}", "-p", "no:groundspeed"]
        self._plugin = GatePlugin()
        sys.argv = ["pytest", *configuration["arguments"]]
        try:
            # What pytest.main does up to its run of the tests, which the controller takes over.
            config = _pytest.config._prepareconfig(arguments, [self._plugin])  # noqa: SLF001
            session = pytest.Session.from_config(config)
            config._do_configure()  # noqa: SLF001
            if hasattr(config, "_benchmarksession"):
                config.hook.pytest_sessionstart(session=session)
                config.hook.pytest_collection(session=session)
                self._keep(session.items)
                importlib.import_module(".pytest_row", __package__)  # once, and not by each row
            else:
                self.refusal = _NOT_ACTIVE
        except (pytest.UsageError, MarkerError) as error:
            told = "\n".join(str(part) for part in error.args)
            tree = self._side["tree"]
            self.refusal = told.replace(f"{tree}{os.sep}", "").replace(tree, ".")
        except BaseException as error:  # noqa: BLE001 - a conftest.py may raise anything, exit too
            self._errors.append({"module": _place(error, rootdir), **describe_failure(error)})
        self._errors += self._plugin.errors

    def _keep(self, items: "Sequence[pytest.Item]") -> None:
        for item in items:
            if "benchmark" not in getattr(item, "fixturenames", ()):
                continue
            marks = [(mark.args, mark.kwargs) for mark in item.iter_markers(_MARKER)]
            self._markers[item.nodeid] = read_marker(item.nodeid, marks)
            self._items.setdefault(item.nodeid, item)

    def describe(self) -> dict[str, Any]:
        """What the controller needs to know of this side before anything is measured.

        Beside what any suite says, `refusal` is why pytest does not run at all (a wrong argument, a
        plugin that is missing), a text for the user; None where it does.
        """
        return {
            "rows": list(self._rows()),
            "errors": self._errors,
            "threads": threading.active_count() - 1,
            "refusal": self.refusal,
            **self._origins(),
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for name in self._items:
            marker = self._markers[name]
            yield {
                "name": name,
                "kind": "scenario" if marker.get("scenario") else "time",
                "unit": None,
                "index": None,
                "parameters": [],
                "timeout_s": None,
                "cache_key": None,
                "cache_timeout_s": None,
                "marker": marker,
            }

    def _origins(self) -> dict[str, list[str]]:
        """The project's own packages among the imported modules, and files of another side."""
        side = self._side
        tree, foreign = os.path.join(side["tree"], ""), tuple(side["foreign"])  # noqa: PTH118
        files = imported_files()
        installed = tuple(os.path.join(folder, "") for folder in side["site_dirs"])  # noqa: PTH118
        own = {
            name.partition(".")[0]
            for name, file in files.items()
            if (file.startswith(tree) and not self._is_ruler(file))
            or (file.startswith(installed) and name.partition(".")[0] in side["packages"])
        }
        strange = {
            file
            for file in files.values()
            if file.startswith(foreign)
            and not file.startswith((tree, *installed))
            and "site-packages" not in file
        }
        return {"own_packages": sorted(own), "foreign_files": sorted(strange)}

    def _is_ruler(self, file: str) -> bool:
        return any(file == path or file.startswith(f"{path}{os.sep}") for path in self._ruler)

    def run_row(self, channel: Channel, request: dict[str, Any]) -> None:
        """Run one test, with the controller in the place of its `benchmark` fixture."""
        from .pytest_row import RowOfTest

        if self.refusal is not None:
            raise RuntimeError(self.refusal)
        item = self._items[request["name"]]
        scratch, process = os.getcwd(), os.getpid()  # noqa: PTH109
        is_scenario = self._markers[item.nodeid].get("scenario", False)
        row = RowOfTest(channel, item, method="scenario" if is_scenario else request["method"])
        row.take_over_fixture()
        _use_as_temporary(item.config, os.path.join(scratch, "tmp"))  # noqa: PTH118
        os.chdir(self._folder)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if os.getpid() != process:
            os._exit(0)  # the test forked, and this is its child: it must not speak for it
        row.conclude(self._plugin.failure, self._plugin.skip_reason)

    def make_cache(self, channel: Channel, request: dict[str, Any]) -> None:
        """Tests share nothing between processes; there is none to make."""
        raise NotImplementedError(f"{request['name']}: a pytest test has no setup_cache")


_NOT_ACTIVE = (
    "pytest-benchmark is installed but not active; take `-p no:benchmark` out of the arguments and "
    "addopts, or unset PYTEST_DISABLE_PLUGIN_AUTOLOAD"
)


def _what_is_missing() -> str | None:
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if not missing:
        return None
    return (
        f"{' and '.join(missing)} cannot be imported in the measured interpreter "
        f"({sys.executable}); install what is missing: "
        f"{sys.executable} -m pip install {' '.join(missing)}"
    )


def _place(error: BaseException, rootdir: str) -> str:
    """The file that could not be imported, seen from the root, where the error names one."""
    path = getattr(error, "path", None)
    return os.path.relpath(path, rootdir) if isinstance(path, os.PathLike) else "the tests"


def _use_as_temporary(config: "pytest.Config", folder: str) -> None:
    """Let `tmp_path` lie in the row's own folder, which is removed with it."""
    import pathlib

    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory._given_basetemp = pathlib.Path(folder)  # noqa: SLF001 - the option is read only once
        factory._basetemp = None  # noqa: SLF001


class _Installed(importlib.machinery.PathFinder):
    """Finds the project's own packages where they are installed.

    pytest puts the root of a flat project first on `sys.path`, where the sources lie: of a package
    that is built, they are not what is to be measured.
    """

    def __init__(self, packages: Sequence[str], folders: Sequence[str]) -> None:
        self._packages = frozenset(packages)
        self._folders = list(folders)

    # typing.override came with Python 3.12; a finder may be an object as well as a class.
    def find_spec(  # type: ignore[override, explicit-override]
        self, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of an own package; None leaves the rest to the usual finders."""
        if path is not None or fullname not in self._packages:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, self._folders, target)
