"""Wheels built by the real installer, without a network: the projects bring their own backend."""

import importlib.util
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundspeed.errors import BrokenError
from groundspeed.measure.environments import Environments, Mode, Side, prepare
from groundspeed.measure.environments.build import Recipe, WheelRequest, base_interpreter, build
from groundspeed.measure.environments.overlay import read_version
from groundspeed.measure.environments.wheels import site_dirs
from groundspeed.measure.repository import Repository
from groundspeed.measure.suite import find_suite

# A PEP 517 backend that needs nothing: it zips the package, or does what BUILD asks for.
BACKEND = """\
import os, zipfile
from pathlib import Path

INFO = "toy-1.0.dist-info"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if os.environ.get("BUILD") == "fail":
        print("\\n".join(f"line {number}" for number in range(40)), flush=True)
        raise SystemExit("the toy is broken")
    if os.environ.get("BUILD") == "hang":
        Path(os.environ["STARTED"]).write_text(str(os.getpid()))
        Path(os.environ["PIPE"]).read_text()
    needs = "".join(f"Requires-Dist: {line}\\n" for line in Path("needs.txt").read_text().split())
    members = {path.as_posix(): path.read_text() for path in Path("toy").rglob("*.py")}
    members[f"{INFO}/METADATA"] = f"Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n{needs}"
    members[f"{INFO}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    members[f"{INFO}/RECORD"] = "".join(f"{name},,\\n" for name in [*members, f"{INFO}/RECORD"])
    with zipfile.ZipFile(Path(wheel_directory) / "toy-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    return "toy-1.0-py3-none-any.whl"
"""

TOY = {
    "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
    "backend-path = ['.']\n[project]\nname = 'toy'\nversion = '1.0'\ndynamic = ['dependencies']\n",
    "backend.py": BACKEND,
    "needs.txt": "gsdep==1",
    "toy/__init__.py": "SIDE = 'first'\n",
    "benchmarks/bench.py": "",
    "asv.conf.json": '{"matrix": {"req": {"gsbench": [""]}}}',
}


@dataclass(frozen=True, slots=True)
class Toy:
    """A project under git, and a cache and wheels beside it."""

    place: Path

    @property
    def root(self) -> Path:
        """The work tree."""
        return self.place / "toy"

    @property
    def cache(self) -> Path:
        """The cache folder."""
        return self.place / "cache"

    def commit(self, files: Mapping[str, str]) -> None:
        """Write `files` and commit them."""
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=change")

    def git(self, *arguments: str) -> None:
        """Run git in the work tree."""
        subprocess.run(["git", *arguments], cwd=self.root, check=True)

    def prepare(
        self, run: str, base: str, *, mode: Mode = "wheel", said: list[str] | None = None
    ) -> Environments:
        """Prepare `base` and the working tree in a scratch folder called `run`."""
        repository = Repository.discover(self.root)
        return prepare(
            repository,
            find_suite(self.root, repository),
            base=repository.resolve(base),
            candidate=None,
            mode=mode,
            scratch=self.cache / "runs" / f"run-{run}",
            cache=self.cache,
            say=(said if said is not None else []).append,
        )


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel of one module that holds its version."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for member, text in members.items():
            wheel.writestr(member, text)


@pytest.fixture(autouse=True, scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give git an author, and let installers find our wheels and no index."""
    wheels = tmp_path_factory.mktemp("wheels")
    for name, version in (("gsdep", "1"), ("gsdep", "2"), ("gsbench", "1")):
        write_wheel(wheels, name, version)
    people = {f"GIT_{who}_NAME": "Author" for who in ("AUTHOR", "COMMITTER")}
    mails = {f"GIT_{who}_EMAIL": "author@example.org" for who in ("AUTHOR", "COMMITTER")}
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.fspath(wheels)}
    uv = {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": os.fspath(wheels)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (people | mails | git | pip | uv).items():
            patch.setenv(name, value)
        yield


def make_toy(place: Path) -> Toy:
    """A project of one commit."""
    toy = Toy(place)
    toy.root.mkdir(parents=True)
    toy.git("init", "--quiet", "--initial-branch=main")
    toy.commit(TOY)
    return toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A project of one commit of its own for the test."""
    return make_toy(tmp_path)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, offline: None) -> Toy:
    """A project whose second commit needs another version of a package; read only."""
    toy = make_toy(tmp_path_factory.mktemp("changed"))
    toy.commit({"needs.txt": "gsdep==2", "toy/__init__.py": "SIDE = 'second'\n"})
    return toy


