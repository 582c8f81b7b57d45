"""A project's tests in a real twin, collected by the real pytest, each row a real process."""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from groundspeed.measure.inside import launch
from groundspeed.measure.inside.channel import Channel

if sys.platform == "win32":
    pytest.skip("launch twins need fork", allow_module_level=True)

INSIDE = Path(launch.__file__).parent

# One side of a launch pair, as `twin.launch` forks it.
HOST = f"""
import importlib, json, runpy, socket, sys
runpy.run_path({str(INSIDE / "launch.py")!r}, run_name="loaded")["_load_siblings"]()
inside = lambda name: importlib.import_module(f"groundspeed_inside.{{name}}")
configuration = json.loads(sys.argv[1])
inside("processes").silence()
inside("twin").Twin(
    inside("channel").Channel(socket.socket(fileno=configuration["descriptor"])),
    configuration,
    lambda: inside("pytest_suite").PytestSuite(configuration["side"], configuration["pytest"]),
).serve()
"""

TOY = """\
def work(n): return sum(range(n))
async def work_async(n): return sum(range(n))
"""

# Everything in it is in the way of measuring, and none of it may be.
PYPROJECT = '''\
[project]
name = "toy"
version = "1"

[tool.pytest.ini_options]
addopts = """
  --benchmark-skip --benchmark-disable --benchmark-autosave --maxfail=1 -x --lf --setup-plan
  --cov=toy --reruns=3 --timeout=1 --strict-markers --strict-config
"""
testpaths = ["tests"]
filterwarnings = ["error"]
'''

CONFTEST = """\
import pytest

def pytest_addoption(parser):
    parser.addoption("--cov", dest="cov_source", action="append", default=[])
    parser.addoption("--reruns", type=int)

def pytest_configure(config):
    assert config.option.cov_source == []

@pytest.fixture(scope="session")
def size():
    print("a fixture may print")
    return 50

@pytest.fixture
def late():
    yield
    raise OSError("cannot close")

@pytest.fixture
def told(benchmark):
    yield
    benchmark.extra_info["told"] = "when torn down"
    benchmark.extra_info["late"] = 7
"""

CALIBRATED = """\
import functools, gc, os, random, sys, time
import pytest, toy

def test_plain(benchmark, size):
    assert benchmark.enabled
    assert benchmark(toy.work, size) == 1225
    assert 0 < benchmark.stats["min"] <= benchmark.stats["mean"] <= benchmark.stats["max"] < 1
    assert benchmark.enabled

@pytest.mark.parametrize("n", [1, 2])
def test_each(benchmark, n):
    assert benchmark(toy.work, n=n) == n - 1

class TestClass:
    def test_method(self, benchmark): benchmark(sum, [1])

def test_async(benchmark): assert benchmark(toy.work_async, 4) == 6

def test_async_partial(benchmark): assert benchmark(functools.partial(toy.work_async, 4)) == 6

def test_hidden_coroutine(benchmark): benchmark(lambda: toy.work_async(4))

@pytest.mark.benchmark(timer=time.process_time)
def test_own_timer(benchmark): benchmark(sum, [1])

@pytest.mark.benchmark(disable_gc=True)
def test_without_gc(benchmark):
    assert benchmark(gc.isenabled) is False
    assert gc.isenabled()

def test_records(benchmark, told):
    benchmark(sum, [1])
    benchmark.extra_info.update(host="here", ok=True, deep={"p99": 2, "nan": float("nan")})

def test_loud(benchmark):
    benchmark(print, "loud")
    os.write(1, b"loud")

def test_where(benchmark, tmp_path, request):
    benchmark(sum, [1])
    assert os.getcwd() == str(request.config.rootpath)
    assert os.environ["ROW_FOLDER"] in str(tmp_path)

def test_seed(benchmark):
    benchmark(sum, [1])
    benchmark.extra_info["drawn"] = random.random()

def test_argv(benchmark):
    benchmark(sum, [1])
    assert sys.argv[0] == "pytest"

def test_no_benchmark(): raise SystemExit
"""

