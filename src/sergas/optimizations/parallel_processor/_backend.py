"""What a backend is: lanes on which chunks are worked off, each served by a thread of a crew."""

from typing import Protocol

from sergas.optimizations.parallel_processor._chunk import Chunk, Job

__all__ = ["Lane"]


class Lane(Protocol):
    """One worker, and the way to it."""

    def work(self, chunk: Chunk) -> bool:
        """Claim items of the chunk until none is left, and keep what becomes of each.

        An item's error, its running out of time and the end of the worker it was on go into
        `chunk.errors`; nothing is raised for them.

        Returns:
            Whether the lane still has the chunk and can take another. If not, somebody else has
            taken it over while it was stuck.
        """
        ...

    def cancel(self, job: Job) -> None:
        """Start no further item of a job; called from any thread."""
        ...

    def close(self) -> None:
        """End the worker, waiting for it; called by the thread that works, when it is done."""
        ...

    def kill(self) -> None:
        """End the worker where it is; called from any thread."""
        ...

    def peak_rss_bytes(self) -> int | None:
        """The most memory its worker has held; None if that is not known yet."""
        ...