@pytest.fixture(scope="module")
def built(changed: Toy) -> Environments:
    """Both versions of it, prepared in the way that is chosen for them; read only."""
    return changed.prepare("first", "HEAD~1", mode="auto")


def evaluate(environments: Environments, side: Side, expression: str) -> str:
    """What `expression` is, started and set up as the measuring side does it."""
    program = (
        "import site, sys, importlib.util\n"
        f"sys.path[:0] = {[*map(str, side.import_paths)]!r}\n"
        f"for folder in {[*map(str, side.site_dirs)]!r}: site.addsitedir(folder)\n"
        f"print({expression})"
    )
    options = ["-S"] if environments.isolated else []
    done = subprocess.run(
        [environments.interpreter, *options, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.defpath},
    )
    return done.stdout.strip()


def test_versions_that_need_different_packages_get_wheels(built: Environments) -> None:
    """The choice falls on wheels by itself, and says why."""
    assert (built.kind, built.isolated) == ("wheel", True)
    assert built.interpreter == base_interpreter()
    assert "gsbench is not installed" in built.reason


def test_each_side_sees_its_own_packages_and_no_others(built: Environments) -> None:
    """Project, dependency and the benchmarks' needs are each side's; groundspeed is not there."""
    expression = (
        "__import__('toy').SIDE, __import__('gsdep').VERSION, __import__('gsbench').VERSION, "
        "importlib.util.find_spec('groundspeed')"
    )
    seen = [evaluate(built, side, expression) for side in (built.base, built.candidate)]
    assert seen == ["first 1 1 None", "second 2 1 None"]


def test_both_sides_packages_lie_equally_deep(built: Environments) -> None:
    """A cached environment and a fresh one are imported by paths of equal length."""
    pairs = list(zip(built.base.site_dirs, built.candidate.site_dirs, strict=True))
    assert pairs
    assert all(len(str(one)) == len(str(other)) and one != other for one, other in pairs)
    module = "__import__('toy').__file__"
    files = [evaluate(built, side, module) for side in (built.base, built.candidate)]
    assert len(files[0]) == len(files[1])
    assert files[0].startswith(str(built.base.site_dirs[0]))


def test_a_commit_is_built_once_and_the_working_tree_each_time(
    changed: Toy, built: Environments
) -> None:
    """The next run takes the commit's environment from the cache and builds the working tree."""
    said: list[str] = []
    again = changed.prepare("again", "HEAD~1", said=said)
    assert [line for line in said if line.startswith("building")] == [
        "building candidate (working tree)"
    ]
    assert again.reason == "asked for"
    assert evaluate(again, again.base, "__import__('toy').SIDE") == "first"
    assert list((changed.cache / "logs").iterdir()) == []


