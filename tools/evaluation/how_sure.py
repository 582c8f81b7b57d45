"""Write the page that says how sure a verdict is, from evaluations that were made.

    python -m tools.evaluation.how_sure FOLDER [FOLDER ...] --out docs/explanation/how-sure.md

No figure in the page is typed by hand; its charts stand beside it as SVG files.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.evaluation.figures import charts_of
from tools.evaluation.page import page_of
from tools.evaluation.pools import pooled
from tools.evaluation.records import EvaluationError, load

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its charts; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.evaluation.how_sure",
        description="Write how sure a verdict is, from the folders of against_peers.",
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="holds runs.json")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE", help="the Markdown file")
    options = parser.parse_args(arguments)
    try:
        findings = pooled([load(folder / "runs.json") for folder in options.folders])
    except EvaluationError as error:
        print(f"how_sure: {error}", file=sys.stderr)
        return 5
    options.out.parent.mkdir(parents=True, exist_ok=True)
    charts = charts_of(findings)
    links = {name: f"{options.out.stem}-{name}.svg" for name in charts}
    for name, drawn in charts.items():
        options.out.with_name(links[name]).write_text(drawn, encoding="utf-8", newline="\n")
    options.out.write_text(page_of(findings, links), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
