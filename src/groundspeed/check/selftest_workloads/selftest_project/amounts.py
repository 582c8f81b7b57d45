"""Units of work in a call, by kind; each side of a check has its own."""

UNITS = {
    "asyncio": 100,
    "calls": 100,
    "dicts": 100,
    "json": 100,
    "loops": 100,
    "numbers": 100,
    "objects": 100,
    "regex": 100,
    "sort": 100,
    "sqlite": 100,
    "strings": 100,
    "threads": 100,
}
