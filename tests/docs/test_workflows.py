"""What CI does is what the pages and the package say."""

import re
import tomllib
from pathlib import Path


def test_the_tests_run_on_every_declared_python(root: Path, workflows: dict[str, str]) -> None:
    """The matrix is the list of the package's classifiers."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = re.search(r"python: \[(.*)\]", workflows["tests"])
    assert matrix
    assert re.findall(r'"([\d.]+)"', matrix[1]) == declared


def test_workflows_may_do_nothing_unless_told(workflows: dict[str, str]) -> None:
    """No permission but to read the contents, and no credentials left for the code under test."""
    assert workflows
    for text in workflows.values():
        assert "\npermissions: {}\n" in text
        granted = re.findall(r"^ {6}([\w-]+: (?:read|write))$", text, re.MULTILINE)
        assert set(granted) == {"contents: read"}
        checkouts = text.count("uses: actions/checkout@")
        assert checkouts == text.count("persist-credentials: false") > 0


def test_actions_are_named_by_version(workflows: dict[str, str]) -> None:
    """Each is the host's own, by a version or a commit and never a branch."""
    used = [u for text in workflows.values() for u in re.findall(r"uses: (\S+)", text)]
    assert used
    assert [u for u in used if not re.fullmatch(r"actions/[\w-]+@(v\d+|[0-9a-f]{40})", u)] == []


def test_nothing_of_an_event_is_pasted_into_a_script(workflows: dict[str, str]) -> None:
    """Names that a contributor chooses reach a shell as variables only."""
    for text in workflows.values():
        scripts = re.findall(r"run: (?:\||>-?)\n((?: {10}.*\n|\n)+)|run: (.*)", text)
        assert scripts
        assert not [s for pair in scripts for s in pair if "${{" in s]


def test_the_check_has_the_history_it_needs(workflows: dict[str, str]) -> None:
    """A shallow clone would have no base."""
    assert "fetch-depth: 0" in workflows["check"]
