"""What a request costs below the socket: the store's queries, the service, and the API around them.

The database is a file of 300 accounts, made once for all rows; each process opens it for itself.
"""

import asyncio
import atexit
import functools
import itertools
from pathlib import Path
from typing import Any

from sergas.accounts import AccountPatch, SqliteStore
from sergas.accounts.briefs import brief_step_by_step
from sergas.accounts.seeding import AS_OF, SeedPlan, seed
from sergas.accounts.service import AccountService
from sergas.optimizations.cache_manager import CacheManager

ACCOUNTS = 300
IDS = [f"acc_{number * 7 % ACCOUNTS:06d}" for number in range(50)]


@functools.cache
def store(path: str) -> SqliteStore:
    """The store of this process."""
    made = SqliteStore(path, readers=2)
    atexit.register(made.close)
    return made


class _Seeded:
    def setup_cache(self) -> str:
        path = str(Path("accounts.db").resolve())
        with SqliteStore(path) as made:
            made.migrate()
            if not made.counts()["accounts"]:
                seed(made, SeedPlan(accounts=ACCOUNTS), workers=1)
        return path


class Queries(_Seeded):
    """Each of the queries that a day is made of, on SQLite."""

    def setup(self, path: str) -> None:
        self.store = store(path)
        self.ids = itertools.cycle(IDS)

    def time_get(self, _path: str) -> None:
        assert self.store.get(next(self.ids)) is not None

    def time_get_many(self, _path: str) -> None:
        assert len(self.store.get_many(IDS)) == len(IDS)

    def time_page_by_number(self, _path: str) -> None:
        assert self.store.page(number=3).total == ACCOUNTS

    def time_page_by_key(self, _path: str) -> None:
        assert self.store.page_after(sort="updated_at", is_descending=True).next

    def time_brief(self, _path: str) -> None:
        assert self.store.brief(next(self.ids)) is not None

    def time_brief_step_by_step(self, _path: str) -> None:
        assert brief_step_by_step(self.store, next(self.ids)) is not None

    def time_usage(self, _path: str) -> None:
        assert self.store.usage(next(self.ids), AS_OF).days

    def time_pipeline(self, _path: str) -> None:
        assert self.store.pipeline()

    def time_search_in_account(self, _path: str) -> None:
        self.store.search("pricing", account_id=next(self.ids))


class Writes(_Seeded):
    """A change, which a version guards, and what is written down of it."""

    def setup(self, path: str) -> None:
        self.store = store(path)
        account = self.store.get(IDS[0])
        assert account is not None
        self.version = account.version

    def time_update(self, _path: str) -> None:
        patch = AccountPatch(version=self.version, nps=self.version % 50)
        self.version = self.store.update(IDS[0], patch, actor="benchmark").version


class Service(_Seeded):
    """The service on an event loop, as the API asks it."""

    params = (["cached", "not cached"],)
    param_names = ("cache",)

    def setup(self, path: str, cache: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.cache = CacheManager(entries_max=1000) if cache == "cached" else None
        self.service = AccountService(store(path), cache=self.cache, threads=1)
        self.time_fifty_accounts(path, cache)  # what is cached is there

    def teardown(self, _path: str, _cache: str) -> None:
        self.service.close()
        if self.cache is not None:
            self.cache.close()
        self.loop.close()

    def time_fifty_accounts(self, _path: str, _cache: str) -> None:
        async def ask() -> None:
            for account_id in IDS:
                assert await self.service.account_json(account_id)

        self.loop.run_until_complete(ask())


class Endpoint(_Seeded):
    """One request through the application, from its headers to its answer, without a socket."""

    def setup(self, path: str) -> None:
        # What serves is an extra; a commit before it has none of this.
        from sergas.api import make_api
        from sergas.api._tokens import Tokens
        from sergas.settings import Settings

        self.loop = asyncio.new_event_loop()
        self.cache = CacheManager(entries_max=1000)
        self.service = AccountService(store(path), cache=self.cache, threads=1)
        settings = Settings(
            secret=b"s" * 32,
            api_keys={"a-key-of-sixteen-and-more": "benchmark"},
            rate_per_s=1e9,
            burst=10**9,
        )
        self.app = make_api(self.service, settings)
        tokens = Tokens(settings.secret, settings.api_keys)
        bearer = f"Bearer {tokens.for_key('a-key-of-sixteen-and-more').access_token}"
        tokens.close()
        self.headers = [(b"authorization", bearer.encode()), (b"host", b"x")]
        self.time_fifty_gets(path)  # what is cached is there

    def teardown(self, _path: str) -> None:
        self.service.close()
        self.cache.close()
        self.loop.close()

    def time_fifty_gets(self, _path: str) -> None:
        self.loop.run_until_complete(self._ask())

    async def _ask(self) -> None:
        statuses: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        for account_id in IDS:
            scope = {
                "type": "http",
                "method": "GET",
                "path": f"/v1/accounts/{account_id}",
                "raw_path": b"",
                "query_string": b"",
                "root_path": "",
                "headers": self.headers,
                "client": ("127.0.0.1", 1),
                "scheme": "http",
                "server": ("127.0.0.1", 80),
                "http_version": "1.1",
            }
            await self.app(scope, receive, send)
        assert statuses == [200] * len(IDS)