PEDANTIC = """\
import pytest

LOG = []

@pytest.mark.parametrize("k", [1])
def test_rounds(benchmark, k):
    def setup():
        LOG.append("setup")
        return (k,), {}
    def target(x):
        LOG.append("call")
        return x
    def teardown(x):
        assert x == k
        LOG.append("teardown")
    given = benchmark.pedantic(target, setup=setup, teardown=teardown, rounds=4, warmup_rounds=2)
    assert given == k
    assert LOG == ["setup", "call", "teardown"] * (len(LOG) // 3)
    assert benchmark.stats["rounds"] == len(LOG) // 3 - 2
    benchmark.extra_info["rounds"] = len(LOG) // 3

def test_iterations(benchmark):
    benchmark.pedantic(LOG.append, args=(1,), rounds=3, iterations=5)
    assert len(LOG) % 5 == 0

def test_once(benchmark):
    items = [1]
    assert benchmark.pedantic(items.pop) == 1

def test_used_up(benchmark):
    made = benchmark.pedantic(lambda x: x.pop(), setup=lambda: (([1],), {}), rounds=9)
    assert made == 1

def test_setup_and_iterations(benchmark):
    benchmark.pedantic(sum, setup=lambda: None, iterations=2)

def test_setup_and_arguments(benchmark):
    benchmark.pedantic(sum, args=([1],), setup=lambda: (([1],), {}))
"""

ENDINGS = """\
import os, sys
import pytest

def test_fails_first(benchmark):
    assert not benchmark, "not ready"

def test_fails_inside(benchmark): benchmark(lambda: 1 / 0)

def test_fails_after(benchmark):
    benchmark(sum, [1])
    raise ValueError("wrong result")

def test_fails_in_setup(nothing_of_that_name, benchmark): pass

def test_fails_in_teardown(late, benchmark): benchmark(sum, [1])

def test_twice(benchmark):
    benchmark(sum, [1])
    benchmark(sum, [1])

def test_exits(benchmark): benchmark(sys.exit, 3)

def test_crashes(benchmark): benchmark(os.abort)

def test_stops_pytest(benchmark): pytest.exit("enough")

@pytest.mark.skip(reason="not here")
def test_marked_skip(benchmark): benchmark(sum, [1])

def test_skips_itself(benchmark): pytest.skip("no server")

@pytest.mark.xfail(reason="a known bug")
def test_expected_to_fail(benchmark): benchmark(sum, [1])

def test_never_calls(benchmark): pass

def test_skips_afterwards(benchmark):
    benchmark(sum, [1])
    pytest.skip("measured all the same")

def test_forks(benchmark):
    benchmark(sum, [1])
    if os.fork() == 0:
        return
"""

SCENARIOS = """\
import pytest

LOG = []

@pytest.mark.groundspeed(scenario=True, metrics={"latency_s.p99": "lower"}, min_effect="2%")
def test_scenario(benchmark):
    def run(size):
        LOG.append(bytearray(size))
        return "done"
    assert benchmark(run, 50_000_000) == "done"
    assert len(LOG) == 1
    benchmark.extra_info["latency_s"] = {"p99": 0.5}

@pytest.mark.groundspeed(scenario=True)
def test_async_scenario(benchmark):
    async def run(): LOG.append("run")
    benchmark(run)
    assert LOG == ["run"]

@pytest.mark.groundspeed(scenario=True)
def test_pedantic_scenario(benchmark):
    def setup(): LOG.append("setup")
    def run(): LOG.append("run")
    def teardown(): LOG.append("teardown")
    benchmark.pedantic(run, setup=setup, teardown=teardown, rounds=5, warmup_rounds=5)
    assert LOG == ["setup", "run", "teardown"]

@pytest.mark.groundspeed(scenario=True)
def test_failing_scenario(benchmark): benchmark(lambda: 1 / 0)
"""

GOOD: Mapping[str, str] = {
    "pyproject.toml": PYPROJECT,
    "src/toy.py": TOY,
    "tests/conftest.py": CONFTEST,
    "tests/test_calibrated.py": CALIBRATED,
    "tests/test_pedantic.py": PEDANTIC,
    "tests/deep/test_endings.py": ENDINGS,
    "tests/test_scenarios.py": SCENARIOS,
    "tests/test_broken.py": "import nothing_of_that_name\n",
    "tests/test_exiting.py": "raise SystemExit(3)\n",
}


