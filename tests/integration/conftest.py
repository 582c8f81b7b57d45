"""The account service as its users meet it: a process of its own behind a socket."""

from collections.abc import Callable, Iterator
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
