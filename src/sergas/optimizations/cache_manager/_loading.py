"""Loads: what level 2 has, the claim to load, the loader, and where its value goes.

Operations (`_steps`) on a `CacheCore`.
"""

from collections.abc import Callable, Mapping, Sequence

from sergas.optimizations.cache_manager._core import CacheCore
from sergas.optimizations.cache_manager._flight import Flight, Outcome, Source, current_flight
from sergas.optimizations.cache_manager._level import Claim
from sergas.optimizations.cache_manager._options import EntryOptions
from sergas.optimizations.cache_manager._second import Found, SecondLevel
from sergas.optimizations.cache_manager._steps import Load, Operation, Pause

__all__ = ["lead", "load_many"]

_POLL_FIRST_S = 0.002
_POLL_LONGEST_S = 0.05


def lead(
    core: CacheCore, flight: Flight, options: EntryOptions, loader: Callable[[], object]
) -> Operation[None]:
    """See a flight through, and land it whatever happens."""
    outcome = Outcome(Source.NOBODY)
    try:
        outcome = yield from _obtain(core, flight, options, loader)
    except Exception as error:  # noqa: BLE001 it is raised at everybody who waits
        outcome = _failed(core, flight, options, error)
    finally:
        core.land(flight, outcome)


def _obtain(
    core: CacheCore, flight: Flight, options: EntryOptions, loader: Callable[[], object]
) -> Operation[Outcome]:
    claim: Claim | None = None
    if core.second is not None:
        found, claim = yield from _consult(core, flight, options, core.second)
        if found is not None:
            if claim is None:  # it is fresh, or somebody else loads: no need to wait for them
                source = Source.LEVEL2 if found.is_fresh else Source.STALE
                return Outcome(source, found.value)
            if options.soft_timeout_s is not None and _can_begin_again(core, flight):
                yield from core.second.release([claim])
                return Outcome(Source.NOBODY)
    return (yield from _loaded(core, flight, options, loader, claim))


def _loaded(
    core: CacheCore,
    flight: Flight,
    options: EntryOptions,
    loader: Callable[[], object],
    claim: Claim | None,
) -> Operation[Outcome]:
    """What the loader returns, kept as far as nobody was faster."""
    began_s = core.now_s()
    outcome: Outcome | None = None
    try:
        outcome = yield from _called(flight, loader)
    except GeneratorExit:
        claim = None  # nothing can be done any more; the lease ends it
        raise
    finally:
        has_failed = outcome is None or outcome.error is not None
        if has_failed and claim is not None and core.second is not None:
            yield from core.second.release([claim])
    if outcome.error is not None:
        return _failed(core, flight, options, outcome.error)
    value = outcome.value
    now_s = core.now_s()
    with core.lock:
        core.counts.loads += 1
    life = core.life(options, value, now_s - began_s)
    held = {flight.key: not flight.is_stale}
    if claim is not None and core.second is not None:
        if flight.is_stale:
            yield from core.second.release([claim])
        else:
            held = yield from core.second.fulfil([(claim, value, life)], options.tags)
    if held[flight.key]:
        core.keep(flight, value, life, now_s)
    return outcome


def _called(flight: Flight, loader: Callable[[], object]) -> Operation[Outcome]:
    """What the loader returns or raises; loads that it begins know that they are begun by it."""
    before = current_flight.get()
    current_flight.set(flight)
    try:
        value: object = yield Load(loader)
    except Exception as error:  # noqa: BLE001 not raised here: a generator cannot raise StopIteration
        return Outcome(Source.LOADER, error=error)
    finally:
        current_flight.set(before)
    return Outcome(Source.LOADER, value)


def _consult(
    core: CacheCore, flight: Flight, options: EntryOptions, second: SecondLevel
) -> Operation[tuple[Found | None, Claim | None]]:
    """What level 2 has, or the claim to load it; waits while another process loads."""
    pause_s = _POLL_FIRST_S
    while True:
        now_s = core.now_s()
        answers = yield from second.claim([flight.key], options, flight.early_s)
        sought = answers.get(flight.key)
        if sought is None:  # level 2 is down
            return None, None
        if sought.found is not None:
            core.promote(flight, sought.found, now_s)
        if sought.found is not None or sought.claim is not None:
            return sought.found, sought.claim
        if flight.is_stale:  # deleted meanwhile: the other's load is not ours to wait for
            return None, None
        yield Pause(pause_s * (0.5 + core.draw()))
        pause_s = min(2 * pause_s, _POLL_LONGEST_S)


