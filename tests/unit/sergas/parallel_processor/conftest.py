"""Worker processes import the functions under test by name, from the root of the tests."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[4])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
