"""What every test shares: any order, no network, no colour, a cache folder of its own."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Point the user cache somewhere private, so that no test reads or fills the real one."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(folder))
    return folder
