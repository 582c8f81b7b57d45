"""The pages on load say what there is."""

import dataclasses
import re

import click

from groundspeed.cli.load import load_command
from groundspeed.report.load_record import LOAD_SCHEMA, LoadRecord


def test_every_field_of_the_json_is_on_its_page(pages: dict[str, str]) -> None:
    """And no other."""
    page = pages["docs/reference/load-json.md"]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert told == {field.name for field in dataclasses.fields(LoadRecord)}
    assert f"`{LOAD_SCHEMA}`" in page


def test_every_option_of_load_is_documented(pages: dict[str, str]) -> None:
    """And no other."""
    page = pages["docs/reference/cli.md"]
    for name, command in load_command.commands.items():
        section = page.partition(f"## groundspeed load {name}\n")[2].partition("\n## ")[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `-")]
        told = {option for row in rows for option in re.findall(r"--?[a-z][a-z-]*", row)}
        with click.Context(command, help_option_names=["-h", "--help"]) as context:
            known = {text for option in command.get_params(context) for text in option.opts}
        assert told == {text for text in known if text.startswith("-")}
