import platform
import sys
from pathlib import Path

import pytest

from groundspeed.measure.environments.declared import Needs
from groundspeed.measure.environments.installed import is_installed, unmet


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions on sys.path: `gs-one` 1.5 with extras, `gs-two` 2.0rc1."""
    metadata = {
        "gs_one-1.5": (
            "Name: gs-one\nVersion: 1.5\nProvides-Extra: more\nProvides-Extra: loop\n"
            "Requires-Dist: gs-missing ; extra == 'more'\n"
            "Requires-Dist: gs-one[loop] ; extra == 'loop'\n"
            "Requires-Dist: gs-two ; extra == 'loop'\n"
        ),
        "gs_two-2.0rc1": "Name: gs-two\nVersion: 2.0rc1\n",
    }
    for name, text in metadata.items():
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\n{text}", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "requirement",
    [
        "gs-one",
        "GS_one>=1,<2",
        "gs.one==1.5",
        "gs-two>=1",
        "gs-one[loop]",
        "gs-missing ; python_version < '3'",
        "gs-missing ; extra == 'never'",
    ],
)
def test_what_is_installed_is_met(requirement: str) -> None:
    """Names in any spelling, pre-releases, extras and markers that do not apply are met."""
    assert list(unmet(Needs(requirements=(requirement,)), None)) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("requirement", "told"),
    [
        ("gs-missing>=1", "gs-missing>=1 is not installed"),
        ("gs-one>=2", "gs-one>=2 is needed, 1.5 is installed"),
        ("gs-one[more]", 'gs-missing; extra == "more" is not installed'),
        ("git+file:///x.git", "cannot be told"),
        ("./local", "cannot be told"),
        ("", "cannot be told"),
    ],
)
def test_what_is_missing_is_told(requirement: str, told: str) -> None:
    """Each unmet requirement gives one phrase: missing, of another version, or not to be known."""
    (phrase,) = unmet(Needs(requirements=(requirement,)), None)
    assert told in phrase


@pytest.mark.parametrize(
    ("python", "met"), [(">=3.11", True), ("", True), ("<3", False), ("no specifier", True)]
)
def test_the_running_python_is_held_to_what_is_declared(python: str, *, met: bool) -> None:
    """A Python outside the declared range is told with both versions."""
    told = list(unmet(Needs(requirements=(), python=python), None))
    assert told == [] if met else platform.python_version() in told[0]


@pytest.mark.usefixtures("installed")
def test_computed_needs_are_asked_of_the_installation() -> None:
    """Where the build files cannot say, the installed project's metadata does."""
    needs = Needs(requirements=(), unknown="setup.py computes install_requires")
    assert list(unmet(needs, "gs-one")) == []
    (told,) = unmet(needs, "gs-missing")
    assert told.startswith("setup.py computes")
    assert list(unmet(needs, None)) == [told]


@pytest.mark.usefixtures("installed")
def test_is_installed() -> None:
    """A name is installed or not; no name never is."""
    assert [is_installed(name) for name in ("gs_one", "gs-missing", None)] == [True, False, False]
