"""What all findings are made with."""

from groundspeed.measure.conditions.model import Conditions, Finding, Severity

__all__ = ["counted", "graded", "unknown"]


def unknown(name: str, conditions: Conditions, fact: str, effect: str, fix: str = "") -> Finding:
    """The finding on a fact that could not be read: with the reason, and never above a note."""
    reason = conditions.unknown.get(fact, "not read")
    return Finding(
        name=name,
        severity=Severity.NOTE,
        known=False,
        seen=reason,
        effect=effect,
        fix=fix,
    )


def graded(value: float, note: float, warning: float) -> Severity:
    """The severity of a value that is the worse the greater it is."""
    if value >= warning:
        return Severity.WARNING
    return Severity.NOTE if value >= note else Severity.OK


def counted(number: int, noun: str) -> str:
    """`1 CPU`, `2 CPUs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
