"""The tutorial and the exit codes, typed in as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

Blocks = list[tuple[str, str, str]]

_TUTORIAL = "docs/tutorial/first-check.md"
_EXIT_CODES = "docs/reference/exit-codes.md"


def _script(blocks: Blocks, page: str) -> str:
    return "\n".join(content for at, kind, content in blocks if at == page and kind == "bash")


def _shown(blocks: Blocks, page: str) -> list[str]:
    return [content for at, kind, content in blocks if at == page and kind == "text"]


def _type(script: str, folder: Path, home: Path) -> str:
    """What a terminal would show, both streams."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.fspath(home),
        "LC_ALL": "C.UTF-8",
        "GROUNDSPEED_CACHE_DIR": os.fspath(home / "cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
    } | {
        f"GIT_{role}_{what}": text
        for role in ("AUTHOR", "COMMITTER")
        for what, text in (("NAME", "A Reader"), ("EMAIL", "reader@example.invalid"))
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _codes(text: str) -> list[int]:
    return [int(code) for code in re.findall(r"^exit code: (\d+)$", text, re.MULTILINE)]


def _verdicts(text: str) -> list[str]:
    return re.findall(r"^(PASS|WARN|BLOCK|INCONCLUSIVE)\b", text, re.MULTILINE)


def _outcomes(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^  (slower|faster|broken|undecided) +(\S+)", text, re.MULTILINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder of one's own."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def typed(blocks: Blocks, home: Path) -> str:
    """What the tutorial shows to who types it into `home`."""
    return _type(_script(blocks, _TUTORIAL), home, home)


@pytest.mark.slow
def test_the_tutorial_ends_as_it_says(typed: str, blocks: Blocks) -> None:
    """Verdicts, changed rows and exit codes are those printed on the page."""
    printed = "\n".join(_shown(blocks, _TUTORIAL))
    assert _codes(printed) == [4, 1, 0]
    assert _codes(typed) == _codes(printed), typed
    assert _verdicts(typed) == _verdicts(printed), typed
    assert set(_outcomes(printed)) <= set(_outcomes(typed)), typed


@pytest.mark.slow
def test_the_tutorial_leaves_records_and_nothing_else(typed: str, home: Path) -> None:
    """A record a verdict, no scratch folder, a repository without a trace."""
    project = home / "wordcount"
    assert len(list((project / "results" / "checks").glob("*.json"))) == len(_verdicts(typed)), (
        typed
    )
    assert list((home / "cache" / "runs").iterdir()) == []
    assert not (project / ".git" / "worktrees").exists()


@pytest.mark.slow
def test_every_exit_code_is_provoked_as_described(
    typed: str, blocks: Blocks, home: Path, tmp_path: Path
) -> None:
    """The commands of exit-codes.md, typed after the tutorial, end with the codes beside them."""
    assert typed
    script = _script(blocks, _EXIT_CODES)
    described = [int(code) for code in re.findall(r"# (\d):", script)]
    assert set(described) == set(range(6))
    project = tmp_path / "wordcount"
    # A copy: the other tests look at what the tutorial left.
    subprocess.run(["cp", "-R", os.fspath(home / "wordcount"), os.fspath(project)], check=True)
    shown = _type(script, project, home)
    assert _codes(shown) == described, shown


def test_the_readme_shows_what_the_tutorial_shows(blocks: Blocks) -> None:
    """One example of a report, in two places."""
    (example,) = _shown(blocks, "README.md")
    assert f"{example}exit code: 1\n" in _shown(blocks, _TUTORIAL)
