"""What on this machine disturbs measuring: facts that are read, and findings made of them.

Nothing is changed and no privilege is needed. What cannot be read is unknown, with the reason, and
is never counted against the machine.
"""

from groundspeed.measure.conditions.judging import conclude, judge
from groundspeed.measure.conditions.model import (
    Activity,
    Clock,
    Conclusion,
    Conditions,
    Finding,
    Memory,
    PythonBuild,
    Severity,
)
from groundspeed.measure.conditions.reading import Reading, System, start_reading

__all__ = [
    "Activity",
    "Clock",
    "Conclusion",
    "Conditions",
    "Finding",
    "Memory",
    "PythonBuild",
    "Reading",
    "Severity",
    "System",
    "conclude",
    "judge",
    "start_reading",
]
