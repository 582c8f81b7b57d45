"""Frozen records: what was measured and what was decided."""