class Row:
    """The controller's end of one row."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.loops = 1

    def hear(self) -> dict[str, Any] | None:
        """The next answer."""
        return self.channel.receive()

    def ask(self, **request: Any) -> dict[str, Any]:
        """A request and its answer."""
        self.channel.send(request)
        answer = self.channel.receive()
        assert answer is not None
        return answer

    def calibrated(self) -> dict[str, Any]:
        """The answer to calibrating, once set up."""
        assert self.hear() == {"skipped": False}
        return self.ask(op="calibrate", target_ns=100_000)

    def sampled(self, count: int = 2) -> dict[str, Any]:
        """The last answer after a few samples, as in a launch pair; calibrated on the way."""
        loops = self.calibrated()["loops"]
        answer = self.ask(op="sample", loops=loops, count=count)
        assert len(answer["samples"]) == count
        return self.ask(op="quit")


class Side:
    """One side's twin and what it found."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        installed: Sequence[str] = (),
        import_in_row: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        ours, theirs = socket.socketpair()
        tree = folder / "tree"
        configuration = {
            "descriptor": theirs.fileno(),
            "import_in_row": import_in_row,
            "describe": True,
            "side": {
                "tree": str(tree),
                "import_paths": [] if installed else [str(tree / "src")],
                "site_dirs": [str(folder / "site")] if installed else [],
                "hidden_paths": [],
                "packages": list(installed),
                "foreign": [f"{folder}/other/"],
            },
            "pytest": {
                "folder": ".",
                "rootdir": ".",
                "arguments": list(arguments),
                "ruler": ["tests", "pyproject.toml"],
            },
        }
        self.rows_folder = folder / "rows"
        self.rows_folder.mkdir(exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        inherited |= {"PYTHONHASHSEED": "7", "ROW_FOLDER": str(self.rows_folder)}
        inherited |= variables or {}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", HOST, json.dumps(configuration)],
                cwd=folder,
                pass_fds=[theirs.fileno()],
                env=inherited,
            )
        self.channel = Channel(ours)
        description = self.channel.receive()
        assert description is not None, "the twin ended"
        self.description = description
        self._rows: list[Row] = []

    def row(self, name: str, method: str = "timed") -> Row:
        """Fork the row of this name, or of the only one that ends with it."""
        (known,) = {r["name"] for r in self.description["rows"] if r["name"].endswith(name)}
        folder = Path(tempfile.mkdtemp(dir=self.rows_folder))
        request = {"op": "row", "name": known, "index": None, "method": method, "cpus": []}
        line = json.dumps({**request, "folder": str(folder)}).encode() + b"\n"
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.channel.end, [line], [theirs.fileno()])
        answer = self.channel.receive()
        assert answer is not None
        self.last_pid: int = answer["pid"]
        self._rows.append(Row(Channel(ours)))
        return self._rows[-1]

    def end_rows(self) -> None:
        """Leave every row."""
        while self._rows:
            self._rows.pop().channel.end.close()

    def status(self) -> int:
        """How the last row's process ended."""
        self.channel.send({"op": "status", "pid": self.last_pid})
        answer = self.channel.receive()
        assert answer is not None
        status: int = answer["status"]
        return status

    def close(self) -> None:
        """End the twin, which ends when nobody listens."""
        self.end_rows()
        self.channel.end.close()
        assert self.process.wait(30) == 0


