"""A PostgreSQL cluster in a moment: made once, then copied."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from sergas.servers import _commands
from sergas.servers._binaries import Programs
from sergas.servers._server import Home

__all__ = ["make_cluster"]

_INITDB_TIMEOUT_S = 120.0
_PASSWORD = "sergas_password"  # noqa: S105 the name of a file


def make_cluster(home: Home, cache: Path) -> None:
    """Fill `home.data` with a fresh cluster and set `home.password` to its superuser's.

    A copy of the one in `cache` if there is one for these programs; else `initdb` makes it, and
    it is kept there. A cache that cannot be read or written is done without.

    Raises:
        ServerStartError: If initdb fails.
    """
    template = cache / _template_name(home.programs)
    if _is_copied(home, template):
        return
    secret = home.write(home.folder / _PASSWORD, home.password)
    home.keeper.run(_commands.initdb(home.programs, home.data, secret), timeout_s=_INITDB_TIMEOUT_S)
    secret.rename(home.data / _PASSWORD)
    _save(home.data, template)


def _is_copied(home: Home, template: Path) -> bool:
    """Whether the cluster came from `template`; one that is incomplete is removed."""
    if not template.exists():
        return False
    try:
        # A new folder, still this user's: nobody else is inside while its files change hands.
        home.data.rmdir()
        shutil.copytree(template, home.data)
        home.password = (home.data / _PASSWORD).read_text("ascii")
    except (OSError, shutil.Error):
        shutil.rmtree(template, ignore_errors=True)
        shutil.rmtree(home.data, ignore_errors=True)
        home.make("data")
        return False
    home.give_all(home.data)
    return True


def _template_name(programs: Programs) -> str:
    """Different for each build of the programs and each way of asking initdb."""
    status = (programs.folder / "initdb").stat()
    asked = _commands.initdb(programs, Path(), Path())[1:]
    made_of = repr((programs.version, status.st_size, status.st_mtime_ns, asked))
    return f"postgres-{programs.version}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def _save(data: Path, template: Path) -> None:
    """Copy a cluster that has never run to the cache, all of it or nothing."""
    with contextlib.suppress(OSError, shutil.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=template.parent))
        try:
            shutil.copytree(data, fresh / "data")
            os.replace(fresh / "data", template)  # noqa: PTH105 fails if another was quicker
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
