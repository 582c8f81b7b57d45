"""Real git repositories, made by the real git program, that no user setting reaches."""

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ASV_CONF = '{"version": 1, "project": "toy", "repo": "."}'
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "groundspeed-test-toy"
version = "1.0"
dependencies = []
"""


class GitProject:
    """A repository under construction; each commit is an hour later than the one before."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.root = root
        self._commits = 0
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """What git writes, without its last newline."""
        when = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=self._commits)).isoformat()
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=os.environ | dates,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, os.fsdecode(done.stderr)
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, files: Mapping[str, str]) -> None:
        """Write `files`, given by name and text, into the working tree."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self, files: Mapping[str, str] | None = None, *, message: str = "change") -> str:
        """Write `files`, commit the whole working tree and give the commit's hash."""
        self.write(files or {})
        self._commits += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def git_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give git an author and a settings file of its own, empty and returned."""
    file = tmp_path_factory.mktemp("settings") / "gitconfig"
    file.touch()
    settings = {
        "GIT_CONFIG_GLOBAL": os.fspath(file),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Author",
        "GIT_AUTHOR_EMAIL": "author@example.org",
        "GIT_COMMITTER_NAME": "Author",
        "GIT_COMMITTER_EMAIL": "author@example.org",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return file


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """An empty repository without a commit."""
    return GitProject(tmp_path / "project")


@pytest.fixture
def toy(project: GitProject) -> GitProject:
    """A pure Python project with an asv suite and one commit."""
    project.commit(
        {
            "pyproject.toml": PYPROJECT,
            "asv.conf.json": ASV_CONF,
            "benchmarks/bench.py": "def time_nothing(): pass\n",
            "src/toy/__init__.py": "SIDE = 'first'\n",
        },
        message="first",
    )
    return project