def write(folder: Path, files: Mapping[str, str]) -> None:
    """These files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def start(
    folder: Path, files: Mapping[str, str], arguments: Sequence[str] = (), **variables: str
) -> Side:
    """A twin of a project with these files."""
    write(folder / "tree", files)
    return Side(folder, arguments, variables=variables)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """The twin of the good project."""
    made = start(tmp_path_factory.mktemp("good"), GOOD)
    yield made
    made.close()


@pytest.fixture
def side(good: Side) -> Iterator[Side]:
    """The same twin, whose rows end with the test."""
    yield good
    good.end_rows()


def refused(folder: Path, files: Mapping[str, str], *arguments: str, **variables: str) -> str:
    """Why pytest does not run."""
    made = start(folder, files, arguments, **variables)
    made.close()
    assert made.description["rows"] == []
    refusal: str = made.description["refusal"]
    return refusal


def test_rows_are_the_tests_that_use_the_fixture(side: Side) -> None:
    """Each is named by its node id; a test without the fixture is none."""
    rows = {row["name"]: row for row in side.description["rows"]}
    assert "tests/test_calibrated.py::test_each[1]" in rows
    assert "tests/test_calibrated.py::TestClass::test_method" in rows
    assert "tests/test_calibrated.py::test_no_benchmark" not in rows
    assert all(row["parameters"] == [] and row["index"] is None for row in rows.values())


def test_a_marker_says_what_kind_of_row_it_is(side: Side) -> None:
    """A scenario is a kind of its own, and what else the marker says goes with the row."""
    rows = {row["name"].rpartition("::")[2]: row for row in side.description["rows"]}
    assert rows["test_plain"]["kind"] == "time"
    assert rows["test_plain"]["marker"] == {}
    assert rows["test_scenario"]["kind"] == "scenario"
    assert rows["test_scenario"]["marker"]["metrics"] == {"latency_s.p99": "lower"}
    assert rows["test_scenario"]["marker"]["min_effect"] == 0.02


def test_a_file_that_cannot_be_imported_spares_the_others(side: Side) -> None:
    """It is told with its own error and without frames of pytest."""
    errors = {error["module"]: error for error in side.description["errors"]}
    assert set(errors) == {"tests/test_broken.py", "tests/test_exiting.py"}
    broken = errors["tests/test_broken.py"]
    assert broken["type"] == "ModuleNotFoundError"
    assert "site-packages" not in broken["traceback"]
    assert 'test_broken.py", line 1' in broken["traceback"]
    assert side.description["refusal"] is None


def test_it_is_told_where_modules_came_from(side: Side) -> None:
    """The tests' own modules are not the project's."""
    assert side.description["own_packages"] == ["toy"]
    assert side.description["foreign_files"] == []


@pytest.mark.parametrize(
    "name",
    [
        "test_plain",
        "test_each[2]",
        "test_method",
        "test_async",
        "test_async_partial",
        "test_without_gc",
        "test_loud",
        "test_where",
        "test_argv",
        "test_iterations",
        "test_skips_afterwards",
        "test_forks",
    ],
)
def test_a_good_test_is_measured_and_goes_on_to_its_end(side: Side, name: str) -> None:
    """Setup, samples, the rest of the test with its asserts, and teardown."""
    assert side.row(name).sampled() == {"recorded": {}}


def test_numbers_that_a_test_records_come_with_the_last_answer(side: Side) -> None:
    """Also those of a fixture's teardown; texts, truths and what is not finite do not."""
    assert side.row("test_records").sampled() == {"recorded": {"deep.p99": 2.0, "late": 7.0}}


def test_a_timer_of_its_own_is_used(side: Side) -> None:
    """The mark's timer is the row's clock; the usual one is none."""
    assert side.row("test_own_timer").calibrated()["own_timer"] is True
    assert side.row("test_plain").calibrated()["own_timer"] is False


