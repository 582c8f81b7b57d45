"""Links lead somewhere, and every page can be found."""

import re
from pathlib import Path, PurePosixPath

import pytest

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(text: str) -> set[str]:
    """The anchors of the headings, as repository hosts and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def _links(prose: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (page, link)
        for page, text in prose.items()
        for link in _LINK.findall(re.sub(r"`[^`\n]*`", "", text))
        if "://" not in link
    ]


def _target(root: Path, page: str, link: str) -> Path:
    path = link.partition("#")[0]
    return (root / page).parent / path if path else root / page


def test_every_internal_link_resolves(root: Path, prose: dict[str, str]) -> None:
    """The file is there, and the heading in it."""
    links = _links(prose)
    assert links
    dead = []
    for page, link in links:
        target = _target(root, page, link)
        anchor = link.partition("#")[2]
        if not target.is_file() or (anchor and anchor not in _anchors(target.read_text("utf-8"))):
            dead.append((page, link))
    assert dead == []


def test_every_page_of_the_documentation_can_be_found(root: Path, prose: dict[str, str]) -> None:
    """docs/index.md, or a page it leads to, links to every page under docs."""
    reached: set[str] = set()
    waiting = ["docs/index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [_target(root, p, link).resolve() for p, link in _links(prose) if p == page]
        found = [t.relative_to(root).as_posix() for t in targets if t.is_relative_to(root)]
        waiting += [name for name in found if name in prose]
    documentation = {page for page in prose if PurePosixPath(page).parts[0] == "docs"}
    assert documentation - reached == set()


def test_decisions_are_numbered_without_gaps(root: Path) -> None:
    """0001, 0002 and so on, each with a status and a context, decision and consequences."""
    pages = sorted((root / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {int(page.name[:4])}. ")
        assert "\nStatus: " in text
        for heading in ("Context", "Decision", "Consequences"):
            assert f"\n## {heading}\n" in text


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md"])
def test_what_a_newcomer_looks_for_is_linked(name: str, prose: dict[str, str]) -> None:
    """The README leads to the files every project has."""
    assert ("README.md", name) in _links(prose)
