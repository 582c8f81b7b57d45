"""A row for each kind of work."""
# ruff: noqa: D101, D102, D103 - the names carry the meaning, as in every asv suite

import asyncio
from concurrent.futures import ThreadPoolExecutor

# The project lies in the source tree of each side, where only the benchmarks find it.
from selftest_project import work  # type: ignore[import-not-found]
from selftest_project.amounts import UNITS  # type: ignore[import-not-found]


def time_loops() -> None:
    work.loops(UNITS["loops"])


def time_calls() -> None:
    work.calls(UNITS["calls"])


def time_numbers() -> None:
    work.numbers(UNITS["numbers"])


def time_dicts() -> None:
    work.dicts(UNITS["dicts"])


def time_strings() -> None:
    work.strings(UNITS["strings"])


def time_json() -> None:
    work.jsons(UNITS["json"])


def time_sort() -> None:
    work.sorts(UNITS["sort"])


def time_regex() -> None:
    work.regexes(UNITS["regex"])


def time_objects() -> None:
    work.objects(UNITS["objects"])


class Sqlite:
    def setup(self) -> None:
        self.connection = work.connected()

    def time_sqlite(self) -> None:
        work.sqlite(self.connection, UNITS["sqlite"])

    def teardown(self) -> None:
        self.connection.close()


class Asyncio:
    def setup(self) -> None:
        self.loop = asyncio.new_event_loop()

    def time_asyncio(self) -> None:
        work.tasks(self.loop, UNITS["asyncio"])

    def teardown(self) -> None:
        self.loop.close()


class Threads:
    def setup(self) -> None:
        self.pool = ThreadPoolExecutor(2)

    def time_threads(self) -> None:
        work.threads(self.pool, UNITS["threads"])

    def teardown(self) -> None:
        self.pool.shutdown()
