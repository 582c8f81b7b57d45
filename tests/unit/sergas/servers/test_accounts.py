"""Whom a server runs as, and what that user can reach."""

import os
from pathlib import Path

import pytest

from sergas.errors import ServerStartError
from sergas.servers._account import borrowed, can_reach, private_base, unprivileged
from sergas.servers._model import Account

_ROOT = Account(name="root", user=0, group=0)
_WHEEL = Account(name="operator", user=11, group=0)
_DAEMON = Account(name="daemon", user=1, group=1)
_NOBODY = Account(name="nobody", user=65534, group=65534)
_STRANGER = Account(name="stranger", user=54321, group=54321)


def test_nobody_is_borrowed_first() -> None:
    """The account that owns nothing is preferred, wherever it is in the list."""
    assert borrowed([_ROOT, _DAEMON, _NOBODY], lambda _: True) == _NOBODY


def test_another_account_serves_where_nobody_does_not() -> None:
    """In a container that does not know nobody the first usable account is taken."""
    assert borrowed([_NOBODY, _DAEMON], lambda account: account != _NOBODY) == _DAEMON


def test_neither_root_nor_its_group_is_ever_borrowed() -> None:
    """Where only root's user or group is left the error says what to do."""
    with pytest.raises(ServerStartError, match="SERGAS_PG_DSN"):
        borrowed([_ROOT, _WHEEL], lambda _: True)


def test_who_is_not_root_needs_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user just runs the server."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged() is None


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "expected"),
    [(0o755, 0o755, True), (0o711, 0o755, True), (0o700, 0o755, False), (0o755, 0o750, False)],
)
def test_a_stranger_reaches_what_others_may(
    open_folder: Path, folder_mode: int, file_mode: int, *, expected: bool
) -> None:
    """Each folder above must let others pass, and the file be readable and executable for them."""
    folder = open_folder / "folder"
    folder.mkdir()
    file = folder / "program"
    file.touch()
    file.chmod(file_mode)
    folder.chmod(folder_mode)
    assert can_reach(file, _STRANGER) is expected


def test_the_owners_rights_count_for_the_owner_alone(open_folder: Path) -> None:
    """Who owns a file is judged by the owner's bits, also where others may more."""
    file = open_folder / "program"
    file.touch()
    file.chmod(0o055)
    status = file.stat()
    owner = Account(name="owner", user=status.st_uid, group=54321)
    member = Account(name="member", user=54321, group=status.st_gid)
    assert not can_reach(file, owner)
    assert can_reach(file, member)
    assert can_reach(file, _STRANGER)


def test_what_is_not_there_is_out_of_reach(open_folder: Path) -> None:
    """A path that does not exist cannot be reached by anybody."""
    assert not can_reach(open_folder / "absent", _STRANGER)
    assert not can_reach(open_folder / "absent", None)


def test_the_first_fit_place_is_taken(open_folder: Path) -> None:
    """Places closed to the server's user, too long for a socket, or absent are passed by."""
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    long = open_folder / ("x" * 60)
    long.mkdir()
    fit = open_folder / "fit"
    fit.mkdir(mode=0o755)
    looked = [open_folder / "absent", long, closed, fit]
    assert private_base(_STRANGER, looked) == fit
    assert private_base(None, looked) == closed
    with pytest.raises(ServerStartError, match="set TMPDIR"):
        private_base(_STRANGER, looked[:3])
