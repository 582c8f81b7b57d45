"""How Sphinx builds these pages: Markdown by MyST, the theme furo, nothing from other hosts."""

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"

project = "groundspeed"
release = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]
version = release
language = "en"

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
# Deep enough for every heading that another page links to.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"groundspeed {release}"
html_copy_source = False
html_show_sphinx = False
