"""Cancels tasks at every point where they wait, and counts what the pool loses by it.

    python tools/evaluation/pool_cancellation.py --schedules 10000

One schedule is a few tasks that borrow from one pool of two connections, on a driver whose every
callback suspends a random number of times, some calls under `asyncio.timeout` or `wait_for`. At
each step of the loop a task may be cancelled: waiting for a turn, in the moment a connection is
handed over, in a check, in the body, in commit, rollback and reset. The loop's clock jumps to the
next timer, so nothing waits for real time and a schedule depends on its seed alone.

Half of the schedules cancel at random, several tasks and some of them often. The other half is
systematic: a schedule is repeated with each of its tasks cancelled at each step in turn, which hits
every suspension there is.

Counted after each schedule: connections that are neither idle nor closed, places that the pool
believes taken, cancels that were delivered to a task and did not come out of it, tasks left behind,
and whether the pool still serves.
"""

import argparse
import asyncio
import heapq
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sergas.optimizations.connection_pool import AsyncConnectionPool, Driver

__all__ = ["Outcome", "main", "plans", "run_schedule"]

_TASKS = 6
_MAX_SIZE = 2
_STEPS_MAX = 20_000
_LOSSES = ("swallowed", "shared", "lost_connections", "lost_places", "left_tasks", "stuck")


class SteppedLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer instead of passing."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def time(self) -> float:  # type: ignore[explicit-override] # typing has it from 3.12
        """Seconds, as far as the schedule has come."""
        return self.now_s

    def step(self) -> bool:
        """Run what is ready, or go to the next timer; False if there is neither."""
        ready: Any = self._ready  # type: ignore[attr-defined] # the stepping that asyncio lacks
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:  # noqa: SLF001 - as the loop itself does
            heapq.heappop(timers)._scheduled = False  # noqa: SLF001
        if not ready:
            if not timers:
                return False
            self.now_s = max(self.now_s, timers[0].when())
        self.stop()
        self.run_forever()
        return True


@dataclass(slots=True)
class Outcome:
    """What one schedule did and what it lost."""

    steps: int = 0
    delivered: int = 0
    seen: int = 0
    wait_for: int = 0  # swallowed by asyncio.wait_for itself, as it did before Python 3.12
    swallowed: int = 0
    shared: int = 0
    lost_connections: int = 0
    lost_places: int = 0
    left_tasks: int = 0
    stuck: int = 0
    hit: Counter[str] = field(default_factory=Counter)


class Link:
    """A connection that knows where it is."""

    def __init__(self) -> None:
        self.is_closed = False
        self.users = 0


