import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.errors import UsageError
from groundspeed.model import Acceptance
from groundspeed.store.accepted import add_accepted, parse_accepted, read_accepted

BASE, CANDIDATE = "a" * 40, "b" * 64
ENTRY = Acceptance(
    label="core.time_work(10, 'a')",
    ratio_high=1.523,
    base=BASE,
    candidate=CANDIDATE,
    date="2026-11-22",
    reason="answers are verified",
)
WRITTEN = f"""[[accepted]]
label = "core.time_work(10, 'a')"
ratio-high = 1.523
base = "{BASE}"
candidate = "{CANDIDATE}"
date = 2026-11-22
reason = "answers are verified"
"""


def without(key: str) -> str:
    """The entry without one of its lines."""
    return "".join(line for line in WRITTEN.splitlines(True) if not line.startswith(key))


def test_without_a_file_nothing_is_accepted(tmp_path: Path) -> None:
    """That is how every project begins."""
    assert read_accepted(tmp_path / "results" / "accepted.toml") == ()


def test_an_entry_is_written_as_documented(tmp_path: Path) -> None:
    """A new file has a line that says what it is, then the entry."""
    path = tmp_path / "results" / "accepted.toml"
    add_accepted(path, [ENTRY])
    head, _, rest = path.read_text("utf-8").partition("\n\n")
    assert head.startswith("# ")
    assert rest == WRITTEN
    assert read_accepted(path) == (ENTRY,)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
commits = st.text("0123456789abcdef", min_size=40, max_size=40)
entries = st.builds(
    Acceptance,
    label=texts,
    ratio_high=st.floats(1, 1e9, exclude_min=True),
    base=commits,
    candidate=st.none() | commits,
    date=st.dates().map(str),
    reason=texts,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(entries, max_size=3, unique_by=lambda e: (e.label, e.base)), entries)
def test_what_is_added_comes_back_and_nothing_is_changed(
    before: list[Acceptance], entry: Acceptance
) -> None:
    """Whatever the texts hold; the old file is the beginning of the new one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accepted.toml")
        add_accepted(path, before)
        content = path.read_bytes()
        if entry not in before:
            add_accepted(path, [entry])
            assert path.read_bytes().startswith(content)
            assert read_accepted(path) == (*before, entry)


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_comments_and_order_stay(end: str, tmp_path: Path) -> None:
    """What a person wrote is kept to the byte, with or without a last end of line."""
    path = tmp_path / "accepted.toml"
    path.write_bytes(f"# ours, do not touch\r\n\n{WRITTEN}\n# the end{end}".encode())
    before = path.read_bytes()
    other = replace(ENTRY, label="other", candidate=None)
    add_accepted(path, [other])
    assert path.read_bytes().startswith(before)
    assert read_accepted(path) == (ENTRY, other)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[accepted", "accepted.toml is not valid TOML"),
        ("[[acepted]]", "accepted.toml: unknown key 'acepted'; did you mean accepted?"),
        ("accepted = 1", "accepted is 1; it must be an array of tables"),
        (f"{WRITTEN}ratio = 2", "accepted, number 1: unknown key 'ratio'; did you mean ratio-high"),
        (without("label"), "accepted, number 1: label is missing; add it"),
        (without("reason"), "reason is missing"),
        (without("ratio-high"), "ratio-high is missing"),
        (without("base"), "base is missing"),
        (without("date"), "date is missing"),
        (WRITTEN.replace("1.523", "'1.5'"), "ratio-high is '1.5'; it must be a ratio above 1"),
        (WRITTEN.replace("1.523", "0.5"), "ratio-high is 0.5; it must be a ratio above 1"),
        (WRITTEN.replace("1.523", "inf"), "ratio-high is inf; it must be a ratio above 1"),
        (WRITTEN.replace("1.523", "nan"), "ratio-high is nan; it must be a ratio above 1"),
        (WRITTEN.replace(BASE, "HEAD"), "base is 'HEAD'; it must be the full name of a commit"),
        (WRITTEN.replace(CANDIDATE, "bb"), "candidate is 'bb'; it must be the full name"),
        (WRITTEN.replace("2026-11-22", "'today'"), "date is 'today'; it must be a day without"),
        (WRITTEN.replace("answers are verified", " "), "reason is ' '; it must be a text"),
        (WRITTEN + WRITTEN.replace(BASE, "x"), "accepted, number 2: base is 'x'"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    """Which file, which entry, what was there, what is needed."""
    with pytest.raises(UsageError) as caught:
        parse_accepted(text.encode(), place=Path("results/accepted.toml"))
    assert complaint in str(caught.value)


def test_one_comparison_is_accepted_once(tmp_path: Path) -> None:
    """The second time the file stays, even with another reason."""
    path = tmp_path / "accepted.toml"
    add_accepted(path, [ENTRY])
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"time_work\(10, 'a'\) is accepted there already"):
        add_accepted(path, [replace(ENTRY, reason="other words")])
    assert path.read_bytes() == before


def test_a_broken_file_is_not_added_to(tmp_path: Path) -> None:
    """It is said and left as it is."""
    path = tmp_path / "accepted.toml"
    path.write_text("[[accepted")
    with pytest.raises(UsageError, match="not valid TOML"):
        add_accepted(path, [ENTRY])
    assert path.read_text() == "[[accepted"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A link to nowhere: nothing is accepted, and what to do."""
    path = tmp_path / "accepted.toml"
    path.symlink_to(tmp_path / "gone" / "accepted.toml")
    with pytest.raises(UsageError, match=r"cannot be written: .* make its folder writable"):
        add_accepted(path, [ENTRY])
    assert path.is_symlink()


def test_a_place_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder where the file should be."""
    path = tmp_path / "accepted.toml"
    path.mkdir()
    with pytest.raises(UsageError, match=r"accepted\.toml cannot be read: "):
        read_accepted(path)
