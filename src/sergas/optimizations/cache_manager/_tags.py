"""Tags in this process: a generation each, so that invalidating a tag is one addition.

An entry remembers the generations it was made under and is over as soon as one of them has moved
on. A load takes them when it begins: what is invalidated while it runs is over when it is stored.
A tag that no entry and no load knows any more is forgotten.
"""

import weakref
from collections.abc import Iterable

__all__ = ["Mark", "Tag", "TagBook", "is_current"]


class Tag:
    """A name and how often it was invalidated while anybody held it."""

    __slots__ = ("__weakref__", "generation", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0


Mark = tuple[Tag, int]
"""A tag and the generation that something was made under."""


def is_current(marks: Iterable[Mark]) -> bool:
    """Whether no tag was invalidated since."""
    for tag, generation in marks:  # noqa: SIM110 a generator would double the time of a hit
        if tag.generation != generation:
            return False
    return True


class TagBook:
    """The tags in use; not thread-safe.

    Attributes:
        epoch: How often any tag was invalidated, known here or not.
    """

    __slots__ = ("_tags", "epoch")

    def __init__(self) -> None:
        self.epoch = 0
        self._tags: weakref.WeakValueDictionary[str, Tag] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._tags)

    def marks(self, names: Iterable[str]) -> tuple[Mark, ...] | None:
        """The present generations; None without names."""
        marks = []
        for name in names:
            tag = self._tags.get(name)
            if tag is None:
                tag = self._tags[name] = Tag(name)
            marks.append((tag, tag.generation))
        return tuple(marks) or None

    def invalidate(self, name: str) -> None:
        """Let everything under the tag be over."""
        self.epoch += 1
        tag = self._tags.get(name)
        if tag is not None:
            tag.generation += 1