class Bench:
    """One schedule: the pool, its driver, and the tasks that use it."""

    def __init__(self, seed: int, cancel_at: tuple[int, int] | None = None) -> None:
        self.cancel_at = cancel_at
        self.random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self.loop = SteppedLoop()
        self.links: list[Link] = []
        self.outcome = Outcome()
        self.cancelled: set[asyncio.Task[Any] | None] = set()
        self.excused: set[asyncio.Task[Any] | None] = set()
        self.where: dict[asyncio.Task[Any], str] = {}
        driver = Driver[Link](
            connect=self.connect,
            close=self.close,
            commit=self.callback("commit", 0.05),
            rollback=self.callback("rollback", 0.05),
            reset=self.callback("reset", 0.05) if self.chance(0.5) else None,
            check=self.callback("check", 0.1) if self.chance(0.7) else None,
        )
        self.pool = AsyncConnectionPool(
            driver,
            min_size=self.random.choice([0, 1, 2]),
            max_size=_MAX_SIZE,
            timeout_s=self.random.choice([0.5, 5.0]),
            max_waiting=self.random.choice([0, 3]),
            clock=_LoopClock(self.loop),
            random=self.random.random,
            leak_after_s=self.random.choice([None, 1.0]),
        )

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.random.random() < share

    async def suspend(self, place: str) -> None:
        """Let others run, at a place that is noted for the tally."""
        for _ in range(self.random.choice([0, 1, 1, 2])):
            self.note(place)
            await asyncio.sleep(self.random.choice([0, 0, 0.01]))

    async def connect(self) -> Link:
        """A new connection, or an error."""
        await self.suspend("connect")
        if self.chance(0.1):
            raise ConnectionRefusedError
        self.links.append(Link())
        return self.links[-1]

    async def close(self, link: Link) -> None:
        """The end of one."""
        await self.suspend("close")
        link.is_closed = True

    def callback(self, place: str, failing: float) -> Callable[[Link], Awaitable[None]]:
        """A callback that suspends and sometimes fails."""

        async def call(_link: Link) -> None:
            await self.suspend(place)
            if self.chance(failing):
                raise ConnectionResetError(place)

        return call

    async def use(self) -> None:
        """Borrow in one of the ways there are."""
        way = self.random.randrange(4)
        for _ in range(self.random.choice([1, 2, 3])):
            self.note("turn")
            try:
                await (self.plainly, self.in_time, self.by_hand, self.in_two_times)[way]()
            except Exception as error:  # noqa: BLE001 - timeouts and refusals are part of the game
                self.outcome.hit[f"raised {type(error).__name__}"] += 1

    async def plainly(self) -> None:
        """A block, now and then with a check."""
        if self.chance(0.3):
            await self.pool.invalidate()
        async with self.pool.connection() as link:
            await self.body(link)

    async def in_time(self) -> None:
        """A block with little time."""
        async with asyncio.timeout(self.random.choice([0.0, 0.005, 0.02])):
            await self.plainly()

    async def in_two_times(self) -> None:
        """A block with a time limit of its own inside another."""
        async with asyncio.timeout(0.05), self.pool.connection(timeout_s=0.01) as link:
            await self.body(link)

    async def by_hand(self) -> None:
        """`getconn` and `putconn`, with a time limit that runs in a task of its own."""
        try:
            link = await asyncio.wait_for(self.pool.getconn(), 0.01)
        except Exception:
            self.excuse()
            raise
        self.excuse()
        try:
            await self.body(link)
        finally:
            await self.pool.putconn(link)

    def excuse(self) -> None:
        """`wait_for` has ended otherwise than by the cancel that its task was sent."""
        task = asyncio.current_task()
        if task in self.cancelled and task not in self.excused:
            self.outcome.wait_for += 1
            self.excused.add(task)

    def note(self, place: str) -> None:
        """Remember where the running task is."""
        task = asyncio.current_task()
        if task is not None:
            self.where[task] = place

    async def body(self, link: Link) -> None:
        """What a borrower does; two at a time with one connection are a fault of the pool."""
        link.users += 1
        self.outcome.shared += link.users > 1 or link.is_closed
        try:
            await self.suspend("body")
            if self.chance(0.1):
                raise LookupError("body")
        finally:
            link.users -= 1

    def cancel_somebody(self, tasks: list[asyncio.Task[None]]) -> None:
        """Cancel a task, once, wherever it is."""
        alive = [task for task in tasks if not task.done() and task not in self.cancelled]
        if alive:
            self.cancel(self.random.choice(alive))

    def cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel a task, unless it is over."""
        if task.cancel():
            self.cancelled.add(task)
            self.outcome.delivered += 1
            self.outcome.hit[self.where.get(task, "start")] += 1

    def run_until(self, is_done: Callable[[], bool]) -> None:
        """Step the loop."""
        for _ in range(_STEPS_MAX):
            if is_done() or not self.loop.step():
                return
        self.outcome.stuck += 1

    def finish(self, job: Awaitable[Any]) -> Any:
        """Run a coroutine to its end."""
        task = asyncio.ensure_future(job, loop=self.loop)
        self.run_until(task.done)
        if not task.done():
            self.outcome.stuck += 1
            return None
        return task.result()

    def run(self) -> Outcome:
        """The whole schedule."""
        try:
            self.play()
        finally:
            self.loop.close()
        return self.outcome

    def play(self) -> None:
        """Open, use and cancel, count, close."""
        self.finish(self.pool.open())
        tasks = [self.loop.create_task(self.use()) for _ in range(_TASKS)]
        rate = self.random.choice([0.02, 0.1, 0.4])
        for step in range(_STEPS_MAX):
            if all(task.done() for task in tasks):
                break
            self.outcome.steps = step + 1
            if self.cancel_at is None:
                if self.chance(rate):
                    self.cancel_somebody(tasks)
            elif self.cancel_at[1] == step:
                self.cancel(tasks[self.cancel_at[0]])
            if not self.loop.step():
                self.outcome.stuck += 1
                break
        self.count(tasks)
        self.finish(self.pool.close())
        self.run_until(lambda: not asyncio.all_tasks(self.loop))
        self.outcome.left_tasks += len(asyncio.all_tasks(self.loop))
        self.outcome.lost_connections += sum(not link.is_closed for link in self.links)

    def count(self, tasks: list[asyncio.Task[None]]) -> None:
        """What the cancels did, and whether the pool is whole after them."""
        for task in tasks:
            if task in self.cancelled:
                came_out = task.done() and task.cancelled()
                self.outcome.seen += came_out
                self.outcome.swallowed += not came_out and task not in self.excused
            elif task.done() and not task.cancelled():
                task.result()
        self.run_until(lambda: not self.pool._tasks)  # noqa: SLF001 - its background must be idle
        stats = self.pool.get_stats()
        self.outcome.lost_places += stats.lent + stats.waiting
        live = sum(not link.is_closed for link in self.links)
        self.outcome.lost_connections += live - stats.idle
        self.finish(self.serve())

    async def serve(self) -> None:
        """Both connections can be borrowed at the same time, after all that happened."""
        borrowed: list[Link] = []
        for _ in range(50):
            if len(borrowed) == _MAX_SIZE:
                break
            try:
                borrowed.append(await self.pool.getconn(timeout_s=60.0))
            except Exception as error:  # noqa: BLE001 - the driver fails now and then
                self.outcome.hit[f"afterwards {type(error).__name__}"] += 1
                await asyncio.sleep(0.1)
        self.outcome.stuck += len(borrowed) < _MAX_SIZE
        for link in borrowed:
            await self.pool.putconn(link)


class _LoopClock:
    """The loop's own time for the pool."""

    def __init__(self, loop: SteppedLoop) -> None:
        self._loop = loop

    def monotonic_s(self) -> float:
        """Seconds."""
        return self._loop.now_s


