"""Whom a server runs as, what that user can reach, and where its private folder goes.

PostgreSQL refuses to run as root, and no server needs to. Nothing is created and no permission is
changed for it: an account that every system has is borrowed, and what it cannot reach is copied.
"""

import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from sergas.errors import ServerStartError
from sergas.servers._model import Account

__all__ = ["borrowed", "can_reach", "private_base", "unprivileged"]

# A Unix socket's path may have 107 bytes on Linux and 103 on macOS; ours adds at most 40.
_BASE_BYTES_MAX = 60


def unprivileged() -> Account | None:
    """The account to start servers as; None when this process is not root: then as itself.

    Raises:
        ServerStartError: If root can become nobody else here.
    """
    return borrowed(_accounts(), _can_become) if os.geteuid() == 0 else None


def borrowed(accounts: Iterable[Account], can_become: Callable[[Account], bool]) -> Account:
    """The account named nobody if it can be used, else the first that can; never root.

    Raises:
        ServerStartError: If none can.
    """
    ordered = sorted(accounts, key=lambda account: account.name != "nobody")
    for account in ordered:
        if account.user != 0 and account.group != 0 and can_become(account):
            return account
    raise ServerStartError(
        f"server: root may not run one, and none of {len(ordered)} accounts can be used instead; "
        f"start as an ordinary user, or set SERGAS_PG_DSN and SERGAS_REDIS_URL"
    )


def _accounts() -> Iterator[Account]:
    import pwd

    for entry in pwd.getpwall():
        yield Account(name=entry.pw_name, user=entry.pw_uid, group=entry.pw_gid)


def _can_become(account: Account) -> bool:
    """Whether a process may run as `account`: a container may not know all of its users."""
    try:
        ended = subprocess.run(
            ["/bin/sh", "-c", ":"],
            user=account.user,
            group=account.group,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError:
        return False
    return ended.returncode == 0


def can_reach(path: Path, account: Account | None) -> bool:
    """Whether `account` may read and execute `path` and pass each folder above it.

    By owner, group and others, without the account's further groups (it gets none) and without
    access lists. None stands for this process.
    """
    path = path.resolve()
    if account is None:
        return os.access(path, os.R_OK | os.X_OK)
    try:
        above = all(_allows(folder.stat(), account, 0o1) for folder in path.parents)
        return above and _allows(path.stat(), account, 0o5)
    except OSError:
        return False


def _allows(status: os.stat_result, account: Account, wanted: int) -> bool:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == account.user:
        mode >>= 6
    elif status.st_gid == account.group:
        mode >>= 3
    return mode & wanted == wanted


def private_base(account: Account | None, candidates: Sequence[Path] | None = None) -> Path:
    """Where the private folder goes: the first place that is short, writable and within reach.

    Args:
        account: Whom the server runs as.
        candidates: Where to look; the system's temporary folders unless given.

    Raises:
        ServerStartError: If there is none.
    """
    looked = candidates if candidates is not None else _temporary_folders()
    for base in looked:
        if (
            len(os.fsencode(base)) <= _BASE_BYTES_MAX
            and os.access(base, os.W_OK | os.X_OK)
            and _can_pass(base, account)
        ):
            return base
    raise ServerStartError(
        f"server: no place for its folder: {', '.join(map(str, looked))} cannot be written, or not "
        f"reached by {account.name if account else 'this user'}, or have more than "
        f"{_BASE_BYTES_MAX} bytes; set TMPDIR"
    )


def _temporary_folders() -> list[Path]:
    return [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 a private folder is made inside


def _can_pass(folder: Path, account: Account | None) -> bool:
    if account is None:
        return True
    folder = folder.resolve()
    return all(_allows(each.stat(), account, 0o1) for each in (folder, *folder.parents))
