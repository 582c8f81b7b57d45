"""The pages, and the commands a reader would type from them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(```+)([^\n`]*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
_HEREDOC = re.compile(r"^.*<<'(\w+)'\n.*?^\1$", re.DOTALL | re.MULTILINE)
_STEP = re.compile(r"^\s*(?:- )?(?:run: )?((?:\S*/)?groundspeed .*|make .*)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_BETWEEN = re.compile(r"[;|&<>()]+")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return _ROOT


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Every page for people, by its path from the root."""
    found = [*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), _ROOT / "changelog.d" / "README.md"]
    return {
        path.relative_to(_ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(found)
        if "_build" not in path.parts
    }


@pytest.fixture(scope="session")
def workflows() -> dict[str, str]:
    """The CI workflows, by name."""
    return {path.stem: path.read_text("utf-8") for path in _ROOT.glob(".github/workflows/*.yml")}


@pytest.fixture(scope="session")
def blocks(pages: dict[str, str]) -> list[tuple[str, str, str]]:
    """Every fenced block: page, language, content."""
    return [
        (page, match[2].strip(), match[3])
        for page, text in pages.items()
        for match in _FENCE.finditer(text)
    ]


@pytest.fixture(scope="session")
def prose(pages: dict[str, str]) -> dict[str, str]:
    """The pages without their fenced blocks."""
    return {page: _FENCE.sub("", text) for page, text in pages.items()}


@pytest.fixture(scope="session")
def commands(
    blocks: list[tuple[str, str, str]], workflows: dict[str, str]
) -> list[tuple[str, list[str]]]:
    """Every simple command in shell blocks and workflows: where it is, and its words."""
    scripts = [(page, content) for page, kind, content in blocks if kind in {"bash", "console"}]
    scripts += [(name, "\n".join(_STEP.findall(text))) for name, text in workflows.items()]
    return [(where, words) for where, script in scripts for words in _simple_commands(script)]


def _simple_commands(script: str) -> Iterator[list[str]]:
    for line in _HEREDOC.sub("", script).splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if _BETWEEN.fullmatch(word):
                if words:
                    yield words
                words = []
            elif words or not _ASSIGNMENT.match(word):
                words.append(word)
        if words:
            yield words
