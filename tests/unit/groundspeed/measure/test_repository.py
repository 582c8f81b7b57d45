import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundspeed.errors import BrokenError, NoBaselineError, UsageError
from groundspeed.measure.git import Git, git_environment
from groundspeed.measure.repository import Repository, release_of_tag

if TYPE_CHECKING:
    from tests.unit.groundspeed.measure.conftest import GitProject


def git_state(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below .git with its time and content: what must never change."""
    return {
        os.fspath(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in (root / ".git").rglob("*")
        if path.is_file()
    }


def files_of(tree: Path) -> dict[str, bytes | str]:
    """Content of every file and target of every link in a tree, without its .git."""
    found: dict[str, bytes | str] = {}
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        for name in (*names, *(n for n in folders if (Path(folder) / n).is_symlink())):
            path = Path(folder) / name
            content = str(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[os.fspath(path.relative_to(tree))] = content
    return found


def shallow_clone(project: "GitProject", target: Path, *options: str) -> Repository:
    """A clone that holds the latest commit only, as CI services make them."""
    project.git("clone", "--quiet", "--depth=1", *options, project.root.as_uri(), str(target))
    return Repository(target)


# --- discover ---------------------------------------------------------------------------------


def test_discover_finds_the_root_from_below(toy: "GitProject") -> None:
    """Any folder of the work tree leads to its root."""
    assert Repository.discover(toy.root / "src" / "toy") == Repository(toy.root)


def test_discover_outside_says_how_to_begin(tmp_path: Path) -> None:
    """A folder outside any work tree is a usage error that names it and the next command."""
    with pytest.raises(UsageError, match="git init") as caught:
        Repository.discover(tmp_path)
    assert os.fspath(tmp_path) in str(caught.value)


def test_discover_in_a_missing_folder(tmp_path: Path) -> None:
    """A folder that does not exist is a usage error, not a crash."""
    with pytest.raises(UsageError, match="not a folder"):
        Repository.discover(tmp_path / "missing")


def test_discover_in_a_bare_repository(toy: "GitProject", tmp_path: Path) -> None:
    """A bare repository has no working tree to compare."""
    toy.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(UsageError, match="work tree"):
        Repository.discover(tmp_path / "bare")


def test_discover_without_git(
    toy: "GitProject", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no git program is installed the error says so."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UsageError, match="install git"):
        Repository.discover(toy.root)


def test_discover_is_deaf_to_a_hooks_variables(
    toy: "GitProject", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called from a git hook, the folder decides and not the GIT_DIR of the hook."""
    monkeypatch.setenv("GIT_DIR", os.fspath(tmp_path / "elsewhere.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", os.fspath(tmp_path / "index"))
    repository = Repository.discover(toy.root)
    repository.export(repository.head(), tmp_path / "tree")
    assert "pyproject.toml" in files_of(tmp_path / "tree")


def test_git_never_asks_and_never_fetches() -> None:
    """The environment of git forbids prompts, needless locks and every protocol but files."""
    environment = git_environment({"GIT_DIR": "x", "GIT_CONFIG_COUNT": "1", "HOME": "h"})
    assert environment["GIT_TERMINAL_PROMPT"] == environment["GIT_OPTIONAL_LOCKS"] == "0"
    assert environment["GIT_ALLOW_PROTOCOL"] == "file"
    assert "GIT_DIR" not in environment
    assert (environment["GIT_CONFIG_COUNT"], environment["HOME"]) == ("1", "h")


# --- resolve ----------------------------------------------------------------------------------


def test_resolve_tells_the_commit(toy: "GitProject") -> None:
    """A revision leads to hash, short hash, subject and an aware date; its name stays as typed."""
    sha = toy.commit(message="Größe zählt \N{HOT BEVERAGE}")
    toy.git("tag", "--annotate", "v1", "--message=one")
    commit = Repository(toy.root).resolve("v1")
    assert (commit.sha, commit.name) == (sha, "v1")
    assert sha.startswith(commit.short)
    assert len(commit.short) >= 7
    assert commit.subject == "Größe zählt \N{HOT BEVERAGE}"
    assert commit.committed_at == datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert commit.committed_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("revision", ["HEAD", "main", "HEAD~0", "main@{0}", ":/first"])
def test_every_spelling_of_a_commit_is_understood(toy: "GitProject", revision: str) -> None:
    """Whatever git takes for a commit, we take."""
    repository = Repository(toy.root)
    assert repository.resolve(revision).sha == toy.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "revision", ["nowhere", "HEAD~9", "", "--help", "-n1", "a\0b", "a b\n", "HEAD:src", "0" * 40]
)
def test_an_unknown_revision_is_a_usage_error(toy: "GitProject", revision: str) -> None:
    """What names no commit, names a tree or looks like an option is refused by its name."""
    with pytest.raises(UsageError, match="names no commit") as caught:
        Repository(toy.root).resolve(revision)
    assert repr(revision) in str(caught.value)


def test_a_misspelt_name_is_suggested(toy: "GitProject") -> None:
    """Near tags and branches are offered."""
    toy.git("tag", "v1.2.0")
    toy.git("branch", "feature/cache")
    repository = Repository(toy.root)
    with pytest.raises(UsageError, match=r"did you mean v1\.2\.0"):
        repository.resolve("v1.2")
    with pytest.raises(UsageError, match="did you mean feature/cache"):
        repository.resolve("feature/cahce")


def test_beyond_a_shallow_clone_there_is_no_baseline(toy: "GitProject", tmp_path: Path) -> None:
    """A commit that the clone was cut off from is no usage error: fetch the rest."""
    toy.commit()
    repository = shallow_clone(toy, tmp_path / "shallow")
    with pytest.raises(NoBaselineError, match="git fetch --unshallow"):
        repository.resolve("HEAD~1")


def test_a_repository_without_commits_has_no_baseline(project: "GitProject") -> None:
    """Before the first commit there is nothing to resolve."""
    with pytest.raises(NoBaselineError, match="no commit yet"):
        Repository(project.root).head()


# --- default base -----------------------------------------------------------------------------


def test_the_last_release_tag_is_the_base(toy: "GitProject") -> None:
    """Among reachable release tags the latest wins; other tags do not count."""
    toy.git("tag", "v1.0")
    release = toy.commit()
    toy.git("tag", "--annotate", "v1.10", "--message=release")
    toy.git("tag", "v1.9")
    toy.commit()
    toy.git("tag", "nightly")
    toy.git("tag", "v2.0rc1")
    toy.commit()
    choice = Repository(toy.root).default_base(dirty=False, candidate=None)
    assert (choice.commit.sha, choice.commit.name) == (release, "v1.10")
    assert "release tag" in choice.reason


def test_a_release_that_is_not_reachable_does_not_count(toy: "GitProject") -> None:
    """A tag on another branch is not what this one left."""
    toy.git("tag", "v1.0")
    toy.git("switch", "--quiet", "--create", "other")
    toy.commit()
    toy.git("tag", "v2.0")
    toy.git("switch", "--quiet", "main")
    toy.commit()
    choice = Repository(toy.root).default_base(dirty=False, candidate=None)
    assert choice.commit.name == "v1.0"


@pytest.mark.parametrize(("dirty", "expected"), [(False, "v1.0"), (True, "v1.1")])
def test_on_a_release_the_tree_decides(toy: "GitProject", *, dirty: bool, expected: str) -> None:
    """A clean release is compared with the one before, a changed one with itself."""
    toy.git("tag", "v1.0")
    toy.commit()
    toy.git("tag", "v1.1")
    choice = Repository(toy.root).default_base(dirty=dirty, candidate=None)
    assert choice.commit.name == expected


def test_a_named_candidate_is_never_its_own_base(toy: "GitProject") -> None:
    """A dirty tree does not matter when a commit is judged."""
    toy.git("tag", "v1.0")
    toy.commit()
    toy.git("tag", "v1.1")
    repository = Repository(toy.root)
    choice = repository.default_base(dirty=True, candidate=repository.resolve("v1.1"))
    assert choice.commit.name == "v1.0"


def test_without_release_a_branch_is_compared_with_where_it_began(toy: "GitProject") -> None:
    """The merge base with main is the base of a branch."""
    fork = toy.commit()
    toy.git("switch", "--quiet", "--create", "feature")
    toy.commit()
    toy.commit()
    choice = Repository(toy.root).default_base(dirty=False, candidate=None)
    assert choice.commit.sha == fork
    assert choice.commit.name == choice.commit.short
    assert "main" in choice.reason


def test_the_remotes_default_branch_is_followed(toy: "GitProject", tmp_path: Path) -> None:
    """origin/HEAD names the default branch whatever it is called."""
    toy.git("branch", "--move", "trunk")
    fork = toy.commit()
    toy.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    Git(clone).run("commit", "--quiet", "--allow-empty", "--message=local")
    choice = Repository(clone).default_base(dirty=False, candidate=None)
    assert choice.commit.sha == fork
    assert "origin/trunk" in choice.reason


@pytest.mark.parametrize("branch", ["main", "trunk"])
def test_a_changed_tree_is_compared_with_its_commit(toy: "GitProject", branch: str) -> None:
    """On the default branch, or with none, uncommitted work is compared with the last commit."""
    toy.git("branch", "--move", branch)
    last = toy.commit()
    choice = Repository(toy.root).default_base(dirty=True, candidate=None)
    assert (choice.commit.sha, choice.reason) == (last, "the last commit")


def test_a_clean_default_branch_is_compared_with_the_commit_before(toy: "GitProject") -> None:
    """When nothing else is there, one step back."""
    before = toy.git("rev-parse", "HEAD")
    toy.commit()
    choice = Repository(toy.root).default_base(dirty=False, candidate=None)
    assert (choice.commit.sha, choice.commit.name) == (before, "HEAD~1")


def test_a_clean_first_commit_has_no_baseline(toy: "GitProject") -> None:
    """One commit and no change: nothing to compare with."""
    with pytest.raises(NoBaselineError, match="first commit"):
        Repository(toy.root).default_base(dirty=False, candidate=None)


def test_a_shallow_clone_says_how_to_get_a_baseline(toy: "GitProject", tmp_path: Path) -> None:
    """A clone of depth one has no base; the error says which command brings it."""
    toy.commit()
    repository = shallow_clone(toy, tmp_path / "shallow")
    with pytest.raises(NoBaselineError, match="fetch-depth: 0"):
        repository.default_base(dirty=False, candidate=None)


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v1.2.3", "1.2.3"),
        ("1.0", "1.0"),
        ("release-2.1", "2.1"),
        ("toy-0.3", "0.3"),
        ("toy/v4.0", "4.0"),
        ("2026.11.22", "2026.11.22"),
        ("1.0.post1", "1.0.post1"),
        ("v1.0rc1", None),
        ("v1.0.dev2", None),
        ("nightly", None),
        ("before-refactoring", None),
        ("", None),
    ],
)
def test_release_tags_are_told_from_others(tag: str, version: str | None) -> None:
    """Only a tag that ends in a final version is a release."""
    release = release_of_tag(tag)
    assert (None if release is None else str(release)) == version


