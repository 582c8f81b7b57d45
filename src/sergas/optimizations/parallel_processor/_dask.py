"""Lanes on a cluster of `distributed`: each has one chunk under way there at a time."""

from functools import cache
from typing import Any

from sergas.errors import MissingExtraError, ProcessorValueError, WorkerCrashedError
from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._packed import keep_all, work_apart

__all__ = ["DaskLane", "dask_client"]


@cache
def dask_client(address: str | None) -> Any:
    """A client of the scheduler at `address`, or of a cluster started on this machine.

    Raises:
        MissingExtraError: If `distributed` is not installed.
        OSError: If no scheduler answers there.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            'backend="dask" needs distributed; run: pip install "groundspeed[dask]"'
        ) from error
    if address is not None:
        return distributed.Client(address)
    # An item that ends its worker is not tried on the next one.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    return distributed.Client(
        distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
    )


class DaskLane:
    """A place in the cluster's queue.

    Args:
        client: A `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._future: Any = None

    def work(self, chunk: Chunk) -> bool:
        """Have the cluster work off all that is left of the chunk.

        When a worker ends with a chunk, its items are tried once more one by one, so that only the
        one that ends its worker is lost.
        """
        claimed = list(chunk.claims)
        if chunk.job.options.timeout_s is not None:
            error = ProcessorValueError(
                'timeout: an item cannot be ended on a cluster; use backend="process"'
            )
            chunk.errors.update({place: error for place, _ in claimed})
            return True
        if self._try(chunk, claimed) is not None and len(claimed) > 1:
            for single in claimed:
                self._try(chunk, [single])
        return True

    def cancel(self, job: Job) -> None:  # noqa: ARG002 - it has one chunk at a time
        """Take back what has not begun."""
        if (future := self._future) is not None:
            future.cancel()

    def close(self) -> None:
        """Nothing to do: the client is shared, and ends with the program."""

    def kill(self) -> None:
        """Take back what has not begun."""
        if (future := self._future) is not None:
            future.cancel()

    def peak_rss_bytes(self) -> int | None:
        """Not known here: the workers are the cluster's."""
        return None

    def _try(self, chunk: Chunk, claimed: list[tuple[int, Any]]) -> BaseException | None:
        places = [place for place, _ in claimed]
        items = [item for _, item in claimed]
        try:
            self._future = self._client.submit(work_apart, chunk.job.function, items, pure=False)
            ended = self._future.result()
        except Exception as cause:  # noqa: BLE001 - whatever the cluster says
            if len(places) == 1:
                chunk.errors[places[0]] = _lost(chunk.start + places[0], cause)
            return cause
        finally:
            self._future = None
        keep_all(chunk, places, ended)
        return None


def _lost(index: int, cause: Exception) -> Exception:
    if type(cause).__name__ != "KilledWorker":
        return cause
    error = WorkerCrashedError(
        f"item {index}: its worker in the cluster ended while working on it ({cause})"
    )
    error.__cause__ = cause
    return error
