"""The page that says how sure a verdict is: a pure function of the findings.

The sentences are templates and every figure in them is counted here, so that a page written anew
from other evaluations cannot keep an old figure.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from tools.evaluation.pools import IDENTICAL, Condition, Findings, Measure, Pool
from tools.evaluation.reading import FAIL_PERCENT, rules_of
from tools.evaluation.records import Evaluation
from tools.evaluation.tally import PAIRED, format_share, format_span
from tools.evaluation.toy import CASES
from tools.evaluation.workloads import KINDS, SLOWED, kind_of

__all__ = ["page_of"]

_ASV_SUITE = "an asv suite"
_TESTS = "the same work as tests"
_SUITES: Mapping[str, str] = MappingProxyType(
    {
        "groundspeed": _ASV_SUITE,
        "asv": _ASV_SUITE,
        "groundspeed-pytest": _TESTS,
        "pytest-benchmark": _TESTS,
    }
)
_MEASURES: tuple[Measure, ...] = (
    lambda run: run.wall_s,
    lambda run: run.cpu_s,
    lambda run: run.foreign_cpu_s,
)

_OPENING = """
This page was written by `python -m tools.evaluation.how_sure` from {verdicts} verdicts: {tools}.
A verdict is one run of a tool, as a user starts it, on two commits of a toy project of which the
truth is known exactly. Verdicts were taken while the evaluation kept the machine {conditions};
`quiet` means that it added no load of its own.
"""
_ALARMS = """
An alarm is a check of identical code (another commit, but only a remark differs) in which any row
is called slower; its 95 % interval is Wilson's (1927). The last three columns are over the checks
of all commits: rows judged, rows called slower that are not, and rows called faster, which none
is.
"""
_POWER = """
Rows that truly do more work and were called slower, of all such rows, with the 95 % interval.
Rows of one check share its moment, so the true interval is somewhat wider. `undecided` counts the
rows of all checks that groundspeed would not decide; its peers know no such answer. A rule that was
never asked about slower rows is not listed.
"""
_KIND = """
One row of each of these kinds is slowed. A cell says in how many checks it was called slower,
while the machine was {conditions}.
"""
_COST = """
From start to exit, without building environments and wheels: median, then the least and the
greatest. CPU time is that of the tool and of all it started. Foreign CPU time is what everything
else on the machine took meanwhile, competing loops and stolen time included.
"""
_READING = """
- The tools ran in turns, and who went first changed from turn to turn. All have their default
  settings, except where this page says otherwise.
- The slowed rows do whole units more of identical work, which tests count by the instruction;
  what is no unit is below 1 % of a row.
- It is one toy project on the machines named above, and rates far below one in the number of
  checks are not resolved: that is what the intervals say.
"""
_READING_ASV = """
- asv's own verdict is that at factor 1.1, its default, which finds nothing below 10 % by design.
  The other factors are what `asv compare` says of the same results.
"""
_READING_PYTEST_BENCHMARK = """
- pytest-benchmark has no default to fail for; here it is asked for {percent} % of the least, the
  mean and the median time, in one option. A verdict takes two runs of the tests, and both are
  counted. A true change of exactly what it is asked for is a coin toss, and it calls nothing
  faster.
