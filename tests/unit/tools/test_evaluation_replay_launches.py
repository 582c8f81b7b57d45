"""Recorded launches: what is read from a file, by which clock, and what is refused."""

import gzip
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tools.evaluation.launches import LaunchesError, read_recording

Sample = Sequence[float | None]
RATIOS = {"0": 1.0, "0b": 1.0, "1": 1.01, "2": 1.02, "3": 1.03, "5": 1.05, "10": 1.10}


def alone(time_ns: float) -> Sample:
    """Sample one thread that had the CPU for itself."""
    return [time_ns, time_ns, 0, 0]


def write(path: Path, groups: Sequence[Mapping[str, Any]]) -> Path:
    """Write launch groups, a JSON object a line, packed if the name says so."""
    text = "".join(json.dumps(group) + "\n" for group in groups).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def launch_group(
    name: str, sample: Callable[[float], Sample] = alone, versions: Sequence[str] = tuple(RATIOS)
) -> dict[str, Any]:
    """Make a launch group of 2 ms samples, two blocks of three a version."""
    rec = {v: [[sample(2e6 * RATIOS[v]) for _ in range(3)] for _ in range(2)] for v in versions}
    return {"kind": "rr", "b": name, "t": 0.0, "rec": rec}


@pytest.mark.parametrize("name", ["launches.jsonl", "launches.jsonl.gz"])
def test_the_ratio_of_a_version_is_what_was_recorded(tmp_path: Path, name: str) -> None:
    """Packed or plain, every launch group gives each version's exact log ratio to base."""
    path = write(tmp_path / name, [launch_group("work") for _ in range(5)])

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.name == "work"
    assert benchmark.metrics == {"clean": 5}
    for version, ratio in RATIOS.items():
        if version != "0":
            expected = pytest.approx([math.log(ratio)] * 5, abs=1e-12)
            assert benchmark.differences[version].tolist() == expected


def test_waiting_for_the_cpu_is_no_part_of_clean_time(tmp_path: Path) -> None:
    """Delays differ between the sides of a pair, the ratio is that of the work."""

    def delayed(time_ns: float) -> Sample:
        delay_ns = 5e6 if time_ns > 2e6 else 0.0
        return [time_ns + delay_ns, time_ns, 1, delay_ns]

    path = write(tmp_path / "a", [launch_group("work", delayed) for _ in range(5)])

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.metrics == {"clean": 5}
    assert benchmark.differences["10"].tolist() == pytest.approx([math.log(1.1)] * 5)


def test_sleep_is_part_of_clean_time(tmp_path: Path) -> None:
    """A program that waits by itself is slower by that, though it takes no CPU time."""
    path = write(tmp_path / "a", [launch_group("work", lambda t: [t, 1e5, 0, 0]) for _ in range(5)])

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.differences["10"].tolist() == pytest.approx([math.log(1.1)] * 5)


@pytest.mark.parametrize(
    ("wall", "delay"),
    [(1.0, 0.4), (1.0, 1.7), (0.5, 0.0)],
    ids=["first thread waits for the second", "delays of all threads", "two cores at once"],
)
def test_threads_are_known_by_their_cpu_time(tmp_path: Path, wall: float, delay: float) -> None:
    """Whatever the row is called: CPU time above clean time is another thread's."""
    path = write(
        tmp_path / "a",
        [
            launch_group("any name", lambda t: [t * wall, t, 0, 2e6 * delay * wall])
            for _ in range(5)
        ],
    )

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.metrics == {"cpu": 5}
    assert benchmark.differences["10"].tolist() == pytest.approx([math.log(1.1)] * 5)


def test_a_row_called_threads_is_read_like_any_other(tmp_path: Path) -> None:
    """The name decides nothing."""
    path = write(tmp_path / "a", [launch_group("threads") for _ in range(5)])

    assert read_recording(path, groups_min=5).benchmarks[0].metrics == {"clean": 5}


