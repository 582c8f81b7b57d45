"""What users meet: the account service as a process of its own, and commands in a repository."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from sergas.accounts import SqliteStore
from sergas.accounts.seeding import SeedPlan, seed
from sergas.app.starting import RunningService, start_service

PLAN = SeedPlan(accounts=40, owners=5, seed=7)


Serve = Callable[..., RunningService]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts the service; arguments are those of `sergas serve`, keywords its environment."""
    with ExitStack() as stack:

        def started(*arguments: str, **environment: str) -> RunningService:
            return stack.enter_context(start_service(*arguments, environment=environment))

        yield started


@pytest.fixture(scope="module")
def seeded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with forty accounts."""
    path = tmp_path_factory.mktemp("accounts") / "accounts.db"
    with SqliteStore(path) as store:
        store.migrate()
        seed(store, PLAN)
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, seeded_file: Path) -> RunningService:
    """The service on that file; requests that do not come are given up after a second."""
    return serve("--database", f"sqlite:///{seeded_file}", SERGAS_READ_TIMEOUT_S="1")


RunCommand = Callable[..., subprocess.CompletedProcess[str]]
NewRepository = Callable[[Path, Mapping[str, str]], None]


@pytest.fixture(scope="session")
def run_command() -> RunCommand:
    """Runs a program in a folder, with an author for git and a cache of its own beside it.

    Of pytest's plugins it has those that a project needs: all that are installed here take
    seconds to import.
    """
    identity = {
        f"GIT_{who}_{what}": "toy@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    lean = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "-p benchmark -p groundspeed",
    }

    def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        environment = inherited | identity | lean | {"XDG_CACHE_HOME": str(folder.parent / "cache")}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def new_repository(run_command: RunCommand) -> NewRepository:
    """Writes files to a folder and makes a repository of it, with one commit."""

    def create(folder: Path, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for command in (
            ("init", "--quiet"),
            ("add", "--all"),
            ("commit", "--quiet", "-m", "first"),
        ):
            done = run_command(folder, "git", *command)
            assert done.returncode == 0, done.stderr

    return create
