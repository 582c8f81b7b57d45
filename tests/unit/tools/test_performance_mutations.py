"""The defects that are put into the service on purpose."""

from pathlib import Path

import pytest
from tools.evaluation.performance_mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_defect_can_be_put_in(mutation: Mutation) -> None:
    """What it replaces is in the source exactly once, and the defect is something else."""
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert source.count(mutation.sound) == 1
    assert mutation.defect not in source or not mutation.defect
