"""The client for threads, on urllib3."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import urlsplit

import urllib3

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

__all__ = ["SergasClient"]

T = TypeVar("T")


class SergasClient:
    """A client of the account service, for any number of threads.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        api_key: What the service gave this client.
        policy: How patient it is.
        connections_max: Most connections at the same time; further threads wait, >= 1.
        clock: The monotonic clock.
        draw: Gives numbers from [0, 1), for pauses.
        sleep: Waits.
    """

    def __init__(  # noqa: PLR0913 keywords, each with a default
        self,
        base_url: str,
        api_key: str,
        *,
        policy: Policy | None = None,
        connections_max: int = 10,
        clock: Clock | None = None,
        draw: Callable[[], float] = draw,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._exchange = Exchange(
            api_key, policy or Policy(), clock=clock or SystemClock(), draw=draw
        )
        self._prefix = urlsplit(base_url).path.rstrip("/")
        self._pool = urllib3.connection_from_url(base_url, maxsize=connections_max, block=True)
        self._sleep = sleep
        self._renewing = threading.Lock()
        self.accounts = Accounts(self.call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def search(
        self, text: str, *, account_id: str | None = None, limit: int = 20
    ) -> list[SearchHit]:
        """Activities that have every word of `text`, newest first."""
        asked = {"q": text, "account_id": account_id, "limit": limit}
        return self.call(_calls.search(asked)).hits

    def call(self, request: Request[T]) -> T:
        """Send a request and return its answer.

        Raises:
            RequestError: If the service refuses.
            TransportError: If no answer comes.
        """
        return self._driven(self._exchange.call(request))

    def _driven(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                match step:
                    case Send():
                        try:
                            reply = self._sent(step)
                        except TransportError as error:
                            step = steps.throw(error)
                        else:
                            step = steps.send(reply)
                    case Pause(seconds):
                        self._sleep(seconds)
                        step = next(steps)
                    case Renew(number):
                        with self._renewing:
                            if self._exchange.number == number:
                                self._driven(self._exchange.renewal())
                        step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result

    def _sent(self, step: Send) -> Reply:
        try:
            answer = self._pool.urlopen(
                step.method,
                self._prefix + step.target,
                body=step.body,
                headers=step.headers,
                timeout=step.timeout_s,
                pool_timeout=step.timeout_s,  # type: ignore[arg-type] # a queue takes any number
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.EmptyPoolError) as error:
            raise AnswerTimeoutError(_told(step, error), was_sent=False) from error
        except urllib3.exceptions.TimeoutError as error:
            raise AnswerTimeoutError(_told(step, error), was_sent=True) from error
        except urllib3.exceptions.NewConnectionError as error:
            raise TransportError(_told(step, error), was_sent=False) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(_told(step, error), was_sent=True) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(status=answer.status, headers=headers, body=answer.data)


class Accounts:
    """The accounts of a service; methods raise as `SergasClient.call` does."""

    def __init__(self, call: Callable[[Request[Any]], Any]) -> None:
        self._call = call

    def get(self, account_id: str) -> Account:
        """One account; `NotFoundError` if there is none."""
        account: Account = self._call(_calls.get_account(account_id))
        return account

    def brief(self, account_id: str) -> Brief:
        """The account, its last activities and what is open."""
        brief: Brief = self._call(_calls.get_brief(account_id))
        return brief

    def list(self, **parameters: Any) -> AccountList:
        """A page of accounts: filters, `sort`, `order`, `limit`, and `page` or `cursor`."""
        page: AccountList = self._call(_calls.list_accounts(parameters))
        return page

    def iterate(self, *, limit: int = 100, **parameters: Any) -> Iterator[Account]:
        """All accounts of a list, read by cursor as they are needed, `limit` at a time."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.list(limit=limit, cursor=cursor, **parameters)
            yield from page.data
            cursor = page.pagination.next

    def create(self, **fields: Unpack[AccountFields]) -> Account:
        """A new account; it needs a name and an owner_id."""
        account: Account = self._call(_calls.create_account(fields))
        return account

    def update(self, account_id: str, version: int, **fields: Unpack[AccountFields]) -> Account:
        """Change an account; `ConflictError` if it has another version by now."""
        account: Account = self._call(_calls.update_account(account_id, version, fields))
        return account

    def read_many(self, account_ids: Sequence[str]) -> Found:
        """Up to two hundred accounts at once."""
        found: Found = self._call(_calls.read_accounts(account_ids))
        return found

    def write_many(self, writes: Sequence[AccountFields | Change]) -> Sequence[Account]:
        """Create and change up to a hundred accounts, all or none; results in the same order."""
        written: Sequence[Account] = self._call(_calls.write_accounts(writes)).accounts
        return written


def _told(step: Send, error: Exception) -> str:
    return f"{step.method} {step.target}: {type(error).__name__}: {error}"
