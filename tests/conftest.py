"""What every test shares: any order, no network, no colour, folders of its own."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's affair: a limit would be a timed assertion.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# A job in the background of a shell begins with Ctrl-C ignored, and all it starts with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_cache_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Point the user's cache and state somewhere private: no test reads or fills the real ones."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(folder))
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(folder / "state"))
    return folder
