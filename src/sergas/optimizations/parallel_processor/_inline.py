"""Work in the caller's own thread."""

import time

from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._tally import Tally
from sergas.optimizations.parallel_processor._threads import work_here

__all__ = ["InlineCrew"]


class InlineCrew:
    """Works a chunk off when it is submitted.

    Args:
        tally: Counts what was done.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def submit(self, chunk: Chunk) -> None:
        """Work the chunk off and deliver it."""
        chunk.queued_s = chunk.began_s = time.monotonic()
        work_here(chunk)
        chunk.busy_s = time.monotonic() - chunk.began_s
        self._tally.count(chunk)
        chunk.job.deliver(chunk)

    def cancel(self, job: Job) -> None:
        """Nothing to do: nothing is under way but in the caller's own hands."""

    def close(self, *, is_draining: bool) -> None:
        """Nothing to do."""
