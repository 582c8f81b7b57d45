import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.environments import Environments, Mode, Side, prepare
from groundspeed.measure.environments.overlay import Assessment, assess, read_version
from groundspeed.measure.repository import Repository
from groundspeed.measure.suite import find_suite

if TYPE_CHECKING:
    from tests.unit.groundspeed.measure.conftest import GitProject

BUILD = "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
TOY = BUILD + "[project]\nname = 'groundspeed-test-toy'\nversion = '1'\n"


def prepared(
    toy: "GitProject",
    scratch: Path,
    *,
    base: str,
    candidate: str | None = None,
    mode: Mode = "auto",
    said: list[str] | None = None,
) -> Environments:
    """Both versions of `toy`, made importable below `scratch`."""
    repository = Repository.discover(toy.root)
    return prepare(
        repository,
        find_suite(toy.root, repository),
        base=repository.resolve(base),
        candidate=None if candidate is None else repository.resolve(candidate),
        mode=mode,
        scratch=scratch / "scratch",
        cache=scratch / "cache",
        say=(said if said is not None else []).append,
    )


def assessed(toy: "GitProject", requirements: tuple[str, ...] = ()) -> Assessment:
    """What speaks against measuring the commit before and the working tree from source."""
    repository = Repository(toy.root)
    commit, tree = toy.root.parent / "commit", toy.root.parent / "tree"
    repository.export(repository.resolve("HEAD~1"), commit)
    repository.snapshot(tree)
    return assess(
        read_version(commit),
        read_version(tree),
        requirements=requirements,
        generated_in=toy.root,
    )


