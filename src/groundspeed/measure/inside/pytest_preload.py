"""pytest itself, imported once before the twins are forked.

Both twins would import it anyway, from the same place: it is no part of what is measured. So a
launch pair is spared the second import, and the garbage collector need not walk it in each row.
"""

import contextlib
import importlib
import importlib.util
import os
from typing import Any

__all__ = ["preload"]

_PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")


def preload(sides: dict[str, Any]) -> None:
    """Import pytest and its own plugins, unless a side brings a pytest of its own.

    Other plugins are left alone: pytest rewrites their asserts, which it can do only as it imports
    them itself.
    """
    folders = [
        folder
        for side in sides.values()
        for folder in (side["tree"], *side["import_paths"], *side["site_dirs"])
    ]
    own = any(
        os.path.exists(os.path.join(folder, f"{name}{end}"))  # noqa: PTH110, PTH118 - pathlib costs start-up
        for folder in folders
        for name in _PACKAGES
        for end in ("", ".py")
    )
    if own or importlib.util.find_spec("pytest") is None:
        return
    with contextlib.suppress(ImportError):  # which the suite will tell better
        config = importlib.import_module("_pytest.config")
        for name in config.default_plugins:
            importlib.import_module(f"_pytest.{name}")
