"""Both clients against the service in its own process: the same calls, the same answers."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sergas.accounts.model import Account, AccountBrief, Activity, Address, Deal, NewAccount
from sergas.sdk import (
    AnswerTimeoutError,
    AsyncSergasClient,
    Change,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    Policy,
    SergasClient,
    TransportError,
    UnauthorizedError,
    model,
)


class Driven:
    """A client for tasks, called like one for threads."""

    def __init__(self, runner: asyncio.Runner, target: Any) -> None:
        self._runner, self._target = runner, target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "accounts":
            return Driven(self._runner, found)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            if name == "iterate":
                return self._runner.run(_listed(result))
            return self._runner.run(result)

        return call


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]


@pytest.fixture(params=["threads", "tasks"])
def made(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes clients of a kind."""
    clients: list[Any] = []
    with asyncio.Runner() as runner:

        def make(url: str, key: str, **options: Any) -> Any:
            if request.param == "threads":
                clients.append(SergasClient(url, key, **options))
                return clients[-1]

            async def build() -> AsyncSergasClient:
                return AsyncSergasClient(url, key, **options)

            clients.append(runner.run(build()))
            return Driven(runner, clients[-1])

        yield make
        for client in clients:
            if isinstance(client, SergasClient):
                client.close()
            else:
                runner.run(client.aclose())


@pytest.fixture
def client(made: Any, service: Any) -> Any:
    """A client of the seeded service."""
    return made(service.url, service.key)


def test_an_account_from_its_creation_to_its_change(client: Any) -> None:
    """As the page for developers shows it."""
    account = client.accounts.create(name="Cedarline AG", owner_id="own_002", tags=["a"])
    assert client.accounts.get(account.id) == account
    changed = client.accounts.update(
        account.id, account.version, billing_address=model.Address(city="Lyon")
    )
    assert (changed.version, changed.billing_address.city) == (2, "Lyon")
    with pytest.raises(ConflictError) as conflict:
        client.accounts.update(account.id, account.version, name="late")
    assert conflict.value.versions == {account.id: 2}
    assert client.accounts.brief(account.id).account == changed


def test_lists_pages_and_all_of_them(client: Any) -> None:
    """Iterating reads page after page by cursor."""
    page = client.accounts.list(owner_id="own_001", limit=2, sort="updated_at", order="desc")
    every = list(client.accounts.iterate(owner_id="own_001", limit=2, sort="updated_at"))
    assert page.pagination.total == len(every) == len({account.id for account in every})
    assert [account.updated_at for account in every] == sorted(a.updated_at for a in every)
    assert page.data[0].updated_at == every[-1].updated_at


def test_many_at_once(client: Any) -> None:
    """Read and written."""
    found = client.accounts.read_many(["acc_000009", "acc_nobody", "acc_000008"])
    assert [account.id for account in found.accounts] == ["acc_000009", "acc_000008"]
    assert found.missing == ["acc_nobody"]
    change = Change(
        account_id="acc_000009", version=found.accounts[0].version, fields={"phone": "9"}
    )
    new = {"name": "n", "owner_id": "own_001"}
    changed, created = client.accounts.write_many([change, new])
    assert (created.version, changed.phone) == (1, "9")
    assert client.search("pricing", limit=3)[0].activity.account_id.startswith("acc_")


def test_refusals_are_errors_of_their_kind(client: Any, made: Any, service: Any) -> None:
    """Whatever the id is, it is one part of the path."""
    with pytest.raises(NotFoundError, match="acc_nobody"):
        client.accounts.get("acc_nobody")
    for odd in ("a/b", "é", "../tokens", "%00", "a b"):
        with pytest.raises((InvalidRequestError, NotFoundError)):
            client.accounts.get(odd)
    with pytest.raises(InvalidRequestError, match="limit"):
        client.accounts.list(limit=1000)
    with pytest.raises(InvalidRequestError, match="status"):
        client.accounts.create(name="n", owner_id="o", status="dead")
    with pytest.raises(UnauthorizedError, match="no such API key"):
        made(service.url, "a-key-that-is-none").accounts.get("acc_000001")


def test_nobody_there_is_told(made: Any) -> None:
    """A port that is closed, and one that never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        policy = Policy(timeout_s=0.3)
        with pytest.raises(AnswerTimeoutError, match="/v1/tokens"):
            made(f"http://127.0.0.1:{port}", "k", policy=policy).accounts.get("a")
    with pytest.raises(TransportError) as caught:
        made(f"http://127.0.0.1:{port}", "k", policy=policy).accounts.get("a")
    assert caught.value.was_sent is False


def test_many_callers_renew_once(service: Any) -> None:
    """Threads and tasks alike: one request for tokens, whoever came first."""
    before = _tokens_issued(service)
    with SergasClient(service.url, service.key) as client:
        barrier = threading.Barrier(16)

        def ask() -> None:
            barrier.wait()
            client.accounts.get("acc_000001")

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert _tokens_issued(service) == before + 1

    async def everyone() -> None:
        async with AsyncSergasClient(service.url, service.key) as client:
            await asyncio.gather(*(client.accounts.get("acc_000001") for _ in range(16)))

    asyncio.run(everyone())
    assert _tokens_issued(service) == before + 2


def _tokens_issued(service: Any) -> float:
    from urllib.request import urlopen

    with urlopen(f"{service.url}/metrics") as answer:  # noqa: S310 loopback
        text = answer.read().decode()
    wanted = 'sergas_requests_total{operation="issue_tokens",status="200"}'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(wanted))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (model.Account, Account),
        (model.Address, Address),
        (model.Activity, Activity),
        (model.Deal, Deal),
        (model.Brief, AccountBrief),
    ],
)
def test_the_client_knows_every_field_of_the_service(ours: Any, theirs: Any) -> None:
    """It has types of its own, since it knows HTTP only."""
    assert ours.__struct_fields__ == theirs.__struct_fields__
    assert set(model.AccountFields.__annotations__) == set(NewAccount.__struct_fields__)
