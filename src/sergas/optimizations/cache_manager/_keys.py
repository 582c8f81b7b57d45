"""Calls to keys: the same text for the same call, in every process, and for no other call.

Each value is written with its type, and text and bytes with their length, so that `1`, `"1"`,
`True` and `1.0` differ and nothing in a string can pose as structure.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import inspect
import itertools
import os
import pathlib
import secrets
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping

from sergas.errors import UncacheableError

__all__ = ["CallKeys", "instance_text", "signature_of", "value_text"]

# Their repr names every part that their equality looks at.
_BY_REPR = frozenset(
    {
        complex,
        dt.date,
        dt.datetime,
        dt.time,
        dt.timedelta,
        decimal.Decimal,
        fractions.Fraction,
        pathlib.PosixPath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.WindowsPath,
        range,
        uuid.UUID,
    }
)


def value_text(value: object) -> str:
    """The canonical text of a value.

    Args:
        value: None, a number, str, bytes, date or time, Decimal, Fraction, UUID, path, range, enum
            member, frozen dataclass, or a tuple, list, set or dict of such values.

    Raises:
        UncacheableError: If the type has no text that stands for its value.
    """
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if type(value) in _BY_REPR:
        return _labelled(value, repr(value))
    if isinstance(value, enum.Enum):
        return _labelled(value, value.name)
    if _is_frozen_dataclass(value):
        fields = dataclasses.fields(value)  # type: ignore[arg-type]  # just checked
        return _labelled(value, _joined(getattr(value, field.name) for field in fields))
    raise UncacheableError(
        f"cached call: got an argument of type {type(value).__qualname__}, needed plain data, a"
        f" frozen dataclass or an enum; give cached(key=...) a function that makes the key"
    )


def _labelled(value: object, text: str) -> str:
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__} {len(text)}:{text}>"


def _is_frozen_dataclass(value: object) -> bool:
    params = getattr(type(value), "__dataclass_params__", None)
    return params is not None and bool(params.frozen)


def _joined(values: Iterable[object]) -> str:
    return ",".join(map(value_text, values))


def _mapping(value: Mapping[object, object]) -> str:
    pairs = sorted(f"{value_text(key)}={value_text(item)}" for key, item in value.items())
    return "{" + ",".join(pairs) + "}"


_WRITERS: Mapping[type, Callable[[object], str]] = {
    type(None): lambda _: "n",
    bool: lambda value: "bT" if value else "bF",
    int: lambda value: f"i{value}",
    float: lambda value: f"f{float.hex(value)}",  # type: ignore[arg-type]  # keyed by type
    str: lambda value: f"s{len(value)}:{value}",  # type: ignore[arg-type]
    bytes: lambda value: f"y{bytes.hex(value)}",  # type: ignore[arg-type]
    tuple: lambda value: f"({_joined(value)})",  # type: ignore[arg-type]
    list: lambda value: f"[{_joined(value)}]",  # type: ignore[arg-type]
    set: lambda value: "S{" + ",".join(sorted(map(value_text, value))) + "}",  # type: ignore[call-overload]
    frozenset: lambda value: "F{" + ",".join(sorted(map(value_text, value))) + "}",  # type: ignore[call-overload]
    dict: _mapping,  # type: ignore[dict-item]
}


class _InstanceNumbers:
    """A number for each live object, never given to another one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counter = itertools.count()
        self._numbers: dict[int, tuple[weakref.ref[object], int]] = {}

    def number(self, instance: object) -> int:
        """The instance's number.

        Raises:
            TypeError: If it cannot be referred to weakly.
        """
        with self._lock:
            known = self._numbers.get(id(instance))
            if known is not None and known[0]() is instance:
                return known[1]
            number = next(self._counter)
            self._numbers[id(instance)] = (self._reference(instance, number), number)
            return number

    def _reference(self, instance: object, number: int) -> weakref.ref[object]:
        place = id(instance)

        def forget(_: weakref.ref[object]) -> None:
            with self._lock:
                known = self._numbers.get(place)
                if known is not None and known[1] == number:
                    del self._numbers[place]

        return weakref.ref(instance, forget)


_PROCESS = secrets.token_hex(8)
_INSTANCES = _InstanceNumbers()


def instance_text(instance: object) -> str:
    """The text of the object that a method is called on: its value if it has one, else itself.

    An object without a value of its own is told apart from every other, now and later, here and
    in other processes that share the second level.

    Raises:
        UncacheableError: If it has neither a value nor room for a weak reference.
    """
    if type(instance) in _WRITERS or _is_frozen_dataclass(instance):
        return value_text(instance)
    if isinstance(instance, enum.Enum):
        return value_text(instance)
    try:
        return f"@{_PROCESS}.{os.getpid()}.{_INSTANCES.number(instance)}"
    except TypeError:
        raise UncacheableError(
            f"cached method: a {type(instance).__qualname__} can be told from others neither by"
            f" value nor by weak reference; add '__weakref__' to its __slots__ or give key=..."
        ) from None


def signature_of(function: Callable[..., object]) -> inspect.Signature:
    """The function's signature; any arguments where one that is written in C tells none."""
    try:
        return inspect.signature(function)
    except ValueError:
        return _ANY


_ANY = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)


class CallKeys:
    """Makes the key of each call of one function.

    Calls that bind the same arguments to the same parameters share a key, however they are
    written: `f(1)`, `f(x=1)` and `f(1, y=2)` where 2 is y's default.

    Attributes:
        prefix: What the keys begin with.
        arity: How many positional arguments say everything; -1 if they never do.
    """

    __slots__ = ("_signature", "arity", "prefix")

    def __init__(self, function: Callable[..., object], prefix: str) -> None:
        self.prefix = prefix
        self._signature = signature_of(function)
        kinds = {parameter.kind for parameter in self._signature.parameters.values()}
        plain = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        # Only then do the positional arguments alone say everything, without binding them.
        self.arity = len(self._signature.parameters) if kinds <= plain else -1

    def key(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """The key of a call.

        Raises:
            TypeError: If the function cannot be called so.
            UncacheableError: If an argument has no canonical text.
        """
        return f"{self.prefix}({_joined(self._values(args, kwargs))})"

    def method_key(
        self, instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> str:
        """The key of a call on `instance`, which is the function's first parameter."""
        own = instance_text(instance)
        others = self._values((instance, *args), kwargs)[1:]
        return f"{self.prefix}({','.join([own, *map(value_text, others)])})"

    def _values(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[object, ...]:
        if not kwargs and len(args) == self.arity:
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments.values())
