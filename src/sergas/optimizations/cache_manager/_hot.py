"""The decorated functions themselves: the path of a hit in level 1.

The four functions below are one, written out: with one argument or several, for threads or tasks.
Measured, see tools/evaluation/cache_hit_cost.py: names of the closure instead of attributes, a
table for each type instead of a key, one comparison of times; no lock and no call of Python code.

The guard comes first: it may learn of changes that others made and drop the very entry.
"""

from collections.abc import Callable
from typing import Any, Protocol

from sergas.optimizations.cache_manager._core import CacheCore
from sergas.optimizations.cache_manager._entry import Entry
from sergas.optimizations.cache_manager._tags import is_current
from sergas.optimizations.cache_manager.policies import READ_BUFFER_MAX

__all__ = ["Parts", "Tables", "hot_function"]

Tables = dict[Any, dict[object, Entry]]
"""Entries by the types of the arguments, one type alone or a tuple, and by the arguments."""


class Parts(Protocol):
    """What the path of a hit needs to know of a decorated function."""

    tables: Tables
    core: CacheCore

    def load(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call that the tables do not have."""
        ...

    async def aload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As `load`, in a task."""
        ...


def hot_function(parts: Parts, *, is_async: bool, is_of_one: bool) -> Callable[..., Any]:
    """The function to put in the place of the decorated one."""
    return _FORMS[is_async, is_of_one](parts)


def _function(parts: Parts) -> Callable[..., Any]:
    """The function for threads, of other than one argument."""
    tables, load = parts.tables, parts.load
    core = parts.core
    now_s, guard = core.now_s, core.guard
    noted, note_hit, cut_notes = core.memory.noted, core.memory.note_hit, core.cut_notes

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            entry = tables[tuple(map(type, args))][args]
        except KeyError:
            return load(args, kwargs)
        if (
            (guard is None or guard())
            and now_s() < entry.fresh_until_s
            and not kwargs
            and (entry.tags is None or is_current(entry.tags))
        ):
            note_hit(entry)
            if len(noted) >= READ_BUFFER_MAX:
                cut_notes()
            return entry.value
        return load(args, kwargs)

    return call


def _function_of_one(parts: Parts) -> Callable[..., Any]:
    """The function for threads, of one argument."""
    tables, load = parts.tables, parts.load
    core = parts.core
    now_s, guard = core.now_s, core.guard
    noted, note_hit, cut_notes = core.memory.noted, core.memory.note_hit, core.cut_notes

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            (argument,) = args
            entry = tables[type(argument)][argument]
        except (KeyError, ValueError):
            return load(args, kwargs)
        if (
            (guard is None or guard())
            and now_s() < entry.fresh_until_s
            and not kwargs
            and (entry.tags is None or is_current(entry.tags))
        ):
            note_hit(entry)
            if len(noted) >= READ_BUFFER_MAX:
                cut_notes()
            return entry.value
        return load(args, kwargs)

    return call


def _task_function(parts: Parts) -> Callable[..., Any]:
    """The function for tasks, of other than one argument; a hit does not suspend."""
    tables, load = parts.tables, parts.aload
    core = parts.core
    now_s, guard = core.now_s, core.guard
    noted, note_hit, cut_notes = core.memory.noted, core.memory.note_hit, core.cut_notes

    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            entry = tables[tuple(map(type, args))][args]
        except KeyError:
            return await load(args, kwargs)
        if (
            (guard is None or guard())
            and now_s() < entry.fresh_until_s
            and not kwargs
            and (entry.tags is None or is_current(entry.tags))
        ):
            note_hit(entry)
            if len(noted) >= READ_BUFFER_MAX:
                cut_notes()
            return entry.value
        return await load(args, kwargs)

    return call


def _task_function_of_one(parts: Parts) -> Callable[..., Any]:
    """The function for tasks, of one argument; a hit does not suspend."""
    tables, load = parts.tables, parts.aload
    core = parts.core
    now_s, guard = core.now_s, core.guard
    noted, note_hit, cut_notes = core.memory.noted, core.memory.note_hit, core.cut_notes

    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            (argument,) = args
            entry = tables[type(argument)][argument]
        except (KeyError, ValueError):
            return await load(args, kwargs)
        if (
            (guard is None or guard())
            and now_s() < entry.fresh_until_s
            and not kwargs
            and (entry.tags is None or is_current(entry.tags))
        ):
            note_hit(entry)
            if len(noted) >= READ_BUFFER_MAX:
                cut_notes()
            return entry.value
        return await load(args, kwargs)

    return call


_FORMS: dict[tuple[bool, bool], Callable[[Parts], Callable[..., Any]]] = {
    (False, False): _function,
    (False, True): _function_of_one,
    (True, False): _task_function,
    (True, True): _task_function_of_one,
}
