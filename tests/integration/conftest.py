"""The account service as its users meet it: a process of its own behind a socket."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sergas.accounts import SqliteStore
from sergas.accounts.seeding import SeedPlan, seed

KEY = "a-key-for-tests-only"
SECRET = "s" * 32
PLAN = SeedPlan(accounts=40, owners=5, seed=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running `sergas serve`.

    Attributes:
        url: Where it listens.
        process: The process; its standard error is a file.
        log: That file.
        key: The key of its only client, `tester`.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    key: str = KEY

    @property
    def port(self) -> int:
        """The port."""
        return int(self.url.rpartition(":")[2])

    def end(self) -> int:
        """Tell it to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


Serve = Callable[..., Service]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts the service; arguments are those of `sergas serve`, keywords its environment."""
    with ExitStack() as stack:

        def started(*arguments: str, **environment: str) -> Service:
            folder = tmp_path_factory.mktemp("service")
            log = folder / "stderr.txt"
            given = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
            given |= {"SERGAS_SECRET": SECRET, "SERGAS_API_KEYS": f"tester:{KEY}"}
            given |= {"SERGAS_RATE": "1000000", "SERGAS_BURST": "1000000", **environment}
            command = [sys.executable, "-m", "sergas.app", "serve", "--port", "0", *arguments]
            with log.open("wb") as stderr:
                process = subprocess.Popen(command, env=given, cwd=folder, stderr=stderr)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            while not (found := re.search(r"http://\S+", log.read_text())):
                assert process.poll() is None, log.read_text()
            return Service(url=found.group(), process=process, log=log)

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
def service(serve: Serve, seeded_file: Path) -> Service:
    """The service on that file; requests that do not come are given up after a second."""
    return serve("--database", f"sqlite:///{seeded_file}", SERGAS_READ_TIMEOUT_S="1")