"""
_END = """
How a verdict is made: [how it decides](how-it-decides.md). To ask all this of your own machine:
[repeat the evaluation](../how-to/repeat-the-evaluation.md).
"""


def page_of(findings: Findings, charts: Mapping[str, str]) -> str:
    """The page as Markdown.

    Args:
        findings: What it tells.
        charts: Name -> path of every chart there is, as a link on the page.
    """
    sections = (
        _opening(findings),
        _alarms(findings, charts) if "alarms" in charts else (),
        _power(findings, charts) if "power" in charts else (),
        _kinds(findings) if "power" in charts else (),
        _cost(findings, charts),
        _origin(findings),
        _how_to_read(findings),
    )
    return "\n\n".join(part.strip() for section in sections for part in section) + "\n"


def _opening(findings: Findings) -> Iterator[str]:
    yield "# How sure it is"
    yield _OPENING.format(
        verdicts=sum(len(pool.spent(_MEASURES[0])) for pool in findings.pools),
        tools=_listed([f"{tool} on {_SUITES[tool]}" for tool in findings.tools]),
        conditions=_listed([condition.name for condition in findings.conditions]),
    )
    own = {rules_of(tool)[0] for tool in findings.tools}
    told = [_in_short(p, rule, findings) for p, rule in findings.everywhere() if rule in own]
    yield "\n".join(told)


def _in_short(pool: Pool, rule: str, findings: Findings) -> str:
    """Alarms on identical code and slowdowns found, in one line."""
    alarmed = pool.score(rule, IDENTICAL)
    scores = [(case, pool.score(rule, case)) for case in findings.slowdowns]
    found = [f"{s.found / s.to_find:.0%} at {case.title}" for case, s in scores if s.to_find]
    said = [
        f"alarms in {alarmed.alarms} of {alarmed.runs} checks of identical code",
        f"rows found: {_listed(found)}",
    ]
    told = [words for words, there in zip(said, (alarmed.runs, found), strict=True) if there]
    return f"- **{rule}**, {pool.condition.name}: {'; '.join(told) or 'no verdict'}."


def _alarms(findings: Findings, charts: Mapping[str, str]) -> Iterator[str]:
    yield "## Alarms on code that did not change"
    yield f"![Share of checks of identical code that alarmed, by rule]({charts['alarms']})"
    yield _ALARMS
    lines = [("rule", "machine", "alarms", "rows", "falsely slower", "falsely faster")]
    for pool, rule in findings.everywhere():
        alarmed = pool.score(rule, IDENTICAL)
        every = [pool.score(rule, case) for case in CASES.values()]
        lines.append(
            (
                rule,
                pool.condition.name,
                format_share(alarmed.alarms, alarmed.runs),
                str(sum(run.rows for run in pool.runs if run.problem is None)),
                str(sum(score.false_slower for score in every)),
                str(sum(score.false_faster for score in every)),
            )
        )
    yield _table(lines)


def _power(findings: Findings, charts: Mapping[str, str]) -> Iterator[str]:
    cases = findings.slowdowns
    yield "## Slowdowns found"
    yield f"![Share of truly slower rows found, by true slowdown and rule]({charts['power']})"
    yield _POWER
    for case in cases:
        if case.min_effect is not None:
            yield f"groundspeed judges {case.title} with `--min-effect {case.min_effect}`."
    lines = [("rule", "machine", *(case.title for case in cases), "undecided")]
    for pool, rule in findings.everywhere():
        scores = [pool.score(rule, case) for case in cases]
        if not any(score.to_find for score in scores):
            continue
        found = (format_share(score.found, score.to_find) for score in scores)
        undecided = sum(pool.score(rule, case).undecided for case in CASES.values())
        lines.append((rule, pool.condition.name, *found, str(undecided)))
    yield _table(lines)


def _kinds(findings: Findings) -> Iterator[str]:
    conditions = findings.conditions
    yield "## By kind of work"
    yield _KIND.format(conditions=" · ".join(condition.name for condition in conditions))
    for tool, rule in findings.rules:
        pools = [pool for condition in conditions if (pool := findings.pool(tool, condition))]
        lines = [("kind", *(case.title for case in findings.slowdowns))]
        for kind in map(kind_of, SLOWED):
            cells = tuple(
                " · ".join(
                    f"{score.found}/{score.to_find}"
                    for score in (pool.score(rule, case, kind=kind) for pool in pools)
                    if score.to_find
                )
                for case in findings.slowdowns
            )
            if any(cells):
                lines.append((KINDS[kind], *(cell or "-" for cell in cells)))
        if len(lines) > 1:
            yield f"### Kinds found by {rule}"
            yield _table(lines)


def _cost(findings: Findings, charts: Mapping[str, str]) -> Iterator[str]:
    yield "## What a verdict costs"
    if "wall" in charts:
        yield f"![Wall time of one verdict, by tool]({charts['wall']})"
    yield _COST
    lines: list[Sequence[str]] = [
        ("tool", "suite", "machine", "verdicts", "wall s", "CPU s", "foreign CPU s")
    ]
    for pool in findings.pools:
        spent = [pool.spent(measure) for measure in _MEASURES]
        spans = (format_span(values, digits=1) for values in spent)
        about = (pool.tool, _SUITES[pool.tool], pool.condition.name, str(len(spent[0])))
        lines.append((*about, *spans))
    yield _table(lines)
    ratios = list(_ratios(findings))
    if ratios:
        yield "Tools that judged the same suite in the same turn, one ratio a turn:"
        yield _table([("first / second", "machine", "wall", "CPU"), *ratios])


def _ratios(findings: Findings) -> Iterator[Sequence[str]]:
    for pair in PAIRED:
        for condition in findings.conditions:
            paired = [findings.ratios(pair, condition, measure) for measure in _MEASURES[:2]]
            if paired[0]:
                spans = (format_span(ratios, digits=2) for ratios in paired)
                yield (" / ".join(pair), condition.name, *spans)


def _origin(findings: Findings) -> Iterator[str]:
    yield "## Where, when and how"
    for number, evaluation in enumerate(findings.evaluations, start=1):
        yield f"### Evaluation {number}: {Condition(busy=evaluation.setting.busy).name}"
        yield _table([("what", "value"), *_facts(evaluation)])
        yield f"```bash\n{_command(evaluation)}\n```"
    silent = [
        f"- {run.tool}, {run.case}, turn {run.turn}, exit {run.exit_code}: {run.problem}"
        for evaluation in findings.evaluations
        for run in evaluation.runs
        if run.problem is not None
    ]
    if silent:
        yield "Runs without a verdict, counted nowhere above:"
        yield "\n".join(silent)


def _facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    setting = evaluation.setting
    times = sorted(run.started_at for run in evaluation.runs)
    loads = [run.load_1m for run in evaluation.runs if run.load_1m is not None]
    kept = f", kept on CPU {', '.join(map(str, setting.affinity))}" if setting.affinity else ""
    yield "machine", f"{setting.cpu}, {setting.cpus} CPUs{kept}"
    yield "system", f"{setting.system}, {setting.python}"
    yield "versions", ", ".join(f"{name} {known}" for name, known in setting.versions.items())
    yield "groundspeed's source", f"SHA-256 `{setting.groundspeed_sha256[:16]}`"
    yield "toy project", f"base is commit `{setting.commits.get('base', '-')[:12]}`"
    yield "from, to", f"{times[0]}, {times[-1]}" if times else "-"
    yield "load average before a run", format_span(loads, digits=1)
    yield "preparation, in no figure", f"{sum(evaluation.preparation_s.values()):.0f} s"


def _command(evaluation: Evaluation) -> str:
    """The command that makes such an evaluation."""
    setting, runs = evaluation.setting, evaluation.runs
    ran = {run.case for run in runs}
    words = [
        "python -m tools.evaluation.against_peers --out FOLDER",
        f"--tools {','.join(setting.tools)}",
        f"--cases {','.join(case for case in CASES if case in ran)}",
        f"--repeats {max((run.turn + 1 for run in runs), default=0)}",
    ]
    if set(setting.kinds) != set(KINDS):
        words.append(f"--kinds {','.join(setting.kinds)}")
    if setting.busy:
        words.append(f"--busy {setting.busy}")
    if setting.affinity:
        words.append(f"--cpu-affinity {','.join(map(str, setting.affinity))}")
    return " ".join(words)


def _how_to_read(findings: Findings) -> Iterator[str]:
    yield "## How to read this"
    told = [_READING]
    if "asv" in findings.tools:
        told.append(_READING_ASV)
    if "pytest-benchmark" in findings.tools:
        told.append(_READING_PYTEST_BENCHMARK.format(percent=FAIL_PERCENT))
    yield "\n".join(part.strip() for part in told)
    yield _END


def _listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    ruled = (head, ["---"] * len(head), *body)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in ruled)