# --- is_dirty ---------------------------------------------------------------------------------


def test_dirt_is_any_change_that_git_sees(toy: "GitProject") -> None:
    """Edited, deleted, renamed, staged and untracked files count; ignored ones do not."""
    repository = Repository(toy.root)
    toy.commit({".gitignore": "*.pyc\n"})
    source = toy.root / "src" / "toy" / "__init__.py"
    assert not repository.is_dirty()
    toy.write({"src/toy/junk.pyc": ""})
    assert not repository.is_dirty()
    source.write_text("SIDE = 'edited'\n", encoding="utf-8")
    assert repository.is_dirty()
    toy.git("checkout", "--quiet", ".")
    source.rename(source.with_name("moved.py"))
    assert repository.is_dirty()
    source.with_name("moved.py").rename(source)
    toy.write({"new.txt": ""})
    assert repository.is_dirty()


def test_results_do_not_make_a_tree_dirty(toy: "GitProject") -> None:
    """New and changed files in an ignored folder do not count, even with odd characters in it."""
    odd = toy.root / "re*sults [1]"
    toy.commit({"re*sults [1]/old.json": "1"})
    toy.write({"re*sults [1]/old.json": "2", "re*sults [1]/new.json": ""})
    repository = Repository(toy.root)
    assert repository.is_dirty()
    assert not repository.is_dirty(ignoring=[odd])
    assert not repository.is_dirty(ignoring=[Path("re*sults [1]")])
    toy.write({"results [1]/x": ""})
    assert repository.is_dirty(ignoring=[odd])