def test_nothing_is_built_in_the_working_tree(changed: Toy, built: Environments) -> None:
    """The user's folder stays as it was."""
    done = subprocess.run(
        ["git", "status", "--porcelain", "--ignored"],
        cwd=changed.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_a_commit_that_does_not_build_is_broken(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which side and commit, the end of the output, the log and what to do."""
    monkeypatch.setenv("BUILD", "fail")
    with pytest.raises(BrokenError) as caught:
        toy.prepare("failed", "main")
    message = str(caught.value)
    short = Repository(toy.root).head().short
    assert message.startswith(f"base main ({short} 'change') did not build")
    assert "the toy is broken" in message
    assert "line 1\n" not in message
    log = next((toy.cache / "logs").iterdir())
    assert os.fspath(log) in message
    assert "line 1\n" in log.read_text(encoding="utf-8")
    assert "groundspeed check" in message
    assert list((toy.cache / "environments").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_build_that_takes_too_long_is_ended(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond install_timeout the installer and its children are killed and the error says so."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("BUILD", "hang")
    monkeypatch.setenv("STARTED", os.fspath(tmp_path / "started"))
    monkeypatch.setenv("PIPE", os.fspath(tmp_path / "pipe"))
    toy.commit({"asv.conf.json": '{"install_timeout": 0.5}'})
    with pytest.raises(BrokenError, match="took too long"):
        toy.prepare("slow", "main")
    # A reader that still lived would let the pipe be opened for writing.
    with pytest.raises(OSError, match="No such device"):
        os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_uv_installs_where_it_is_on_the_path(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes before pip, and is told the environment's Python, the tree and what else."""
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/told"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    environments = toy.prepare("uv", "main")
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    trees = (environments.base.tree, environments.candidate.tree)
    assert len(told) == 2
    for call, tree in zip(told, trees, strict=True):
        assert call.startswith("pip install --python ")
        assert call.endswith(f"/bin/python --compile-bytecode {tree} gsbench")


def test_without_uv_and_pip_the_environment_gets_its_own_pip(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where groundspeed's Python has no pip, Python's bundled one serves."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    toy.git("rm", "--quiet", "pyproject.toml")
    repository = Repository(toy.root)
    request = WheelRequest(
        label="base", commit=repository.head(), version=read_version(toy.root), tree=toy.root
    )
    suite = find_suite(toy.root, repository)
    recipe = Recipe(request=request, suite=suite, project_dir=toy.root)
    build(recipe, tmp_path / "home", tmp_path / "log", lambda _: None)
    (packages,) = site_dirs(tmp_path / "home")
    assert (packages / "gsbench.py").is_file()


_RUN = """
import sys
from pathlib import Path
from groundspeed.measure.environments import prepare
from groundspeed.measure.repository import Repository
from groundspeed.measure.scratch import scratch_folder
from groundspeed.measure.suite import find_suite

root, cache = map(Path, sys.argv[1:])
repository = Repository.discover(root)
with scratch_folder(cache) as scratch:
    prepare(repository, find_suite(root, repository), base=repository.head(), candidate=None,
            mode="wheel", scratch=scratch, cache=cache, say=print)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_run_killed_while_building_leaves_nothing_that_is_used(toy: Toy, tmp_path: Path) -> None:
    """After kill -9 in the middle of a build the next run builds anew and sweeps the rest."""
    pipe, started = tmp_path / "pipe", tmp_path / "started"
    os.mkfifo(pipe)
    environ = {"BUILD": "hang", "PIPE": os.fspath(pipe), "STARTED": os.fspath(started)}
    with (
        subprocess.Popen(
            [sys.executable, "-c", _RUN, toy.root, toy.cache],
            env=os.environ | environ,
            stdout=subprocess.DEVNULL,
        ) as process,
        pipe.open("w", encoding="utf-8"),  # opens when the build reads: it is in the middle
    ):
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.killpg(os.getpgid(int(started.read_text(encoding="utf-8"))), signal.SIGKILL)
    left = {path.name.partition(".")[2] for path in (toy.cache / "environments").iterdir()}
    assert any(name.endswith("building") for name in left)
    said: list[str] = []
    environments = toy.prepare("next", "main", said=said)
    assert said[-2].startswith("building base")
    assert evaluate(environments, environments.base, "__import__('toy').SIDE") == "first"
    (kept,) = (toy.cache / "environments").iterdir()
    assert kept.is_dir()


def test_a_project_without_build_files_is_imported_from_its_tree(toy: Toy) -> None:
    """Where nothing can be built, the benchmarks' needs are installed and the tree is imported."""
    toy.git("rm", "--quiet", "pyproject.toml")
    toy.commit({})
    environments = toy.prepare("plain", "main")
    expression = "__import__('toy').SIDE, __import__('gsbench').VERSION"
    assert evaluate(environments, environments.base, expression) == "first 1"
    assert environments.base.import_paths == (environments.base.tree,)
