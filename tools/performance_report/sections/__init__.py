"""The sections of the report: each a function of what was stored."""