def test_the_root_cannot_be_ignored(toy: "GitProject", tmp_path: Path) -> None:
    """A results folder that is the root, or outside, must not hide the change."""
    toy.write({"new.txt": ""})
    assert Repository(toy.root).is_dirty(ignoring=[toy.root, tmp_path / "elsewhere"])


def test_asking_writes_nothing(toy: "GitProject") -> None:
    """No question changes a byte in .git, not even the index's times."""
    toy.write({"new.txt": ""})
    os.utime(toy.root / "pyproject.toml")
    before = git_state(toy.root)
    repository = Repository(toy.root)
    repository.is_dirty()
    repository.default_base(dirty=True, candidate=None)
    assert git_state(toy.root) == before


# --- export -----------------------------------------------------------------------------------


def test_export_is_the_commit_and_nothing_else(toy: "GitProject", tmp_path: Path) -> None:
    """An export holds the commit's files, not those of the index or the working tree."""
    first = toy.git("rev-parse", "HEAD")
    toy.commit({"later.txt": "later"})
    toy.write({"pyproject.toml": "edited", "untracked.txt": ""})
    before = git_state(toy.root)
    repository = Repository(toy.root)
    repository.export(repository.resolve(first), tmp_path / "a" / "tree")
    exported = files_of(tmp_path / "a" / "tree")
    assert "later.txt" not in exported
    assert "untracked.txt" not in exported
    assert exported["pyproject.toml"] != b"edited"
    assert git_state(toy.root) == before


