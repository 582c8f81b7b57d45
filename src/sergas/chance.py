"""Random numbers for jitter, from a source of our own.

Threads of a pool or a cache draw at any moment. From Python's own source they would disturb what a
program draws from it that was seeded, and a test that wants the same numbers twice.
"""

import os
import random

__all__ = ["draw"]

_SOURCE = random.Random()  # noqa: S311 - jitter, no secret
if hasattr(os, "register_at_fork"):
    # Or all children of a fork would jitter alike.
    os.register_at_fork(after_in_child=_SOURCE.seed)

draw = _SOURCE.random
"""The next number from [0, 1)."""