def test_both_twins_and_no_other_pair_draw_the_same(side: Side) -> None:
    """pytest-randomly's seed follows the hash seed, which the twins of one launch pair share."""
    drawn = [side.row("test_seed").sampled()["recorded"]["drawn"] for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_a_coroutine_that_nobody_awaits_is_an_error(side: Side) -> None:
    """Its making alone is never timed."""
    row = side.row("test_hidden_coroutine")
    assert row.calibrated()["error"]["type"] == "NotAwaitedError"


def test_pedantic_rounds_are_followed_to_the_letter(side: Side) -> None:
    """Setup, call and teardown alternate, after the warm-up that was asked for."""
    row = side.row("test_rounds[1]")
    answer = row.calibrated()
    assert (answer["loops"], answer["renew"], answer["most_samples"]) == (1, True, 4)
    assert len(row.ask(op="sample", loops=1, count=2)["samples"]) == 2
    assert row.ask(op="quit") == {"recorded": {"rounds": 2 + 1 + 2}}


def test_pedantic_iterations_are_the_calls_of_a_sample(side: Side) -> None:
    """The number is stated, so nothing is calibrated."""
    answer = side.row("test_iterations").calibrated()
    assert (answer["loops"], answer["renew"], answer["most_samples"]) == (5, False, 3)


def test_pedantic_is_one_round_unless_it_says_more(side: Side) -> None:
    """What works only once is called only once in a process."""
    row = side.row("test_once")
    assert row.hear() == {"skipped": False}
    assert len(row.ask(op="sample", loops=1, count=1)["samples"]) == 1
    assert row.ask(op="quit") == {"recorded": {}}


def test_a_row_that_is_told_to_quit_at_once_still_works(side: Side) -> None:
    """The test's later lines find a result and statistics."""
    row = side.row("test_plain")
    assert row.hear() == {"skipped": False}
    assert row.ask(op="quit") == {"recorded": {}}


@pytest.mark.parametrize("name", ["test_plain", "test_async", "test_used_up"])
def test_allocations_are_counted(side: Side, name: str) -> None:
    """The peak of one call in bytes; setup runs before each call, coroutines are awaited."""
    row = side.row(name, "allocations")
    assert row.hear() == {"skipped": False}
    assert row.ask(op="value")["value"] >= 0
    assert row.ask(op="quit") == {"recorded": {}}


@pytest.mark.parametrize(
    ("name", "kind", "stage", "text"),
    [
        ("test_setup_and_iterations", "ValueError", "test", "iterations"),
        ("test_setup_and_arguments", "TypeError", "test", "setup"),
        ("test_fails_first", "AssertionError", "test", "not ready"),
        ("test_fails_in_setup", "FixtureLookupError", "setup", ""),
    ],
)
def test_a_test_that_fails_before_it_is_measured_says_why(
    side: Side, name: str, kind: str, stage: str, text: str
) -> None:
    """What pytest-benchmark itself refuses is told in its own words."""
    answer = side.row(name).hear()
    assert answer is not None
    error = answer["error"]
    assert (error["type"], error["stage"]) == (kind, stage)
    assert text in error["message"]


@pytest.mark.parametrize(
    ("name", "kind", "stage"),
    [
        ("test_fails_after", "ValueError", "test"),
        ("test_fails_in_teardown", "OSError", "teardown"),
        ("test_twice", "FixtureAlreadyUsed", "test"),
    ],
)
def test_a_test_that_fails_afterwards_answers_quit_with_why(
    side: Side, name: str, kind: str, stage: str
) -> None:
    """A side whose result is wrong is not compared."""
    error = side.row(name).sampled()["error"]
    assert (error["type"], error["stage"]) == (kind, stage)
    assert "_pytest" not in error["traceback"]
    assert ".py" in error["traceback"]


@pytest.mark.parametrize("name", ["test_fails_inside", "test_exits"])
def test_a_test_that_fails_while_measured_leaves_the_stage_to_the_controller(
    side: Side, name: str
) -> None:
    """It knows what it had asked for."""
    error = side.row(name).calibrated()["error"]
    assert "stage" not in error
    assert error["type"] in {"ZeroDivisionError", "SystemExit"}


def test_a_test_that_stops_pytest_fails_alone(side: Side) -> None:
    """It is its own process that stops."""
    answer = side.row("test_stops_pytest").hear()
    assert answer is not None
    assert answer["error"]["type"] == "Exit"


def test_a_test_that_crashes_ends_its_process_alone(side: Side) -> None:
    """The conversation ends, and the twin says how."""
    row = side.row("test_crashes")
    assert row.hear() == {"skipped": False}
    row.channel.send({"op": "calibrate", "target_ns": 1000})
    assert row.hear() is None
    assert os.WIFSIGNALED(side.status())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_marked_skip", "not here"),
        ("test_skips_itself", "no server"),
        ("test_expected_to_fail", "expected to fail"),
        ("test_never_calls", "does not call"),
    ],
)
def test_a_test_that_measures_nothing_is_skipped_with_a_reason(
    side: Side, name: str, reason: str
) -> None:
    """The reason is the test's own where it has one."""
    answer = side.row(name).hear()
    assert answer is not None
    assert answer["skipped"] is True
    assert reason in answer["reason"]


def test_a_row_ends_when_its_controller_does(side: Side) -> None:
    """A test whose controller is gone must not run on."""
    row = side.row("test_plain")
    assert row.hear() == {"skipped": False}
    row.channel.end.close()
    assert side.status() == 0


def test_a_scenario_runs_once_and_gives_all_it_recorded(side: Side) -> None:
    """Beside its own numbers the wall time of the run and the memory it held at most."""
    row = side.row("test_scenario", "scenario")
    assert row.hear() == {"skipped": False}
    assert row.ask(op="run") == {}
    recorded = row.ask(op="quit")["recorded"]
    assert set(recorded) == {"time_s", "peak_memory_bytes", "latency_s.p99"}
    assert recorded["latency_s.p99"] == 0.5
    assert recorded["time_s"] > 0
    assert recorded["peak_memory_bytes"] > 50_000_000


@pytest.mark.parametrize("name", ["test_async_scenario", "test_pedantic_scenario"])
def test_any_target_runs_once_in_a_scenario(side: Side, name: str) -> None:
    """Coroutines are awaited, and pedantic's rounds and warm-up do not count."""
    row = side.row(name, "scenario")
    assert row.hear() == {"skipped": False}
    assert set(row.ask(op="quit")["recorded"]) == {"time_s", "peak_memory_bytes"}


