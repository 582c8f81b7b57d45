"""The reference pages say what the code does: no more and no less."""

import ast
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import asv.config
import pytest
from packaging.requirements import Requirement

from groundspeed.check import verdict
from groundspeed.cli.accept import accept_command
from groundspeed.cli.check import check_command
from groundspeed.cli.main import INTERRUPTED, commands
from groundspeed.errors import BrokenError, NoBaselineError, UsageError
from groundspeed.measure import suite
from groundspeed.measure.scratch import CACHE_VARIABLE
from groundspeed.stats import GateRule
from groundspeed.store import rules
from groundspeed.store.accepted import parse_accepted
from groundspeed.store.calibrations import STATE_VARIABLE

_EXIT_WORDS = {
    verdict.EXIT_PASS: "pass",
    verdict.EXIT_SLOWER: "slower",
    UsageError.exit_code: "usage",
    verdict.EXIT_UNDECIDED: "undecided",
    NoBaselineError.exit_code: "no baseline",
    BrokenError.exit_code: "broken",
    INTERRUPTED: "interrupted",
}


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row in `text`, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    ruled = {i for i, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for i, row in enumerate(cells) if i not in ruled and i + 1 not in ruled]


def _section(text: str, heading: str) -> str:
    return re.split(r"^#+ ", text.partition(f"{heading}\n")[2], flags=re.MULTILINE)[0]


@pytest.fixture(scope="session")
def declared(root: Path) -> dict[str, Any]:
    """The [project] table."""
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return project


@pytest.mark.parametrize("page", ["README.md", "docs/reference/exit-codes.md"])
def test_exit_code_tables_are_those_of_the_code(page: str, pages: dict[str, str]) -> None:
    """Every code with its word, and no other."""
    told = {int(row[0]): row[1] for row in _rows(pages[page]) if row[0].isdigit()}
    assert told == _EXIT_WORDS


def test_the_help_and_the_pages_name_exit_codes_alike() -> None:
    """`groundspeed --help` has the same words as the tables."""
    help_text = " ".join((commands.epilog or "").split())
    for code, word in _EXIT_WORDS.items():
        assert re.search(rf"\b{code}:? {word}", help_text)


def test_a_verdict_and_an_error_of_one_kind_end_alike() -> None:
    """The codes a verdict ends with are those of the errors of the same kind."""
    assert BrokenError.exit_code == verdict.EXIT_BROKEN
    assert NoBaselineError.exit_code == verdict.EXIT_NO_BASELINE