def test_an_export_is_a_repository_at_that_commit(toy: "GitProject", tmp_path: Path) -> None:
    """Builds that take their version from git find the commit, its tags and a clean tree."""
    toy.git("tag", "v1.0")
    toy.commit({"later.txt": "later"})
    repository = Repository(toy.root)
    repository.export(repository.head(), tmp_path / "tree")
    copy = Git(tmp_path / "tree")
    assert copy.line("describe", "--tags", "--dirty").startswith("v1.0-1-g")
    assert copy.ask("symbolic-ref", "--quiet", "HEAD") is None


def test_a_commit_that_no_branch_holds_is_exported(toy: "GitProject", tmp_path: Path) -> None:
    """What was rebased away can still be measured."""
    toy.commit({"lost.txt": "lost"})
    lost = Repository(toy.root).head()
    toy.git("reset", "--quiet", "--hard", "HEAD~1")
    Repository(toy.root).export(lost, tmp_path / "tree")
    assert files_of(tmp_path / "tree")["lost.txt"] == b"lost"


def test_export_from_a_linked_work_tree(toy: "GitProject", tmp_path: Path) -> None:
    """A repository made by git worktree works like any other."""
    toy.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    repository = Repository.discover(tmp_path / "side")
    repository.export(repository.head(), tmp_path / "tree")
    (tmp_path / "side" / "untracked.txt").write_text("x", encoding="utf-8")
    repository.snapshot(tmp_path / "copy")
    assert "pyproject.toml" in files_of(tmp_path / "tree")
    assert "untracked.txt" in files_of(tmp_path / "copy")


def test_export_from_a_shallow_clone(toy: "GitProject", tmp_path: Path, git_settings: Path) -> None:
    """What a shallow clone holds can be exported, whatever the user's settings say of such."""
    toy.commit({"later.txt": "later"})
    repository = shallow_clone(toy, tmp_path / "shallow")
    git_settings.write_text("[clone]\n\trejectShallow = true\n", encoding="utf-8")
    repository.export(repository.head(), tmp_path / "tree")
    assert files_of(tmp_path / "tree")["later.txt"] == b"later"


def test_a_partial_clone_that_lacks_files_is_broken(toy: "GitProject", tmp_path: Path) -> None:
    """Files that were never fetched are not fetched now; the command in the error fetches them."""
    first = toy.git("rev-parse", "HEAD")
    toy.commit({"src/toy/__init__.py": "SIDE = 'second'\n"})
    toy.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    toy.git("clone", "--quiet", "--filter=blob:none", toy.root.as_uri(), str(clone))
    repository = Repository(clone)
    repository.export(repository.head(), tmp_path / "present")
    with pytest.raises(BrokenError) as caught:
        repository.export(repository.resolve(first), tmp_path / "absent")
    remedy = str(caught.value).partition("run: git ")[2]
    toy.git("-C", str(clone), *remedy.split())
    repository.export(repository.resolve(first), tmp_path / "whole")
    assert files_of(tmp_path / "whole")["src/toy/__init__.py"] == b"SIDE = 'first'\n"


