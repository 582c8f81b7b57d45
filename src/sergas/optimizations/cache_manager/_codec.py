"""Values to bytes and back, for the second level.

The default carries plain data only, as MessagePack, and is exact: what it accepts comes back
equal and of the same types. Whatever would change on the way (a tuple becoming a list) it refuses,
so that a value never depends on the level that served it. It can safely read a file that somebody
else wrote. Pickle carries nearly everything, but reading a pickle runs code: it has to be asked
for, and is only for files that nobody else can write.
"""

import pickle
from typing import Protocol

import msgspec

from sergas.errors import CacheLevelError, UncacheableError

__all__ = ["Codec", "PickleCodec", "PlainCodec"]

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


class Codec(Protocol):
    """Turns values into bytes and back; used from several threads at once."""

    def encode(self, value: object) -> bytes:
        """The value as bytes.

        Raises:
            UncacheableError: If the value would not come back as it is.
        """
        ...

    def decode(self, data: bytes) -> object:
        """The value that `data` stands for.

        Raises:
            CacheLevelError: If `data` is nothing that this codec wrote.
        """
        ...


class PlainCodec:
    """None, bool, 64-bit int, float, str, bytes, and lists and str- or int-keyed dicts of them."""

    __slots__ = ()

    def encode(self, value: object) -> bytes:
        """The value as MessagePack.

        Raises:
            UncacheableError: If it is not plain data, exactly of the types named above.
        """
        try:
            if not _is_plain(value):
                raise UncacheableError(
                    f"PlainCodec: got a {type(value).__name__} that is not plain data through and"
                    f" through; needed None, bool, int, float, str, bytes, list, dict"
                )
            return msgspec.msgpack.encode(value)
        except (RecursionError, UnicodeEncodeError) as error:
            raise UncacheableError(f"PlainCodec: cannot write the value: {error}") from error

    def decode(self, data: bytes) -> object:
        """The plain data.

        Raises:
            CacheLevelError: If `data` is not MessagePack.
        """
        try:
            decoded: object = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CacheLevelError(
                f"PlainCodec: cannot read {len(data)} bytes: {error}; another codec wrote them"
            ) from error
        return decoded


class PickleCodec:
    """Whatever pickle carries; only for a level that nobody else can write: reading runs code."""

    __slots__ = ()

    def encode(self, value: object) -> bytes:
        """The value as a pickle.

        Raises:
            UncacheableError: If it cannot be pickled.
        """
        try:
            return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # a class may raise anything from its __reduce__
            raise UncacheableError(f"PickleCodec: cannot write the value: {error}") from error

    def decode(self, data: bytes) -> object:
        """The value.

        Raises:
            CacheLevelError: If `data` is not a pickle that can be read here.
        """
        try:
            # The class says whom it may be used by; PlainCodec is the default.
            return pickle.loads(data)  # noqa: S301
        except Exception as error:
            raise CacheLevelError(f"PickleCodec: cannot read {len(data)} bytes: {error}") from error


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is int:
        return _INT_MIN <= value <= _INT_MAX  # type: ignore[operator]  # kind says it is an int
    if kind is list:
        return all(map(_is_plain, value))  # type: ignore[call-overload]  # kind says it is a list
    if isinstance(value, dict) and kind is dict:
        return all(
            type(key) in {str, int} and _is_plain(key) and _is_plain(item)
            for key, item in value.items()
        )
    return kind in {type(None), bool, float, str, bytes}
