"""What a worker process may use."""

import sys
from dataclasses import dataclass

from sergas.errors import BackendUnavailableError, ProcessorValueError

__all__ = ["ResourceLimits"]

_NICENESS_MAX = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """Limits of every worker process, set when it starts (setrlimit(2), nice(2)).

    An item that asks for more memory gets a MemoryError, which is its own; one that uses up the
    processor time ends its worker, which is that item's, too.

    Attributes:
        memory_bytes: Address space, > 0; a process needs some 200 MB of it to begin with.
        cpu_s: Seconds of processor time in a worker's life, >= 1.
        open_files: File descriptors, >= 16.
        niceness: How far the worker steps back for others, 0 to 19.

    Raises:
        ProcessorValueError: If a value is out of its range.
    """

    memory_bytes: int | None = None
    cpu_s: int | None = None
    open_files: int | None = None
    niceness: int = 0

    def __post_init__(self) -> None:
        least = {"memory_bytes": 1, "cpu_s": 1, "open_files": 16}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ProcessorValueError(f"{name}: got {value}, needed {lowest} or more")
        if not 0 <= self.niceness <= _NICENESS_MAX:
            raise ProcessorValueError(f"niceness: got {self.niceness}, needed 0 to {_NICENESS_MAX}")

    @property
    def is_any(self) -> bool:
        """Whether anything is limited."""
        return self != ResourceLimits()

    def check_system(self) -> None:
        """Make sure that the system knows such limits.

        Raises:
            BackendUnavailableError: If something is limited and it does not.
        """
        if self.is_any and sys.platform == "win32":
            raise BackendUnavailableError(
                "limits: this system sets no limits on processes; leave limits= away"
            )

    def apply(self) -> None:
        """Limit the current process; what it has already, it keeps."""
        if not self.is_any or sys.platform == "win32":
            return
        import os
        import resource

        for kind, value in (
            (resource.RLIMIT_AS, self.memory_bytes),
            (resource.RLIMIT_CPU, self.cpu_s),
            (resource.RLIMIT_NOFILE, self.open_files),
        ):
            if value is not None:
                hard = resource.getrlimit(kind)[1]
                lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(kind, (lowest, hard))
        if self.niceness:
            os.nice(self.niceness)
