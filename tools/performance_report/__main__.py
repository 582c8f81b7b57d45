"""Write the performance report from stored runs of the performance suite.

    python -m tools.performance_report

No figure in it is typed by hand, and the same stored runs give the same bytes.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.performance_report.asv import read_asv
from tools.performance_report.blocks import Document
from tools.performance_report.document import document_of
from tools.performance_report.html import to_html
from tools.performance_report.markdown import to_markdown
from tools.performance_report.material import Material
from tools.performance_report.roster import read_roster
from tools.performance_report.stored import (
    ReportError,
    StoredRun,
    choose_baseline,
    choose_run,
    read_run,
    read_runs,
    runs_like,
)

from groundspeed.store.checks import write_atomically

__all__ = ["main"]

_FAILED = 5
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    storage: Path
    run: str | None
    baseline: str | None
    markdown: Path
    html: Path
    asv: Path
    tests: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; returns the exit code: 0 written, 2 usage, 5 nothing to write it from."""
    options = _parsed(arguments)
    try:
        material = _material(options)
        for path, write in ((options.markdown, to_markdown), (options.html, to_html)):
            _write(path, write, material)
    except ReportError as error:
        print(f"performance_report: {error}", file=sys.stderr)
        return _FAILED
    print(f"wrote {options.markdown} and {options.html} from {material.run.path}")
    return 0


def _parsed(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(
        prog="python -m tools.performance_report",
        description="Write the performance report from stored runs of the performance suite.",
    )
    add = parser.add_argument
    add("--storage", type=Path, default=Path("results/pytest"), help="where runs are stored")
    add("--run", metavar="RUN", help="a number such as 0007, or a file; the newest without it")
    add("--baseline", metavar="RUN", help="the same, or `none`; found without it")
    add("--markdown", type=Path, default=Path("docs/performance_report.md"), metavar="FILE")
    add("--html", type=Path, default=Path("performance-report.html"), metavar="FILE")
    add("--asv", type=Path, default=Path("results/asv"), help="results of asv, where there are any")
    add("--tests", type=Path, default=Path("tests/performance"), help="the suite's folder")
    return _Options(**vars(parser.parse_args(arguments)))


def _material(options: _Options) -> Material:
    roster = read_roster(options.tests, prefix=options.tests.as_posix())
    names = [test.fullname for test in roster]
    stored = _stored(options)
    run = _named(options.run, stored) or choose_run(stored, names, options.run)
    if not run.holding(names):
        raise ReportError(
            f"{run.path}: got {len(run.results)} results of other tests, needed some of "
            f"{options.tests}; name another run by --run"
        )
    baseline, why = _baseline(options.baseline, stored, run, names)
    return Material(
        run=run,
        like=runs_like(stored, run),
        baseline=baseline,
        baseline_like=() if baseline is None else runs_like(stored, baseline),
        no_baseline=why,
        roster=roster,
        asv=read_asv(options.asv),
        link=lambda _: "",
    )


def _stored(options: _Options) -> list[StoredRun]:
    """All stored runs; none are needed where the run is a file."""
    if options.run is not None and Path(options.run).is_file() and not options.storage.is_dir():
        return []
    return read_runs(options.storage)


def _named(wanted: str | None, stored: Sequence[StoredRun]) -> StoredRun | None:
    """The run of a file that was named; the stored one where it is one of these."""
    if wanted is None or not Path(wanted).is_file():
        return None
    path = Path(wanted)
    return next((run for run in stored if run.path.samefile(path)), None) or read_run(path)


def _baseline(
    wanted: str | None, stored: Sequence[StoredRun], run: StoredRun, names: Sequence[str]
) -> tuple[StoredRun | None, str]:
    if wanted == _NONE:
        return None, "none was asked for"
    try:
        if wanted is None:
            return choose_baseline(stored, run, names), ""
    except LookupError as error:
        return None, str(error)
    chosen = _named(wanted, stored) or choose_run(stored, names, wanted)
    if chosen.machine != run.machine:
        raise ReportError(
            f"{chosen.path}: got a run of another machine or interpreter than {run.path}, needed "
            "one of the same: a difference would say nothing of the code; choose another "
            "--baseline, or `none`"
        )
    return chosen, ""


def _write(path: Path, write: Callable[[Document], str], material: Material) -> None:
    def link(file: Path) -> str:
        """From the report's folder; nothing where the file lies outside of this one."""
        here = Path.cwd()
        if not (file.resolve().is_relative_to(here) and path.resolve().is_relative_to(here)):
            return ""
        return Path(os.path.relpath(file.resolve(), path.resolve().parent)).as_posix()

    text = write(document_of(replace(material, link=link)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        option = "--markdown" if path.suffix == ".md" else "--html"
        raise ReportError(
            f"{path}: cannot be written ({error.strerror}); name another file by {option}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