def test_no_hook_runs(
    toy: "GitProject", tmp_path: Path, git_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks from the user's settings and templates stay silent in the copies."""
    trace = tmp_path / "trace"
    hook = tmp_path / "template" / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\necho ran >> '{trace}'\n", encoding="utf-8")
    hook.chmod(0o755)
    git_settings.write_text(f'[core]\n\thooksPath = "{hook.parent}"\n', encoding="utf-8")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", os.fspath(hook.parent.parent))
    repository = Repository(toy.root)
    repository.export(repository.head(), tmp_path / "tree")
    assert not trace.exists()
    toy.git("switch", "--quiet", "--detach")
    assert trace.exists(), "the hook would have run"


def test_submodules_come_along(toy: "GitProject", tmp_path: Path) -> None:
    """A submodule that the user has is checked out at the commit each version wants."""
    library = type(toy)(tmp_path / "library")
    library.commit({"lib.py": "old"})
    allow = ("-c", "protocol.file.allow=always")
    toy.git(*allow, "submodule", "--quiet", "add", str(library.root), "vendor/my lib")
    old = toy.commit()
    library.commit({"lib.py": "new"})
    toy.git("-C", "vendor/my lib", "pull", "--quiet")
    toy.commit()
    toy.write({"vendor/my lib/lib.py": "edited"})
    shutil.rmtree(library.root)
    repository = Repository(toy.root)
    repository.export(repository.resolve(old), tmp_path / "a")
    repository.export(repository.head(), tmp_path / "b")
    repository.snapshot(tmp_path / "c")
    seen = [(tmp_path / side / "vendor/my lib/lib.py").read_text("utf-8") for side in "abc"]
    assert seen == ["old", "new", "edited"]


def test_a_submodule_that_lacks_the_commit_is_broken(toy: "GitProject", tmp_path: Path) -> None:
    """A submodule's missing commit names the submodule and how to fetch it."""
    library = type(toy)(tmp_path / "library")
    library.commit({"lib.py": "old"})
    allow = ("-c", "protocol.file.allow=always")
    toy.git(*allow, "submodule", "--quiet", "add", str(library.root), "vendor")
    toy.git("update-index", "--cacheinfo", f"160000,{'1' * 40},vendor")
    toy.git("commit", "--quiet", "--message=points nowhere")
    repository = Repository(toy.root)
    with pytest.raises(BrokenError, match=r"submodule vendor .* fetch"):
        repository.export(repository.head(), tmp_path / "tree")


def test_a_submodule_the_user_does_not_have_stays_empty(toy: "GitProject", tmp_path: Path) -> None:
    """What is not there for the user is not there for the measurement either."""
    library = type(toy)(tmp_path / "library")
    library.commit({"lib.py": "old"})
    allow = ("-c", "protocol.file.allow=always")
    toy.git(*allow, "submodule", "--quiet", "add", str(library.root), "vendor")
    toy.commit()
    toy.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    repository = Repository(tmp_path / "clone")
    repository.export(repository.head(), tmp_path / "tree")
    assert not (tmp_path / "tree" / "vendor" / "lib.py").exists()


# --- snapshot ---------------------------------------------------------------------------------


def test_snapshot_is_the_working_tree_as_git_sees_it(toy: "GitProject", tmp_path: Path) -> None:
    """Edited, new and renamed files are in it; deleted and ignored ones are not."""
    toy.commit({".gitignore": "*.log\n", "gone.txt": "", "old name.txt": "x", "staged.txt": "1"})
    toy.write({"pyproject.toml": "edited", "new/deep/file.txt": "new", "noise.log": ""})
    (toy.root / "gone.txt").unlink()
    (toy.root / "old name.txt").rename(toy.root / "new name.txt")
    toy.write({"staged.txt": "2"})
    toy.git("add", "staged.txt")
    toy.write({"staged.txt": "3"})
    before = git_state(toy.root)
    Repository(toy.root).snapshot(tmp_path / "tree")
    expected = files_of(toy.root)
    del expected["noise.log"]
    assert files_of(tmp_path / "tree") == expected
    assert expected["staged.txt"] == b"3"
    assert git_state(toy.root) == before


def test_a_snapshot_is_a_repository_in_the_same_state(toy: "GitProject", tmp_path: Path) -> None:
    """Its commit, its description and its status are those of the working tree."""
    toy.git("tag", "v1.0")
    toy.git("switch", "--quiet", "--detach")
    toy.commit({"later.txt": ""})
    toy.write({"pyproject.toml": "edited", "untracked.txt": "", "staged.txt": ""})
    toy.git("add", "staged.txt")
    Repository(toy.root).snapshot(tmp_path / "tree")
    copy = Git(tmp_path / "tree")
    for question in (
        ("rev-parse", "HEAD"),
        ("describe", "--tags", "--dirty"),
        ("status", "--porcelain"),
    ):
        assert copy.line(*question) == toy.git(*question)


def test_a_snapshot_before_the_first_commit(project: "GitProject", tmp_path: Path) -> None:
    """Even a repository without commits can be copied."""
    project.write({"file.txt": "x"})
    Repository(project.root).snapshot(tmp_path / "tree")
    assert files_of(tmp_path / "tree") == {"file.txt": b"x"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_and_modes_are_kept(toy: "GitProject", tmp_path: Path) -> None:
    """Links stay links, broken and to folders alike; an executable file stays one."""
    (toy.root / "to file").symlink_to("pyproject.toml")
    (toy.root / "to folder").symlink_to("src")
    (toy.root / "broken").symlink_to("nowhere")
    toy.write({"run.sh": "#!/bin/sh\n"})
    (toy.root / "run.sh").chmod(0o755)
    toy.commit()
    (toy.root / "untracked link").symlink_to("src")
    repository = Repository(toy.root)
    repository.snapshot(tmp_path / "tree")
    repository.export(repository.head(), tmp_path / "commit")
    assert files_of(tmp_path / "tree") == files_of(toy.root)
    assert (tmp_path / "tree" / "to folder").readlink() == Path("src")
    for tree in (tmp_path / "tree", tmp_path / "commit"):
        assert os.access(tree / "run.sh", os.X_OK)
        assert not os.access(tree / "pyproject.toml", os.X_OK)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_passed_over(toy: "GitProject", tmp_path: Path) -> None:
    """A named pipe in the working tree must not hang the copy."""
    os.mkfifo(toy.root / "pipe")
    Repository(toy.root).snapshot(tmp_path / "tree")
    assert "pyproject.toml" in files_of(tmp_path / "tree")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(toy: "GitProject", tmp_path: Path) -> None:
    """A file that cannot be read stops the copy and says which it is."""
    toy.write({"secret.txt": ""})
    (toy.root / "secret.txt").chmod(0)
    with pytest.raises(BrokenError, match=r"secret\.txt cannot be read"):
        Repository(toy.root).snapshot(tmp_path / "tree")


def test_repositories_inside_are_passed_over(toy: "GitProject", tmp_path: Path) -> None:
    """Somebody else's clone in the working tree is not part of the project."""
    type(toy)(toy.root / "inner").commit({"inner.txt": ""})
    Repository(toy.root).snapshot(tmp_path / "tree")
    assert not (tmp_path / "tree" / "inner").exists()


def test_an_edit_after_the_snapshot_changes_nothing(toy: "GitProject", tmp_path: Path) -> None:
    """The copy shares no file with the working tree."""
    Repository(toy.root).snapshot(tmp_path / "tree")
    with (toy.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# edited while measuring\n")
    assert b"while measuring" not in (tmp_path / "tree" / "pyproject.toml").read_bytes()


_name_parts = st.binary(min_size=1, max_size=12).filter(
    lambda name: (
        b"/" not in name and b"\0" not in name and name.lower() not in {b".", b"..", b".git"}
    )
)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes on Linux only")
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(names=st.lists(_name_parts, min_size=1, max_size=30, unique=True))
def test_any_file_name_survives(
    tmp_path_factory: pytest.TempPathFactory, project: "GitProject", names: list[bytes]
) -> None:
    """Names of any bytes, with newlines, quotes or invalid UTF-8, arrive unchanged."""
    for name in names:
        # A prefix keeps ignore rules and options apart from names.
        path = project.root / "odd" / os.fsdecode(b"f" + name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name)
    target = tmp_path_factory.mktemp("snapshot") / "tree"
    Repository(project.root).snapshot(target)
    assert files_of(target) == files_of(project.root)
