"""The page about the four modules."""

import re
from pathlib import Path

import sergas.optimizations


def test_example_runs() -> None:
    """The example on the page runs as it stands, and its assertions hold."""
    page = Path(sergas.optimizations.__file__).with_name("README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 our own page
