"""Started as a script in the measured interpreter; its one argument is a JSON configuration."""

import importlib
import importlib.util
import json
import os
import sys

_PACKAGE = "groundspeed_inside"


def _load_siblings() -> None:
    """Make this folder importable as a package without putting anything on `sys.path`."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs start-up
    spec = importlib.util.spec_from_file_location(
        _PACKAGE,
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _load_siblings()
    importlib.import_module(f"{_PACKAGE}.twin").launch(json.loads(sys.argv[1]))