def _can_begin_again(core: CacheCore, flight: Flight) -> bool:
    """Whether level 1 has the stale value now, so that asking again serves it at once."""
    with core.lock:
        return not flight.is_refresh and core.spare(flight.key) is not None


def _failed(core: CacheCore, flight: Flight, options: EntryOptions, error: Exception) -> Outcome:
    """The load failed: the stale value for everybody if there is one, else the error."""
    with core.lock:
        core.counts.load_errors += 1
        entry = core.spare(flight.key)
        if entry is None or flight.is_stale:
            return Outcome(Source.LOADER, error=error)
        entry.revive(core.now_s() + options.throttle_s)
        return Outcome(Source.STALE, entry.value)


def load_many(
    core: CacheCore,
    keys: Sequence[str],
    options: EntryOptions,
    loader: Callable[[Sequence[str]], object],
) -> Operation[int]:
    """Load those keys that neither level has and nobody is loading, all at once; how many.

    Raises:
        Exception: Whatever the loader raises.
    """
    flights: dict[str, Flight] = {}
    for key in keys:
        flight = core.prefetch(key, options)
        if flight is not None:
            flights[key] = flight
    outcomes: dict[str, Outcome] = {}
    try:
        claims = yield from _claimed(core, flights, options, outcomes)
        wanted = [key for key in flights if key not in outcomes]
        if wanted:
            yield from _filled(
                core, {key: flights[key] for key in wanted}, claims, options, loader, outcomes
            )
    except Exception as error:
        outcomes = {key: Outcome(Source.LOADER, error=error) for key in flights} | outcomes
        raise
    finally:
        for key, flight in flights.items():
            core.land(flight, outcomes.get(key, Outcome(Source.NOBODY)))
    return sum(outcome.source is Source.LOADER for outcome in outcomes.values())


def _claimed(
    core: CacheCore,
    flights: Mapping[str, Flight],
    options: EntryOptions,
    outcomes: dict[str, Outcome],
) -> Operation[dict[str, Claim]]:
    """Claims of the keys to load; those that level 2 has, or somebody else loads, are outcomes."""
    if core.second is None or not flights:
        return {}
    now_s = core.now_s()
    answers = yield from core.second.claim(list(flights), options, 0.0)
    claims: dict[str, Claim] = {}
    for key, sought in answers.items():
        if sought.claim is not None:
            claims[key] = sought.claim
        elif sought.found is None:
            outcomes[key] = Outcome(Source.NOBODY)
        else:
            core.promote(flights[key], sought.found, now_s)
            outcomes[key] = Outcome(Source.LEVEL2, sought.found.value)
    return claims


def _filled(
    core: CacheCore,
    flights: Mapping[str, Flight],
    claims: Mapping[str, Claim],
    options: EntryOptions,
    loader: Callable[[Sequence[str]], object],
    outcomes: dict[str, Outcome],
) -> Operation[None]:
    """Call the loader for all flights and keep what it returns."""
    began_s = core.now_s()
    try:
        values = yield Load(lambda: loader(list(flights)))
    except GeneratorExit:
        raise
    except BaseException:
        with core.lock:
            core.counts.load_errors += 1
        if core.second is not None:
            yield from core.second.release(list(claims.values()))
        raise
    now_s = core.now_s()
    cost_s = (now_s - began_s) / len(flights)
    loaded = {key: values[key] for key in flights if key in values}
    lives = {key: core.life(options, value, cost_s) for key, value in loaded.items()}
    held: dict[str, bool] = {}
    if core.second is not None:
        good = [(claims[k], v, lives[k]) for k, v in loaded.items() if k in claims]
        held = yield from core.second.fulfil(good, options.tags)
        yield from core.second.release([claims[key] for key in claims if key not in loaded])
    with core.lock:
        core.counts.loads += len(loaded)
    for key, value in loaded.items():
        if held.get(key, True):
            core.keep(flights[key], value, lives[key], now_s)
        outcomes[key] = Outcome(Source.LOADER, value)
