"""The page about the four modules."""

import re
from pathlib import Path

import sergas.optimizations


def test_examples_run() -> None:
    """Each example on the page runs as it stands, and its assertions hold."""
    page = Path(sergas.optimizations.__file__).with_name("README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 our own page
