"""How much memory a process has held at most."""

import sys

__all__ = ["own_peak_rss_bytes"]

_KIB = 1024


def own_peak_rss_bytes() -> int | None:
    """The most resident memory this process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