def run_schedule(seed: int, cancel_at: tuple[int, int] | None = None) -> Outcome:
    """One schedule from its seed; the same arguments give the same outcome.

    Args:
        seed: Of everything that chance decides.
        cancel_at: The number of a task and the step at which it is cancelled, and no other; None
            leaves that to chance.
    """
    return Bench(seed, cancel_at).run()


def plans(count: int, seed: int) -> Iterator[tuple[int, tuple[int, int] | None]]:
    """The arguments of `count` schedules: half of them random, half systematic."""
    systematic = count // 2
    for number in range(count - systematic):
        yield seed + number, None
    for first in itertools.count(seed):
        steps = run_schedule(first, (0, -1)).steps
        for step, task in itertools.product(range(steps), range(_TASKS)):
            if systematic == 0:
                return
            systematic -= 1
            yield first, (task, step)


def main(arguments: list[str] | None = None) -> int:
    """Run many schedules; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--schedules", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    options = parser.parse_args(arguments)
    total, hit = Counter[str](), Counter[str]()
    for seed, cancel_at in plans(options.schedules, options.seed):
        outcome = run_schedule(seed, cancel_at)
        hit.update(outcome.hit)
        losses = {name: getattr(outcome, name) for name in _LOSSES}
        counts = {name: getattr(outcome, name) for name in ("delivered", "seen", "wait_for")}
        total.update({**counts, **losses})
        if any(losses.values()):
            print(f"seed {seed}, cancel at {cancel_at}: {losses}", file=sys.stderr)
    print(f"{options.schedules} schedules; cancelled at: {dict(hit.most_common())}")
    for name, count in total.items():
        print(f"{name:>18} {count}")
    print(json.dumps({"schedules": options.schedules, **total, "hit": hit}))
    return int(any(total[name] for name in _LOSSES))


if __name__ == "__main__":
    sys.exit(main())
