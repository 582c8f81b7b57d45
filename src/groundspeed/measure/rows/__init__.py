"""Measuring one row of one launch pair, whatever kind of row it is."""

from groundspeed.measure.rows.measuring import calibrate, measure
from groundspeed.measure.rows.model import (
    TIMED,
    Calibration,
    Measured,
    Method,
    Quantity,
    RowContext,
    Trial,
)

__all__ = [
    "TIMED",
    "Calibration",
    "Measured",
    "Method",
    "Quantity",
    "RowContext",
    "Trial",
    "calibrate",
    "measure",
]
