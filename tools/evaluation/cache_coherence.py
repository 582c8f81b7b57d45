"""Does another process's level 1 ever serve what was removed? Two processes, one real level 2.

The writer changes a value, removes the cached one in one of four ways (delete, overwrite, tag,
pattern), and when that call has returned it asks the reader, another process that never rests, for
the value. An answer older than the change is a stale read. In a share of the reader's reads
(`--late`) the answer of level 2 is held back for up to two milliseconds, so that the news of a
removal overtakes it (the race of redis/redis#6833). The last line is JSON.

    python -m tools.evaluation.cache_coherence [--rounds 100000] [--level valkey] [--url URL]
"""

import argparse
import json
import multiprocessing
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from sergas.optimizations.cache_manager import (
    Answer,
    CacheLevel,
    CacheManager,
    SqliteLevel,
    StoredValue,
    ValkeyLevel,
)
from sergas.servers import start_valkey

__all__ = ["Report", "main", "run"]

T = TypeVar("T")

_KEYS = 40
_LATE_LONGEST_S = 0.002
_ANSWER_S = 60.0
_WAYS = {"delete": 70, "set": 18, "tag": 10, "pattern": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was seen.

    Attributes:
        level: `valkey` or `sqlite`.
        rounds: Removals, each followed by a read in the other process.
        stale: Answers older than the change that had returned before.
        late: Answers of level 2 that were held back in the reader.
        background: Reads that the reader made besides.
        reader_hits: Those of all its reads that its level 1 answered.
        removal_us: Median time of a removal, with the wait for the other process.
        seconds: Of the whole run.
    """

    level: str
    rounds: int
    stale: int
    late: int
    background: int
    reader_hits: int
    removal_us: float
    seconds: float


class LateLevel:
    """A level whose answers to reads arrive late now and then."""

    def __init__(self, level: CacheLevel, *, share: float, seed: int) -> None:
        self._level = level
        self._share = share
        self._chance = random.Random(seed)  # noqa: S311 delays
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._level, name)

    def read(self, keys: Sequence[str]) -> Mapping[str, StoredValue]:
        """Read, and perhaps hold the answer back."""
        return self._late(self._level.read(keys))

    def claim(self, keys: Sequence[str], **options: Any) -> Mapping[str, Answer]:
        """Claim, and perhaps hold the answer back."""
        return self._late(self._level.claim(keys, **options))

    def _late(self, answer: Mapping[str, T]) -> Mapping[str, T]:
        if self._chance.random() < self._share:
            self.count += 1
            time.sleep(self._chance.uniform(0, _LATE_LONGEST_S))
        return answer


def _opened(kind: str, where: str, namespace: str) -> CacheLevel:
    if kind == "sqlite":
        return SqliteLevel(where, timeout_s=30.0)
    return ValkeyLevel(where, namespace=namespace, timeout_s=5.0)


def _name(number: int) -> str:
    return f"key:{number}"


def _tag(number: int) -> str:
    return f"tag:{number % 7}"


def _read(  # noqa: PLR0913, PLR0917 what a process is given
    kind: str,
    where: str,
    namespace: str,
    truth: Any,
    questions: Connection,
    late: float,
    seed: int,
) -> None:
    """The reader: answers questions, and reads all the time besides."""
    level = LateLevel(_opened(kind, where, namespace), share=late, seed=seed)
    cache = CacheManager(level2=level)
    stop = threading.Event()
    background = 0

    def ask(number: int) -> int:
        load: Callable[[], int] = partial(truth.__getitem__, number)
        return cache.get_or_load(_name(number), load, tags=(_tag(number),))

    def wander() -> None:
        nonlocal background
        chance = random.Random(seed + 1)  # noqa: S311 keys
        while not stop.is_set():
            ask(chance.randrange(_KEYS))
            background += 1
            time.sleep(0.0002)  # the question must get its turn at the interpreter

    thread = threading.Thread(target=wander)
    thread.start()
    questions.send("ready")
    while (number := questions.recv()) is not None:
        questions.send(ask(number))
    stop.set()
    thread.join()
    questions.send((background, level.count, cache.stats().hits))
    cache.close()
    level.close()


def run(*, kind: str, where: str, rounds: int, seed: int = 1, late: float = 0.05) -> Report:
    """Two processes and so many removals.

    Args:
        kind: `valkey` or `sqlite`.
        where: URL of an empty database, or path of a file to make.
        rounds: How many removals, >= 1.
        seed: Chooses keys, ways and delays.
        late: Share of level 2's answers that are held back, in [0, 1].
    """
    context = multiprocessing.get_context("spawn")
    truth = context.Array("q", _KEYS, lock=False)
    namespace = f"coherence-{secrets.token_hex(4)}"
    mine, other = context.Pipe()
    reader = context.Process(
        target=_read, args=(kind, where, namespace, truth, other, late, seed), daemon=True
    )
    reader.start()
    other.close()  # so that a reader that dies is noticed
    began_s = time.perf_counter()
    level = _opened(kind, where, namespace)
    try:
        _answer(mine)
        stale, times_s = _remove(CacheManager(level2=level), truth, mine, rounds, seed)
        mine.send(None)
        background, count, hits = _answer(mine)
    finally:
        mine.close()
        reader.join(_ANSWER_S)
        level.close()  # type: ignore[attr-defined]  # both kinds have it
    return Report(
        level=kind,
        rounds=rounds,
        stale=stale,
        late=count,
        background=background,
        reader_hits=hits,
        removal_us=round(sorted(times_s)[len(times_s) // 2] * 1e6, 1),
        seconds=round(time.perf_counter() - began_s, 1),
    )


def _remove(
    cache: CacheManager, truth: Any, reader: Connection, rounds: int, seed: int
) -> tuple[int, list[float]]:
    """The writer: how many answers were stale, and how long each removal took."""
    chance = random.Random(seed + 2)  # noqa: S311 keys
    stale = 0
    times_s = []
    names = list(_WAYS)
    weights = list(_WAYS.values())
    for turn in range(1, rounds + 1):
        number = chance.randrange(_KEYS)
        way = chance.choices(names, weights)[0]
        truth[number] = turn
        removals: dict[str, Callable[[], object]] = {
            "delete": partial(cache.delete, _name(number)),
            "set": partial(cache.set, _name(number), turn, tags=(_tag(number),)),
            "tag": partial(cache.invalidate_tag, _tag(number)),
            "pattern": partial(cache.invalidate_pattern, _name(number) + "*"),
        }
        began_s = time.perf_counter()
        removals[way]()
        times_s.append(time.perf_counter() - began_s)
        reader.send(number)
        stale += _answer(reader) < turn
    return stale, times_s


def _answer(reader: Connection) -> Any:
    if not reader.poll(_ANSWER_S):
        raise TimeoutError(f"cache_coherence: the reader did not answer within {_ANSWER_S} s")
    return reader.recv()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print what was seen; 1 if anything was stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--level", choices=("valkey", "sqlite"), default="valkey")
    parser.add_argument("--url", help="an empty database of a Valkey or Redis; else one is started")
    parser.add_argument("--late", type=float, default=0.05, help="share of answers held back")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        if chosen.level == "sqlite":
            where = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "cache.db")
        else:
            where = chosen.url or stack.enter_context(start_valkey()).url
        report = run(
            kind=chosen.level,
            where=where,
            rounds=chosen.rounds,
            seed=chosen.seed,
            late=chosen.late,
        )
    print(f"{report.level}: {report.stale} stale reads after {report.rounds:,} removals")
    print(f"  {report.late:,} answers of level 2 came late, {report.background:,} other reads,")
    print(f"  {report.reader_hits:,} hits in the reader's level 1")
    print(f"  a removal took {report.removal_us:,} us (median); all {report.seconds} s")
    print(json.dumps(asdict(report)))
    return 1 if report.stale else 0


if __name__ == "__main__":
    sys.exit(main())
