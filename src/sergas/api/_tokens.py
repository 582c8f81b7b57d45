"""Bearer tokens: signed, short-lived ones to ask with, and longer ones to renew them with."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import cast

import jwt
import msgspec

from sergas.api._failures import ApiError
from sergas.clock import SystemClock, WallClock
from sergas.optimizations.cache_manager import CacheManager

__all__ = ["TokenPair", "Tokens"]

_ALGORITHM = "HS256"
_ACCESS_S = 900
_REFRESH_S = 30 * 86_400
_REMEMBERED_S = 30.0


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens for a client.

    Attributes:
        access_token: For the header `authorization`, as `Bearer ...`.
        refresh_token: Renews both.
        token_type: Always `bearer`.
        expires_in_s: How long the first of them is good for.
    """

    access_token: str
    refresh_token: str
    token_type: str
    expires_in_s: int


class Tokens:
    """Makes and checks tokens (JSON Web Tokens, RFC 7519, signed with HMAC-SHA256).

    Args:
        secret: Signs them; processes that serve the same clients need the same one.
        api_keys: The clients' names by their keys.
        clock: The time of day.
        access_s: How long an access token is good for.
    """

    def __init__(
        self,
        secret: bytes,
        api_keys: Mapping[str, str],
        *,
        clock: WallClock | None = None,
        access_s: int = _ACCESS_S,
    ) -> None:
        self._secret = hmac.digest(secret, b"tokens", "sha256")
        # Looked up by digest, so that the time a lookup takes tells nothing of the keys.
        self._names = {sha256(key.encode()).digest(): name for key, name in api_keys.items()}
        self._clock = clock or SystemClock()
        self._access_s = access_s
        # A signature that was good is good until the token ends: checking it costs 20 µs.
        self._good: CacheManager = CacheManager(entries_max=10_000, ttl_s=_REMEMBERED_S)

    def close(self) -> None:
        """Forget what was checked."""
        self._good.close()

    def for_key(self, api_key: str) -> TokenPair:
        """Tokens for a client that shows its key.

        Raises:
            ApiError: 401, if there is no such key.
        """
        name = self._names.get(sha256(api_key.encode()).digest())
        if name is None:
            raise _refused("there is no such API key", "key_unknown")
        return self._pair(name)

    def renewed(self, refresh_token: str) -> TokenPair:
        """New tokens for an old refresh token.

        Raises:
            ApiError: 401, if it is forged, expired or none.
        """
        return self._pair(self._opened(refresh_token, "refresh")[0])

    def client_of(self, header: str | None) -> str:
        """The name of the client whose access token stands in the header `authorization`.

        Raises:
            ApiError: 401, if it is missing, forged or expired.
        """
        if header is None:
            raise _refused("the header authorization is missing", "token_missing")
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _refused("the header authorization is not `Bearer <token>`", "token_invalid")
        known = cast("tuple[str, int] | None", self._good.get(token))
        if known is None:
            known = self._opened(token, "access")
            self._good.set(token, known)
        name, ends_s = known
        if self._clock.unix_s() >= ends_s:
            raise _refused("the token has expired; renew it", "token_expired")
        return name

    def _pair(self, name: str) -> TokenPair:
        return TokenPair(
            access_token=self._signed(name, "access", self._access_s),
            refresh_token=self._signed(name, "refresh", _REFRESH_S),
            token_type="bearer",  # noqa: S106 the kind of token, not one
            expires_in_s=self._access_s,
        )

    def _signed(self, name: str, use: str, good_s: int) -> str:
        ends_s = int(self._clock.unix_s()) + good_s
        claims = {"sub": name, "use": use, "exp": ends_s}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def _opened(self, token: str, use: str) -> tuple[str, int]:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                # Against the clock that was passed in, below.
                options={"verify_exp": False, "require": ["sub", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise _refused(
                "the token is damaged or not of this service", "token_invalid"
            ) from error
        if claims.get("use") != use:
            raise _refused(f"the token is not for this: needed one for {use}", "token_invalid")
        if self._clock.unix_s() >= claims["exp"]:
            raise _refused("the token has expired; renew it", "token_expired")
        return claims["sub"], claims["exp"]


def _refused(message: str, code: str) -> ApiError:
    return ApiError(401, message, code=code, headers={"www-authenticate": "Bearer"})