@pytest.mark.parametrize(
    ("fields", "metric"),
    [
        (lambda t: [t, t, 0], "cpu"),
        (lambda t: [t, t], "cpu"),
        (lambda t: [t, t, 0, None], "cpu"),
        (lambda t: [t], "wall"),
    ],
    ids=["no delay", "two fields", "delay unknown", "wall only"],
)
def test_without_a_field_the_next_best_clock_is_read(
    tmp_path: Path, fields: Callable[[float], Sample], metric: str
) -> None:
    """CPU time without the delay, wall time without either."""
    path = write(tmp_path / "a", [launch_group("work", fields) for _ in range(5)])

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.metrics == {metric: 5}
    assert benchmark.differences["5"].tolist() == pytest.approx([math.log(1.05)] * 5)


def test_both_sides_of_a_pair_go_by_the_same_clock(tmp_path: Path) -> None:
    """One launch without the delay field has its whole group read by CPU time."""
    half = launch_group("work", lambda t: [t, t / 2, 0, 0])
    half["rec"]["0"] = [[[2e6, 1e6, 0]]]
    path = write(tmp_path / "a", [half] * 5)

    (benchmark,) = read_recording(path, groups_min=5).benchmarks

    assert benchmark.metrics == {"cpu": 5}
    assert benchmark.differences["5"].tolist() == pytest.approx([math.log(1.05)] * 5)


def test_missing_versions_are_left_out_and_told(tmp_path: Path) -> None:
    """A version counts with the launch groups that have it and base, if these are enough."""
    groups = [launch_group("work", versions=["0", "0b", "3"]) for _ in range(4)]
    groups += [launch_group("work", versions=["0", "0b"]), launch_group("work", versions=["3"])]
    groups += [{"kind": "rr", "b": "work", "rec": {"0": [], "0b": [[]], "3": None}}]
    groups += [{"kind": "long", "b": "work", "rec": [[1, 1, 0, 0]]}]
    recording = read_recording(write(tmp_path / "a", groups), groups_min=5)

    assert {v: d.size for v, d in recording.benchmarks[0].differences.items()} == {"0b": 5}
    assert recording.with_version("3") == ()
    assert "'3' 4" in recording.notes[-1]
    assert "1 lines of kind 'long'" in recording.notes[0]


def test_a_launch_without_a_time_is_left_out_and_told(tmp_path: Path) -> None:
    """A clock that went backwards spoils its launch and no other."""
    groups = [launch_group("work") for _ in range(6)]
    groups[0]["rec"]["0b"] = [[[2e6, 2e6 - 1, 0, 3e6]] * 3]
    recording = read_recording(write(tmp_path / "a", groups), groups_min=5)

    assert recording.benchmarks[0].differences["0b"].size == 5
    assert recording.benchmarks[0].differences["10"].size == 6
    assert recording.notes == ("work: 1 launches whose time is not above 0 are left out",)


PACKED = gzip.compress(json.dumps(launch_group("work")).encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no line of kind 'rr'"),
        (b'{"kind": "long", "b": "a", "rec": []}\n', "no line of kind 'rr'"),
        (b'{"kind": "rr", "b"', "line 1: no JSON object"),
        (b"\n[1]\n", "line 2: no JSON object"),
        (b"\x00\xff\xfe", "line 1: no JSON object"),
        (PACKED[:-20], "cannot be read after line"),
        (PACKED[:2], "cannot be read after line 0"),
        (b'{"kind": "rr", "b": "a"}', "line 1: a launch group needs"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [[["x"]]]}}', "samples of version '0'"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [[3, 4]]}}', "samples of version '0'"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [["12"]]}}', "needed lists of numbers"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [[[]]]}}', "needed lists of numbers"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [[[0, 1, 0, 0]]]}}', "wall times above 0"),
        (b'{"kind": "rr", "b": "a", "rec": {"0": [[[NaN, 1, 0, 0]]]}}', "wall times above 0"),
        (json.dumps(launch_group("work")).encode(), "no benchmark with 5 launch groups"),
    ],
)
def test_a_damaged_or_useless_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """One message says which file, where, and what is wrong."""
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(LaunchesError, match=said) as refused:
        read_recording(tmp_path / "file", groups_min=5)

    assert str(refused.value).startswith(str(tmp_path / "file"))


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    """A missing file or a folder is told with the system's reason."""
    with pytest.raises(LaunchesError, match="cannot be read"):
        read_recording(tmp_path / name, groups_min=5)
