"""What a report is made of, whichever format it is written in.

The sections build these, the writers write them: a number is made once and is the same in both.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tools.performance_report.amounts import Amount

__all__ = [
    "Axis",
    "Block",
    "Bullets",
    "Chart",
    "Code",
    "Commands",
    "Curve",
    "Document",
    "Fact",
    "Heading",
    "Inline",
    "Limit",
    "Lines",
    "Link",
    "Mark",
    "Paragraph",
    "Range",
    "Ranges",
    "Section",
    "State",
    "Table",
    "VerdictCard",
    "said",
]

State = Literal[
    "passed",
    "warned",
    "undecided",
    "failed",
    "not run",
    "met",
    "missed",
    "critical",
    "worse",
    "not worse",
    "better",
    "looks worse",
    "looks better",
    "looks alike",
    "not judged",
]
"""What something is: shown by its shape and its word; colour only repeats them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A state, as it is shown."""

    state: State


@dataclass(frozen=True, slots=True)
class Code:
    """A name, path or command."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place in this document, `#latency`, or a file beside it."""

    text: str
    target: str


Inline: TypeAlias = str | Code | Link | Mark | Amount
Words: TypeAlias = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    words: Words


def said(text: str) -> Paragraph:
    """A paragraph of plain words."""
    return Paragraph((text,))


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type, a line each."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; every row has as many cells as there are heads.

    Attributes:
        caption: What it shows.
        heads: Of the columns; those that begin with `>` hold numbers.
        rows: Of cells.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        title: What it shows, without its unit.
        unit: As in `Figure`.
        kind: Even steps, even factors, or `nines`: of shares, even factors of what is left to 1.
    """

    title: str
    unit: str
    kind: Literal["linear", "log", "nines"] = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points, joined or not, in the order of x.

    Attributes:
        name: For the legend.
        points: As x and y.
        shown: A line, dots, or a dashed line of what was fitted.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    shown: Literal["line", "dots", "dashed"] = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A target or critical value: across the chart, or at one x only."""

    name: str
    kind: Literal["target", "critical"]
    y: float
    x: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Curves over one pair of axes."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A value with its interval and limits on one row.

    Attributes:
        name: Of the row.
        value: The estimate.
        low: Lower end; the value where there is none.
        high: Upper end.
        text: The same in words.
        target: Where it should be better than; None without one.
        critical: Where it must be.
        state: How the row stands; None where nothing is judged.
    """

    name: str
    value: float
    low: float
    high: float
    text: str
    target: float | None = None
    critical: float | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Rows of values on one axis."""

    title: str
    axis: Axis
    rows: tuple[Range, ...]


Chart: TypeAlias = Lines | Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One of the few things that stand beside the verdict."""

    name: str
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCard:
    """What a reader should know if they read nothing else.

    Attributes:
        state: The verdict as a state.
        word: The verdict: PASS, WARN, BLOCK or INCONCLUSIVE.
        sentence: Why, in one.
        counts: How many tests are of each state.
        reasons: The worst, at most a handful.
        commands: What to type next.
        facts: Commit, machine, baseline and when.
    """

    state: State
    word: str
    sentence: str
    counts: tuple[tuple[State, int], ...]
    reasons: tuple[Words, ...]
    commands: tuple[str, ...]
    facts: tuple[Fact, ...]


Block: TypeAlias = Heading | Paragraph | Bullets | Commands | Table | Lines | Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section; its anchor is that of its title."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """As repository hosts and Sphinx make it of the title."""
        kept = "".join(c for c in self.title.lower() if c.isalnum() or c in "- ")
        return kept.strip().replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole report."""

    title: str
    card: VerdictCard
    sections: tuple[Section, ...]