def evaluate(side: Side, expression: str) -> str:
    """What `expression` about the package is in an interpreter that imports this side."""
    program = f"import sys; sys.path[:0] = {[*map(str, side.import_paths)]!r}; import toy; "
    done = subprocess.run(
        [sys.executable, "-c", f"{program}print({expression})"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


# --- the decision -----------------------------------------------------------------------------


def test_nothing_speaks_against_pure_code_with_equal_needs(toy: "GitProject") -> None:
    """A change of code and version number alone can be measured from source."""
    toy.commit({"pyproject.toml": TOY + "dependencies = ['packaging']"})
    toy.commit({"src/toy/__init__.py": "SIDE = 'second'\n"})
    toy.write({"pyproject.toml": (TOY + "dependencies = ['packaging']").replace("'1'", "'2'")})
    assert assessed(toy, ("packaging",)) == Assessment(obstacles=(), doubts=())


@pytest.mark.parametrize(
    ("files", "doubt"),
    [
        ({"pyproject.toml": TOY + "dependencies = ['click']"}, "differ in project.dependencies"),
        ({"pyproject.toml": TOY + "requires-python = '<3'"}, "Python <3 is needed"),
        ({"pyproject.toml": TOY + "dependencies = ['gs-missing']"}, "gs-missing is not installed"),
        (
            {"pyproject.toml": TOY + "[tool.hatch.build.hooks.vcs]\nversion-file='src/toy/_v.py'"},
            "src/toy/_v.py is generated",
        ),
        ({"src/toy/new.py": "import importlib.metadata"}, "src/toy/new.py asks for installed"),
    ],
)
def test_a_doubt_in_either_version_is_told(
    toy: "GitProject", files: dict[str, str], doubt: str
) -> None:
    """What is new in the working tree, untracked files too, counts as much as what was there."""
    toy.commit({"pyproject.toml": TOY})
    toy.commit()
    toy.write(files)
    assessment = assessed(toy)
    assert assessment.obstacles == ()
    assert [told for told in assessment.doubts if doubt in told]


def test_what_the_benchmarks_need_must_be_there(toy: "GitProject") -> None:
    """A requirement of the suite that is not installed is a doubt."""
    toy.commit()
    assert assessed(toy, ("gs-missing",)).doubts == ("gs-missing is not installed",)


def test_compiled_code_in_either_version_is_an_obstacle(toy: "GitProject") -> None:
    """Code for a compiler forbids source trees whichever side has it."""
    toy.commit({"src/toy/fast.pyx": ""})
    toy.commit()
    (toy.root / "src" / "toy" / "fast.pyx").unlink()
    (obstacle,) = assessed(toy).obstacles
    assert "fast.pyx" in obstacle


# --- prepared source trees --------------------------------------------------------------------


def test_each_side_imports_its_own_version(toy: "GitProject", tmp_path: Path) -> None:
    """Base is the commit, candidate the working tree with its untracked files."""
    toy.write({"src/toy/__init__.py": "from toy.new import SIDE\n", "src/toy/new.py": "SIDE = 2\n"})
    environments = prepared(toy, tmp_path, base="HEAD")
    assert environments.kind == "overlay"
    assert evaluate(environments.base, "toy.SIDE") == "first"
    assert evaluate(environments.candidate, "toy.SIDE") == "2"
    assert (environments.interpreter, environments.isolated) == (Path(sys.executable), False)


def test_two_commits_are_compared_with_the_working_trees_benchmarks(
    toy: "GitProject", tmp_path: Path
) -> None:
    """Neither side's own benchmark files are used, and uncommitted code is not measured."""
    toy.commit({"src/toy/__init__.py": "SIDE = 'second'\n"})
    toy.write({"src/toy/__init__.py": "SIDE = 'third'\n", "benchmarks/new.py": "# mine\n"})
    environments = prepared(toy, tmp_path, base="HEAD~1", candidate="HEAD")
    sides = (environments.base, environments.candidate)
    assert [evaluate(side, "toy.SIDE") for side in sides] == ["first", "second"]
    assert (environments.benchmark_dir / "new.py").read_text(encoding="utf-8") == "# mine\n"
    assert (environments.benchmark_dir / "../asv.conf.json").is_file()


@pytest.mark.parametrize("candidate", [None, "HEAD"])
def test_both_sides_lie_equally_deep(
    toy: "GitProject", tmp_path: Path, candidate: str | None
) -> None:
    """Every path of one side is as long as the other's: lengths reach the memory layout."""
    environments = prepared(toy, tmp_path, base="HEAD", candidate=candidate)
    pairs = [
        (environments.base.tree, environments.candidate.tree),
        *zip(environments.base.import_paths, environments.candidate.import_paths, strict=True),
    ]
    assert all(len(str(one)) == len(str(other)) and one != other for one, other in pairs)


def test_edits_during_the_run_change_nothing(toy: "GitProject", tmp_path: Path) -> None:
    """Code, benchmarks and even the deletion of the branch reach no prepared side."""
    toy.git("branch", "old")
    environments = prepared(toy, tmp_path, base="old")
    toy.commit({"src/toy/__init__.py": "SIDE = 'later'\n", "benchmarks/bench.py": "later"})
    toy.git("branch", "--delete", "--force", "old")
    for side in (environments.base, environments.candidate):
        assert evaluate(side, "toy.SIDE") == "first"
    assert "later" not in (environments.benchmark_dir / "bench.py").read_text(encoding="utf-8")


def test_nothing_is_written_in_the_repository(toy: "GitProject", tmp_path: Path) -> None:
    """After the preparation every file of the user's is as it was, .git included."""
    before = {
        p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in toy.root.rglob("*")
    }
    prepared(toy, tmp_path, base="HEAD")
    after = {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in toy.root.rglob("*")}
    assert after == before


def test_a_layout_may_move_between_the_versions(toy: "GitProject", tmp_path: Path) -> None:
    """Each side is imported from where its own files are; both places are to be hidden."""
    toy.git("mv", "src/toy", "toy")
    environments = prepared(toy, tmp_path, base="HEAD")
    assert environments.base.import_paths == (environments.base.tree / "src",)
    assert environments.candidate.import_paths == (environments.candidate.tree,)
    assert {toy.root / "src", toy.root} <= set(environments.hidden_paths)
    assert evaluate(environments.candidate, "toy.SIDE") == "first"


def test_a_project_below_the_root(toy: "GitProject", tmp_path: Path) -> None:
    """With repo_subdir the import paths lie below that folder on both sides."""
    (toy.root / "python").mkdir()
    toy.git("mv", "pyproject.toml", "src", "python")
    toy.commit({"asv.conf.json": '{"repo_subdir": "python"}'})
    environments = prepared(toy, tmp_path, base="HEAD")
    assert environments.base.import_paths == (environments.base.tree / "python" / "src",)
    assert evaluate(environments.base, "toy.SIDE") == "first"


def test_a_base_from_before_the_project_moved_is_broken(toy: "GitProject", tmp_path: Path) -> None:
    """A base without the folder that repo_subdir names cannot be measured, and that is said."""
    (toy.root / "python").mkdir()
    toy.git("mv", "pyproject.toml", "src", "python")
    toy.commit({"asv.conf.json": '{"repo_subdir": "python"}'})
    with pytest.raises(BrokenError, match="base has no folder python"):
        prepared(toy, tmp_path, base="HEAD~1")


def test_a_broken_pyproject_names_its_side(toy: "GitProject", tmp_path: Path) -> None:
    """Which of the two versions cannot be read is said."""
    toy.write({"pyproject.toml": "[project"})
    with pytest.raises(BrokenError, match=r"candidate: pyproject\.toml is not valid TOML"):
        prepared(toy, tmp_path, base="HEAD")


def test_a_generated_version_file_is_brought_along(toy: "GitProject", tmp_path: Path) -> None:
    """What a build once left in the user's tree, though git ignores it, serves both sides."""
    hook = "[tool.hatch.build.hooks.vcs]\nversion-file = 'src/toy/_v.py'\n"
    toy.commit(
        {
            "pyproject.toml": TOY + hook,
            ".gitignore": "_v.py\n",
            "src/toy/__init__.py": "from toy._v import version\n",
        }
    )
    toy.write({"src/toy/_v.py": "version = '1.dev'\n"})
    environments = prepared(toy, tmp_path, base="HEAD")
    assert environments.kind == "overlay"
    for side in (environments.base, environments.candidate):
        assert evaluate(side, "toy.version") == "1.dev"


def test_a_suites_variables_come_along(toy: "GitProject", tmp_path: Path) -> None:
    """Variables from the suite are handed to whoever starts the interpreters."""
    toy.write({"asv.conf.json": '{"matrix": {"env": {"MODE": ["fast"]}}}'})
    assert dict(prepared(toy, tmp_path, base="HEAD").variables) == {"MODE": "fast"}


def test_benchmarks_that_git_ignores_are_refused(toy: "GitProject", tmp_path: Path) -> None:
    """A benchmark folder in .gitignore would be missing from the copy: that is said at once."""
    toy.git("rm", "--quiet", "-r", "--cached", "benchmarks")
    toy.write({".gitignore": "benchmarks/\n"})
    with pytest.raises(UsageError, match=re.escape(".gitignore")):
        prepared(toy, tmp_path, base="HEAD")


def test_source_trees_of_compiled_code_are_refused(toy: "GitProject", tmp_path: Path) -> None:
    """Asked to use source trees that cannot work, the reason and the way out are told."""
    toy.write({"src/toy/fast.pyx": ""})
    with pytest.raises(UsageError, match=r"fast\.pyx.*--env wheel"):
        prepared(toy, tmp_path, base="HEAD", mode="overlay")


def test_source_trees_that_are_asked_for_are_used_in_spite_of_doubts(
    toy: "GitProject", tmp_path: Path
) -> None:
    """The user may know better; the doubt stays in the reason."""
    toy.write({"pyproject.toml": TOY + "dependencies = ['gs-missing']"})
    environments = prepared(toy, tmp_path, base="HEAD", mode="overlay")
    assert environments.kind == "overlay"
    assert environments.reason.startswith("asked for, although")
    assert "project.dependencies" in environments.reason


def test_what_is_done_is_said(toy: "GitProject", tmp_path: Path) -> None:
    """Each step is announced with the names the user knows."""
    toy.git("tag", "v1.0")
    toy.commit()
    said: list[str] = []
    prepared(toy, tmp_path, base="v1.0", candidate="main", said=said)
    assert [line.partition(" (")[0] for line in said] == [
        "checking out v1.0",
        "checking out main",
        "copying the working tree",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="odd file names need a POSIX system")
def test_a_repository_at_an_odd_path(
    toy: "GitProject", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spaces, quotes, newlines and non-ASCII in the path of the repository do no harm."""
    odd = tmp_path / "odd 'näme'\n$(x) -b"
    toy.root.rename(odd)
    monkeypatch.setattr(toy, "root", odd)
    environments = prepared(toy, tmp_path, base="HEAD")
    assert evaluate(environments.base, "toy.SIDE") == "first"
