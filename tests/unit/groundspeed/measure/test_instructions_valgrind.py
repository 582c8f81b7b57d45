"""valgrind from outside: found or missed, its options, and what it writes."""

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.inside.marks import Marks
from groundspeed.measure.instructions.valgrind import (
    counting_launcher,
    find_valgrind,
    options,
    read_dump,
)
from groundspeed.measure.lockstep import Launcher
from groundspeed.measure.machine import CpuPlan

if sys.platform != "linux":
    pytest.skip("valgrind is asked for on Linux only", allow_module_level=True)


def launcher(interpreter: Path, folder: Path) -> Launcher:
    """A launcher of that interpreter, which starts nothing."""
    return Launcher(
        interpreter=interpreter,
        isolated=False,
        sides={},
        benchmark_dir=folder,
        variables={},
        cpus=CpuPlan(),
        folder=folder / "pairs",
        chance=random.Random(1),
    )


def test_a_missing_valgrind_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without valgrind on PATH the message says how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt install valgrind"):
        find_valgrind()


def test_the_valgrind_of_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PATH names is what is run."""
    program = tmp_path / "valgrind"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_valgrind() == program


def test_a_script_is_no_interpreter(tmp_path: Path) -> None:
    """What would be counted is the shell that starts Python, so that is refused."""
    shim = tmp_path / "python"
    shim.write_text("#!/bin/sh\nexec python3\n", "utf-8")
    with pytest.raises(BrokenError, match="is a script"):
        counting_launcher(launcher(shim, tmp_path), Path("valgrind"), tmp_path)


def test_two_checks_draw_the_same_hash_seeds(tmp_path: Path) -> None:
    """Counts of two checks can be laid side by side, for chance is the same in both."""
    plain = launcher(Path(sys.executable), tmp_path)
    one, two = (counting_launcher(plain, Path("valgrind"), tmp_path) for _ in range(2))
    assert one.chance.getstate() == two.chance.getstate()
    assert one.folder != plain.folder


def test_a_percent_sign_in_a_folder_is_no_pattern(tmp_path: Path) -> None:
    """Only the last %p stands for the process."""
    (file,) = (o for o in options(tmp_path / "50%p") if "out-file" in o)
    assert file.endswith("50%%p/%p")


@given(count=st.integers(0, 2**60), before=st.lists(st.from_regex(r"\A[a-z]+: .*\Z"), max_size=3))
def test_the_count_is_read_wherever_the_header_ends(
    count: int, before: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first total counts, whatever stands above it."""
    lines = [f"desc {line}" for line in before]
    file = tmp_path_factory.mktemp("dumps") / "1.1"
    text = "\n".join(
        [*lines, "events: Ir", f"summary: {count}", "", "fn=(1) f", "0 3", "totals: 9"]
    )
    file.write_text(text, "utf-8")
    assert read_dump(file) == count


def test_a_dump_without_count_is_refused(tmp_path: Path) -> None:
    """A file that breaks off is no zero."""
    file = tmp_path / "1.1"
    file.write_text("# callgrind format\nversion: 1\n", "utf-8")
    with pytest.raises(ValueError, match="holds no count"):
        read_dump(file)


def test_marks_number_their_dumps() -> None:
    """Each sample is one dump, and takes no time that could be read."""
    marks = Marks()
    for number in (1, 2, 3):
        marks.start()
        assert set(marks.stop().values()) == {0}
        assert marks.dumps == number