def test_a_failing_scenario_says_why(side: Side) -> None:
    """In the answer to the request that runs it."""
    row = side.row("test_failing_scenario", "scenario")
    assert row.hear() == {"skipped": False}
    assert row.ask(op="run")["error"]["type"] == "ZeroDivisionError"


PLAIN = {"test_one.py": "def test_one(benchmark): benchmark(sum, [1])\n"}


def test_arguments_select_as_in_pytest(tmp_path: Path) -> None:
    """What follows `--` is pytest's."""
    files = {**PLAIN, "test_two.py": "def test_two(benchmark): benchmark(sum, [1])\n"}
    made = start(tmp_path, files, ["-k", "two"])
    assert [row["name"] for row in made.description["rows"]] == ["test_two.py::test_two"]
    made.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["no_such_file.py"], "file or directory not found: no_such_file.py"),
        (["-p", "no:benchmark"], "pytest-benchmark is installed but not active"),
    ],
)
def test_arguments_that_pytest_refuses_are_told_in_its_words(
    tmp_path: Path, arguments: list[str], text: str
) -> None:
    """With no path of the private copy in them."""
    refusal = refused(tmp_path, PLAIN, *arguments)
    assert text in refusal
    assert str(tmp_path) not in refusal


def test_plugins_that_are_not_loaded_are_told(tmp_path: Path) -> None:
    """A variable of the environment can turn them off."""
    refusal = refused(tmp_path, PLAIN, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" in refusal


def test_a_wrong_marker_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    """It names the test, the mistake and the nearest right word."""
    text = "import pytest\n@pytest.mark.groundspeed(scenari=True)\ndef test_it(benchmark): pass\n"
    refusal = refused(tmp_path, {"test_it.py": text})
    assert "test_it.py::test_it" in refusal
    assert "did you mean 'scenario'?" in refusal


def test_a_conftest_that_cannot_be_imported_is_an_error_of_that_file(tmp_path: Path) -> None:
    """No row is known, and the error is the file's own."""
    made = start(tmp_path, {**PLAIN, "conftest.py": "1 / 0\n"})
    made.close()
    (error,) = made.description["errors"]
    assert (error["module"], error["type"]) == ("conftest.py", "ZeroDivisionError")
    assert made.description["rows"] == []


def test_files_of_another_side_are_told(tmp_path: Path) -> None:
    """An import from there would compare a side with itself."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "stray.py").write_text("", encoding="utf-8")
    text = f"import sys\nsys.path.insert(0, {str(other)!r})\nimport stray\n"
    made = start(tmp_path, {"test_one.py": text + PLAIN["test_one.py"]})
    made.close()
    assert made.description["foreign_files"] == [str(other / "stray.py")]


def test_an_installed_package_wins_over_its_sources(tmp_path: Path) -> None:
    """The root of a flat project comes first on the path, and its sources lack what is built."""
    tests = "import pkg.part\ndef test_it(benchmark): assert benchmark(pkg.part.side) == 'built'\n"
    write(
        tmp_path, {"site/pkg/__init__.py": "", "site/pkg/part.py": "def side(): return 'built'\n"}
    )
    write(
        tmp_path / "tree", {"pkg/__init__.py": "", "pkg/part.py": "def side(): return 'source'\n"}
    )
    write(tmp_path / "tree", {"tests/__init__.py": "", "tests/test_it.py": tests})
    made = Side(tmp_path, [], installed=["pkg"])
    assert made.description["own_packages"] == ["pkg"]
    assert made.row("test_it").sampled() == {"recorded": {}}
    made.close()


def test_a_suite_that_starts_threads_can_be_imported_by_each_row(tmp_path: Path) -> None:
    """It says how many there are, and each row's process is then one of its own."""
    text = """\
import threading
import pytest

DONE = threading.Event()
threading.Thread(target=DONE.wait, daemon=True).start()

def test_one(benchmark):
    benchmark(sum, [1])
    assert threading.active_count() == 2
"""
    made = start(tmp_path, {"test_one.py": text})
    assert made.description["threads"] == 1
    made.close()
    rows = made.description["rows"]
    by_row = Side(tmp_path, [], import_in_row=True)
    by_row.description = {"rows": rows}
    assert by_row.row("test_one").sampled() == {"recorded": {}}
    by_row.close()


def test_nothing_is_said_to_the_channel_that_was_not_asked_for(side: Side) -> None:
    """Whatever tests print, the next message is the answer to the next request."""
    row = side.row("test_loud")
    row.calibrated()
    readable, _, _ = select.select([row.channel.end], [], [], 0)
    assert readable == []