def test_every_option_is_documented_and_exists(pages: dict[str, str]) -> None:
    """cli.md lists the options of `groundspeed check`, long and short."""
    told = _section(pages["docs/reference/cli.md"], "## groundspeed check")
    listed = {
        option for row in _rows(told) for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", row[0])
    }
    exist = {
        name
        for parameter in check_command.params
        if parameter.param_type_name == "option"
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    exist.update(commands.context_settings["help_option_names"])
    assert listed == exist


def test_every_argument_is_documented(pages: dict[str, str]) -> None:
    """cli.md has a row for each argument, in order."""
    rows = _rows(_section(pages["docs/reference/cli.md"], "## groundspeed check"))
    told = [row[0].strip("`") for row in rows if not row[0].startswith("`-")]
    arguments = [p for p in check_command.params if p.param_type_name == "argument"]
    assert told == [(p.name or "").upper() for p in arguments]


def test_every_option_and_argument_of_accept_is_documented(pages: dict[str, str]) -> None:
    """cli.md lists those of `groundspeed accept` too, and no other."""
    rows = _rows(_section(pages["docs/reference/cli.md"], "## groundspeed accept"))
    told = {name for row in rows for name in re.findall(r"(?<!\w)--?[a-z]+|^`NAME", row[0])}
    options = [p for p in accept_command.params if p.param_type_name == "option"]
    exist = {name for option in options for name in option.opts}
    exist.update(commands.context_settings["help_option_names"])
    assert told == exist | {"`NAME"}
    required = {option.opts[0] for option in options if option.required}
    assert required == {row[0].strip("`").split()[0] for row in rows[1:] if row[2] == "required"}


def test_every_setting_of_pyproject_is_documented(pages: dict[str, str]) -> None:
    """settings.md has the keys of [tool.groundspeed] and of its rules that rules.py knows."""
    page = pages["docs/reference/settings.md"]
    for heading, known in (
        ("## Read from pyproject.toml", rules.KEYS),
        ("### Rules for single rows", rules.RULE_KEYS),
    ):
        assert tuple(row[0].strip("`") for row in _rows(_section(page, heading))) == known


def test_the_example_of_settings_can_be_read(pages: dict[str, str]) -> None:
    """Copied into a pyproject.toml it says what the page says."""
    (example,) = re.findall(r"```toml\n(.*?)```", pages["docs/reference/settings.md"], re.DOTALL)
    read = rules.parse_rules(tomllib.loads(example)["tool"]["groundspeed"], place="settings.md")
    assert (read.min_effect, read.budget_s, len(read.rows)) == (0.02, 300, 4)


def test_the_example_of_an_acceptance_can_be_read(pages: dict[str, str]) -> None:
    """accept-a-change.md shows an entry that the file may hold."""
    page = pages["docs/how-to/accept-a-change.md"]
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (entry,) = parse_accepted(example.encode(), place=Path("accepted.toml"))
    assert f"up to {entry.ratio_high:.3f}x: {entry.reason}\n" in page


def test_documented_defaults_are_those_of_the_options(pages: dict[str, str]) -> None:
    """An option whose default the help shows has the same in cli.md."""
    rows = _rows(_section(pages["docs/reference/cli.md"], "## groundspeed check"))
    told = {row[0].split("`")[1].split()[0]: row[2] for row in rows}
    shown = [p for p in check_command.params if getattr(p, "show_default", None)]
    assert shown
    for parameter in shown:
        assert told[parameter.opts[0]] == f"`{parameter.default}`"


def test_every_dependency_has_its_reason(pages: dict[str, str], declared: dict[str, Any]) -> None:
    """dependencies.md lists what pyproject.toml does, section by section, with a reason each."""
    page = pages["docs/reference/dependencies.md"]
    groups = {"## Always installed": declared["dependencies"]}
    extras = declared["optional-dependencies"]
    groups |= {f"## Extra `{extra}`": texts for extra, texts in extras.items()}
    assert set(re.findall(r"^## .*$", page, re.MULTILINE)) == set(groups)
    for heading, texts in groups.items():
        rows = _rows(_section(page, heading))
        assert {row[0] for row in rows} == {Requirement(text).name for text in texts}
        assert all(row[1] for row in rows)


def test_every_setting_that_is_read_is_documented(pages: dict[str, str]) -> None:
    """settings.md has the keys of asv.conf.json that suite.py names, and no other."""
    known = set(vars(asv.config.Config()))
    tree = ast.parse(inspect.getsource(suite))
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    told = re.split(r"^## ", pages["docs/reference/settings.md"], flags=re.MULTILINE)[1:3]
    listed = {key for part in told for row in _rows(part) for key in re.findall(r"`(\w+)`", row[0])}
    assert listed == known & texts


def test_the_cache_variable_is_documented(pages: dict[str, str]) -> None:
    """settings.md names the variables that are read."""
    variables = {
        row[0].strip("`")
        for row in _rows(
            _section(pages["docs/reference/settings.md"], "## Read from the environment")
        )
    }
    assert variables == {CACHE_VARIABLE, STATE_VARIABLE, "NO_COLOR"}


def test_the_rule_is_explained_with_its_own_values(pages: dict[str, str]) -> None:
    """how-it-decides.md and the README give the looks, shares and confidence that are in force."""
    rule, page = GateRule(), pages["docs/explanation/how-it-decides.md"]
    looks = f"{', '.join(map(str, rule.looks[:-1]))} and {rule.looks[-1]}"
    shares = [round(share * 100) for share in rule.shares]
    assert f"{looks} launch pairs" in page
    assert f"{looks} pairs" in pages["README.md"]
    assert f"{', '.join(map(str, shares[:-1]))} and {shares[-1]} %" in page
    early = f"{100 * rule.early_same[0]:g} and {100 * rule.early_same[1]:g} % at the first two"
    assert early in page
    assert f"{rule.same_confidence:.0%}".replace("%", " %") + " interval" in page
    assert f"{rule.margin_resolved / rule.min_effect:.0f}" == "2"
    assert "twice the minimum effect" in page
