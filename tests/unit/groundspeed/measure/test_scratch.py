import errno
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from groundspeed.errors import BrokenError
from groundspeed.measure.scratch import (
    CACHE_VARIABLE,
    FileLock,
    cache_folder,
    explained,
    remove_tree,
    scratch_folder,
)

_HOLD = """
import sys
from pathlib import Path
from groundspeed.measure.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half.done").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_folder_lives_as_long_as_the_block(tmp_path: Path) -> None:
    """Inside the block the folder is empty and writable, after it nothing is left."""
    with scratch_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x", encoding="utf-8")
    assert list((tmp_path / "runs").iterdir()) == []


def test_folder_goes_when_the_block_fails(tmp_path: Path) -> None:
    """An error passes through and the folder is gone."""
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path) as folder:
        (folder / "missing" / "file").write_text("x", encoding="utf-8")
    assert not folder.exists()


def test_read_only_folders_inside_go_too(tmp_path: Path) -> None:
    """What a benchmark wrote and protected is removed all the same."""
    with scratch_folder(tmp_path) as folder:
        locked = folder / "locked"
        locked.mkdir()
        (locked / "file").write_text("x", encoding="utf-8")
        locked.chmod(0o500)
    assert not folder.exists()


def test_folders_of_the_living_are_left_alone(tmp_path: Path) -> None:
    """Runs at the same time have folders of their own and do not sweep each other's."""
    with ExitStack() as stack:
        folders = [stack.enter_context(scratch_folder(tmp_path)) for _ in range(4)]
        assert len(set(folders)) == 4
        assert all(folder.is_dir() for folder in folders)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_folder_of_a_killed_process_is_swept(tmp_path: Path) -> None:
    """What kill -9 leaves stays while the process lives and goes at the next start."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().rstrip("\n"))
        with scratch_folder(tmp_path):
            assert (left / "half.done").exists()
        process.send_signal(signal.SIGKILL)
    assert (left / "half.done").exists()
    with scratch_folder(tmp_path):
        assert not left.exists()
    assert list((tmp_path / "runs").iterdir()) == []


def test_folder_without_its_lock_file_is_swept(tmp_path: Path) -> None:
    """A folder whose lock file somebody deleted belongs to nobody."""
    orphan = tmp_path / "runs" / "run-00000000"
    orphan.mkdir(parents=True)
    with scratch_folder(tmp_path):
        assert not orphan.exists()


def test_unusable_cache_is_broken_with_the_way_out(tmp_path: Path) -> None:
    """A cache path that cannot be a folder names itself and the variable that moves it."""
    occupied = tmp_path / "occupied"
    occupied.write_text("x", encoding="utf-8")
    with pytest.raises(BrokenError, match=CACHE_VARIABLE) as caught, scratch_folder(occupied):
        pass
    assert os.fspath(occupied) in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_is_explained(tmp_path: Path) -> None:
    """A real ENOSPC becomes an error that says to free space."""
    with (
        pytest.raises(BrokenError, match="free some space"),
        explained(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_forbidden_writes_are_explained(tmp_path: Path, number: int) -> None:
    """Each way a system forbids writing leads to the same advice."""
    with pytest.raises(BrokenError, match="you can write to"), explained(tmp_path):
        raise OSError(number, os.strerror(number), os.fspath(tmp_path))


def test_other_errors_pass_unexplained(tmp_path: Path) -> None:
    """An error that has nothing to do with the disk is not dressed up as one."""
    with pytest.raises(ConnectionResetError), explained(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def test_cache_folder_follows_the_variable(tmp_path: Path) -> None:
    """The variable goes before the platform's place, and empty counts as unset."""
    assert cache_folder({CACHE_VARIABLE: os.fspath(tmp_path)}) == tmp_path
    assert cache_folder({CACHE_VARIABLE: ""}) == cache_folder({})


def test_cache_folder_is_the_platforms_own(own_cache_folder: Path) -> None:
    """Without the variable the platform's cache folder holds ours."""
    assert cache_folder({}).name == "groundspeed"


def test_lock_is_exclusive_and_leaves_no_file(tmp_path: Path) -> None:
    """While one holds the lock no other gets it; afterwards the file is gone."""
    path = tmp_path / "lock"
    first = FileLock.acquire(path, wait=False)
    assert first is not None
    assert FileLock.acquire(path, wait=False) is None
    first.release()
    assert not path.exists()


def test_lock_never_has_two_holders(tmp_path: Path) -> None:
    """Waiters that race for a lock whose file comes and goes still take turns."""
    counter = tmp_path / "counter"
    counter.write_text("0", encoding="utf-8")
    start = threading.Barrier(4)

    def count() -> None:
        start.wait()
        for _ in range(25):
            lock = FileLock.acquire(tmp_path / "lock", wait=True)
            assert lock is not None
            with lock:
                counter.write_text(
                    str(int(counter.read_text(encoding="utf-8")) + 1), encoding="utf-8"
                )

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text(encoding="utf-8") == "100"


def test_a_lock_in_a_missing_folder_fails_and_holds_nothing(tmp_path: Path) -> None:
    """Where the lock file cannot be made, the error is the system's own."""
    with pytest.raises(FileNotFoundError):
        FileLock.acquire(tmp_path / "missing" / "lock", wait=False)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    """Removing a tree twice is as good as once."""
    remove_tree(tmp_path / "never")
    assert not (tmp_path / "never").exists()
