"""The client for tasks, on aiohttp."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar, Unpack

import aiohttp
from yarl import URL

from sergas.chance import draw
from sergas.clock import Clock, SystemClock
from sergas.sdk import _calls
from sergas.sdk._calls import Change, Request
from sergas.sdk._exchange import Exchange, Pause, Policy, Renew, Reply, Send, Steps
from sergas.sdk.errors import AnswerTimeoutError, TransportError
from sergas.sdk.model import (
    Account,
    AccountFields,
    AccountList,
    Brief,
    Found,
    SearchHit,
)

__all__ = ["AsyncSergasClient"]

T = TypeVar("T")


class AsyncSergasClient:
    """A client of the account service for the tasks of one loop; arguments as `SergasClient`."""

    def __init__(  # noqa: PLR0913 keywords, each with a default
        self,
        base_url: str,
        api_key: str,
        *,
        policy: Policy | None = None,
        connections_max: int = 100,
        clock: Clock | None = None,
        draw: Callable[[], float] = draw,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._exchange = Exchange(
            api_key, policy or Policy(), clock=clock or SystemClock(), draw=draw
        )
        self._base_url = base_url.rstrip("/")
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None
        self._sleep = sleep
        self._renewing = asyncio.Lock()
        self.accounts = AsyncAccounts(self.call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def search(
        self, text: str, *, account_id: str | None = None, limit: int = 20
    ) -> list[SearchHit]:
        """As `SergasClient.search`."""
        asked = {"q": text, "account_id": account_id, "limit": limit}
        return (await self.call(_calls.search(asked))).hits

    async def call(self, request: Request[T]) -> T:
        """As `SergasClient.call`."""
        return await self._driven(self._exchange.call(request))

    async def _driven(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                match step:
                    case Send():
                        try:
                            reply = await self._sent(step)
                        except TransportError as error:
                            step = steps.throw(error)
                        else:
                            step = steps.send(reply)
                    case Pause(seconds):
                        await self._sleep(seconds)
                        step = next(steps)
                    case Renew(number):
                        async with self._renewing:
                            if self._exchange.number == number:
                                await self._driven(self._exchange.renewal())
                        step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _sent(self, step: Send) -> Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections_max)
            )
        try:
            async with self._session.request(
                step.method,
                URL(self._base_url + step.target, encoded=True),
                data=step.body,
                headers=step.headers,
                timeout=aiohttp.ClientTimeout(total=step.timeout_s),
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(status=answer.status, headers=headers, body=body)
        except TimeoutError as error:
            was_sent = not isinstance(error, aiohttp.ConnectionTimeoutError)
            raise AnswerTimeoutError(_told(step, error), was_sent=was_sent) from error
        except aiohttp.ClientConnectorError as error:
            raise TransportError(_told(step, error), was_sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_told(step, error), was_sent=True) from error


class AsyncAccounts:
    """The accounts of a service, for tasks; methods as those of `Accounts`."""

    def __init__(self, call: Callable[[Request[Any]], Awaitable[Any]]) -> None:
        self._call = call

    async def get(self, account_id: str) -> Account:
        """As `Accounts.get`."""
        account: Account = await self._call(_calls.get_account(account_id))
        return account

    async def brief(self, account_id: str) -> Brief:
        """As `Accounts.brief`."""
        brief: Brief = await self._call(_calls.get_brief(account_id))
        return brief

    async def list(self, **parameters: Any) -> AccountList:
        """As `Accounts.list`."""
        page: AccountList = await self._call(_calls.list_accounts(parameters))
        return page

    async def iterate(self, *, limit: int = 100, **parameters: Any) -> AsyncIterator[Account]:
        """As `Accounts.iterate`."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.list(limit=limit, cursor=cursor, **parameters)
            for account in page.data:
                yield account
            cursor = page.pagination.next

    async def create(self, **fields: Unpack[AccountFields]) -> Account:
        """As `Accounts.create`."""
        account: Account = await self._call(_calls.create_account(fields))
        return account

    async def update(
        self, account_id: str, version: int, **fields: Unpack[AccountFields]
    ) -> Account:
        """As `Accounts.update`."""
        account: Account = await self._call(_calls.update_account(account_id, version, fields))
        return account

    async def read_many(self, account_ids: Sequence[str]) -> Found:
        """As `Accounts.read_many`."""
        found: Found = await self._call(_calls.read_accounts(account_ids))
        return found

    async def write_many(self, writes: Sequence[AccountFields | Change]) -> Sequence[Account]:
        """As `Accounts.write_many`."""
        accounts: Sequence[Account] = (await self._call(_calls.write_accounts(writes))).accounts
        return accounts


def _told(step: Send, error: Exception) -> str:
    return f"{step.method} {step.target}: {type(error).__name__}: {error}"
