"""What the pages and workflows tell to type exists."""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import click
import pytest

from groundspeed.cli.main import commands as groundspeed

Commands = list[tuple[str, list[str]]]

_SHOWN_RECIPES = (
    *("check-modules", "check-scenarios"),
    *("lint", "types", "imports", "tests-within", "tests-around"),
)
_RECIPE = re.compile(r"^([a-z.-]+):[^\n]*\n((?:\t[^\n]*\n)+)", re.MULTILINE)


def _named(commands: Commands, program: str) -> list[tuple[str, list[str]]]:
    found = [(at, words[1:]) for at, words in commands if PurePosixPath(words[0]).name == program]
    assert found, f"no page shows how to use {program}"
    return found


def _complaint(arguments: list[str]) -> str | None:
    """What groundspeed would say against these arguments before it does anything."""
    first, *rest = arguments
    try:
        with click.Context(groundspeed, **groundspeed.context_settings) as context:
            if first.startswith("-"):
                groundspeed.make_context("groundspeed", [first])
            else:
                name, command, rest = groundspeed.resolve_command(context, [first, *rest])
                assert command is not None
                command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        return error.format_message()
    return None


def test_every_groundspeed_command_is_understood(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `groundspeed ...` parses, save those that show what a wrong one ends with."""
    monkeypatch.chdir(tmp_path)
    shown = [c for c in _named(commands, "groundspeed") if c[1] != ["check", "--min-effect", "5"]]
    refused = {" ".join(words): _complaint(words) for _, words in shown}
    assert {line: said for line, said in refused.items() if said} == {}


def test_a_wrong_groundspeed_command_would_be_found() -> None:
    """The check above tells a wrong option, command or value from a right one."""
    assert _complaint(["check", "--budget", "1"]) is None
    for wrong in (["chek"], ["check", "--bugdet", "1"], ["check", "--budget", "soon"]):
        assert _complaint(wrong)


def test_every_make_target_exists(commands: Commands, root: Path) -> None:
    """Each `make TARGET` names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z.]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {w for _, words in _named(commands, "make") for w in words if "=" not in w}
    assert asked <= targets


def test_every_git_command_exists(commands: Commands) -> None:
    """Each `git COMMAND` is one of git's own."""
    listed = subprocess.run(
        ["git", "--list-cmds=main"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {words[0] for _, words in _named(commands, "git")} <= set(listed)


def test_every_tool_of_the_environment_is_installed_there(commands: Commands) -> None:
    """Each `.venv/bin/TOOL` comes with what `make test` installs."""
    here = Path(sys.executable).parent
    asked = {
        PurePosixPath(words[0]).name for _, words in commands if words[0].startswith(".venv/bin/")
    }
    assert asked
    assert {tool for tool in asked if shutil.which(tool, path=here) is None} == set()


def test_the_plain_commands_are_what_make_runs(root: Path, pages: dict[str, str]) -> None:
    """The README's way without make has every command of `make check` and `make test`."""
    recipes = dict(_RECIPE.findall((root / "Makefile").read_text("utf-8")))
    wanted = [
        line.strip().lstrip("@").replace("$(BIN)", ".venv/bin").replace(" $(ARGS)", "")
        for target in _SHOWN_RECIPES
        for line in recipes[target].splitlines()
    ]
    shown = [line.partition("#")[0].strip() for line in pages["README.md"].splitlines()]
    assert [line for line in wanted if line not in shown] == []


def test_every_block_says_what_it_is(blocks: list[tuple[str, str, str]]) -> None:
    """A fenced block names its kind, so that none escapes these tests by accident."""
    kinds = {kind for _, kind, _ in blocks}
    assert kinds <= {"bash", "console", "text", "python", "toml", "yaml", "json", "{toctree}"}
