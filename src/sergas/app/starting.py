"""Starts the service as a process of its own, for tests, measurements and examples."""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sergas.errors import ServerStartError

__all__ = ["RunningService", "start_service"]

_LOOK_EVERY_S = 0.02
_END_S = 30.0
_UNLIMITED = "1000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """A running `sergas serve`.

    Attributes:
        url: Where it listens.
        key: The key of its only client, which no limit of requests holds back.
        process: The process; workers are its children.
        log: Its standard error.
    """

    url: str
    key: str = field(repr=False)
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        """The port."""
        return int(self.url.rpartition(":")[2])

    def end(self) -> int:
        """Tell it to end, wait until it has, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_END_S)


@contextmanager
def start_service(
    *arguments: str, environment: Mapping[str, str] | None = None, within_s: float = 60.0
) -> Iterator[RunningService]:
    """Start `sergas serve` on a free port, and end it with the block.

    Args:
        arguments: More arguments, such as `--database` and its URL, or `--workers`, `2`.
        environment: Beside this process's own; DATABASE_URL and REDIS_URL are not passed on.
        within_s: How long it may take to listen, > 0.

    Raises:
        ServerStartError: If it ends before it listens, or does not listen in time; the message
            has what it said.
    """
    key = secrets.token_urlsafe(24)
    command = (sys.executable, "-m", "sergas.app", "serve", "--port", "0", *arguments)
    with tempfile.TemporaryDirectory(prefix="sergas-") as folder:
        log = Path(folder) / "stderr.txt"
        with log.open("wb") as stderr:
            given = _environment(key, environment or {})
            process = subprocess.Popen(command, env=given, cwd=folder, stderr=stderr)  # noqa: S603 our own program
        try:
            url = _listening(process, log, command, time.monotonic() + within_s)
            yield RunningService(url=url, key=key, process=process, log=log)
        finally:
            process.terminate()
            _ended(process)


def _environment(key: str, more: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    return inherited | {
        "SERGAS_SECRET": secrets.token_hex(32),
        "SERGAS_API_KEYS": f"client:{key}",
        "SERGAS_RATE": _UNLIMITED,
        "SERGAS_BURST": _UNLIMITED,
        # It runs the code that this process runs, wherever that was put on the path.
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
        **more,
    }


def _listening(
    process: subprocess.Popen[bytes], log: Path, command: Sequence[str], deadline_s: float
) -> str:
    while not (found := re.search(r"http://\S+", said := log.read_text(encoding="utf-8"))):
        if process.poll() is not None:
            raise ServerStartError(
                f"service: ended with exit code {process.returncode} before it listened; run"
                f" `{' '.join(command)}` to see why; it said: {said.strip() or 'nothing'}"
            )
        if time.monotonic() > deadline_s:
            raise ServerStartError(
                f"service: it does not listen yet; give it longer, or run `{' '.join(command)}` to"
                f" see why; it said: {said.strip() or 'nothing'}"
            )
        time.sleep(_LOOK_EVERY_S)
    return found.group()


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
