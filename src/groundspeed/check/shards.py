"""Parts of one suite for several machines: which rows are whose, and how a part is judged.

A part is judged as the piece of the whole that it is: the rows of the other parts count in every
correction, as rows without a change. Decision 10 says what that promises.
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from groundspeed.check.verdict import EXIT_PASS, Decision, decide
from groundspeed.model import Comparison, Failure, Row, Shard, Verdict

__all__ = ["ShardRequest", "decide_shard", "rows_elsewhere", "shard_notice"]

_FORM = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRequest:
    """One `--shard I/N`.

    Attributes:
        index: Which part, from 1.
        count: How many parts there are, up to 9999.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "ShardRequest":
        """Read `2/4`.

        Raises:
            ValueError: If it is no such text, or there is no such part.
        """
        form = _FORM.fullmatch(text.strip())
        if not form:
            raise ValueError(f"got {text!r}, needed I/N, which part of how many, such as 2/4")
        index, count = int(form[1]), int(form[2])
        if not 1 <= index <= count:
            needed = f"a part from 1/{count} to {count}/{count}" if count else "at least one part"
            raise ValueError(f"got {text!r}, needed {needed}")
        return cls(index=index, count=count)

    def keep(self, labels: Collection[str]) -> list[str]:
        """Which benchmarks of a suite are in this part, in the order given.

        Sorted by label they are dealt out in turn. So the parts are the same on every machine
        whatever the order there, differ by one benchmark at most, and neighbours, which often take
        alike long, go to different parts.

        Args:
            labels: Of every benchmark of the suite with its parameters, each once.
        """
        mine = set(sorted(labels)[self.index - 1 :: self.count])
        return [label for label in labels if label in mine]

    def recorded(self, rows: Collection[Row], others: int) -> Shard:
        """What the record of this part says of it.

        Args:
            rows: Every row of this part.
            others: How many benchmarks other parts have.
        """
        return Shard(index=self.index, count=self.count, rows=_benchmarks(rows) + others)


def _benchmarks(rows: Collection[Row]) -> int:
    return len({(row.name, row.parameters) for row in rows})


def rows_elsewhere(measured: Collection[Row], others: int) -> list[Row]:
    """Stand-ins for the rows of the other shards, to be set aside in a ledger of this one.

    A benchmark that records several quantities gives as many rows, which is known once it was
    tried. Those of other shards are taken to give as many as those here do on average, rounded up.

    Args:
        measured: The rows measured here.
        others: How many benchmarks other shards have.
    """
    each = len(measured) / _benchmarks(measured) if measured else 1.0
    count = math.ceil(each * others)
    return [Row(name="elsewhere", parameters=(str(number),)) for number in range(count)]


def shard_notice(shard: Shard) -> str:
    """What a reader of a part's report should know."""
    return (
        f"this is shard {shard.index} of {shard.count}: groundspeed merge makes one verdict of all "
        "shards"
    )


def decide_shard(
    comparisons: Sequence[Comparison], file_failures: Sequence[Failure], shard: Shard
) -> Decision:
    """The verdict of one part: that of `decide`, but a part without rows passes.

    A suite may have fewer rows than there are parts, which is nobody's fault.
    """
    decision = decide(comparisons, file_failures)
    if comparisons or decision.verdict is Verdict.BLOCK:
        return decision
    reason = f"the suite has {shard.rows} rows, none of them for shard {shard.index}"
    return Decision(verdict=Verdict.PASS, exit_code=EXIT_PASS, reasons=(reason,))
