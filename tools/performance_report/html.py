"""The report as one HTML file that needs no network and no script.

Everything is escaped by the template engine, for messages in stored results may hold anything.
"""

from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from tools.performance_report.blocks import Chart, Document, Inline
from tools.performance_report.marks import TONES, shape_of
from tools.performance_report.svg import svg_chart

__all__ = ["to_html"]

_FOLDER = Path(__file__).parent
_LONG = 40


def to_html(document: Document) -> str:
    """The whole page."""
    style = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    template = _environment().get_template("page.html.jinja")
    return template.render(document=document, style=style)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "address": lambda target: quote(target, safe="#/.-_~"),
        "drawn": _drawn,
        "head": lambda head: head.removeprefix(">"),
        "kind": lambda one: type(one).__name__,
        "place": _place,
        "shape": shape_of,
        "tone": lambda state: TONES[state],
    }
    return environment


def _drawn(chart: Chart) -> Markup:
    # Text in it is escaped by ElementTree.
    return Markup(svg_chart(chart))  # noqa: S704


def _place(cell: Inline, head: str) -> Markup:
    """The class of a cell: numbers to the right, long text with room."""
    if head.startswith(">"):
        return Markup(' class="n"')
    return Markup(' class="long"') if isinstance(cell, str) and len(cell) > _LONG else Markup()
