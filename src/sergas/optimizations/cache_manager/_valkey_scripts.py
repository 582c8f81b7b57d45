"""What `ValkeyLevel` says to the server: scripts, atomic there, their arguments and answers.

For a name space `n` the server holds

- `n:v:KEY`  a hash of a value: `d` data, `s` stale milliseconds, `c` microseconds of its load, `t`
  the generations of its tags (cmsgpack); it expires when it is no longer even stale;
- `n:l:KEY`  the claim of a key: its token, the epoch and the generations it was made under; it
  expires with the lease;
- `n:t:TAG`  the generation of a tag; it lives as long as any value that has it;
- `n:e`      the epoch, which every removal by pattern changes;
- `n:f`      the last fencing token; at least the server's microseconds, so that it goes on rising
  even if the server forgets it;
- `n:m`      who keeps values in a level 1 of its own, with a number
  that each of its heartbeats changes.

A generation or an epoch that the server has forgotten (it may evict any key) is not the one that
was written down, so what depends on it is over: forgetting never revives anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager._level import Answer, Claim, StoredValue

__all__ = [
    "BEAT",
    "CLAIM",
    "EVICT",
    "FULFIL",
    "LEAVE",
    "NEW_EPOCH",
    "READ",
    "RELEASE",
    "REMOVE",
    "TAG",
    "TELL",
    "UNTOLD",
    "WRITE",
    "Members",
    "claim_arguments",
    "claimed",
    "fulfil_arguments",
    "item_arguments",
    "read_values",
    "told",
]

_COMMON = """
local n = ARGV[1]
local function unique()
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  local f = redis.call('INCR', n .. ':f')
  if f < now then
    redis.call('SET', n .. ':f', string.format('%.0f', now))
    f = now
  end
  return string.format('%.0f', f)
end
local function find(key)
  local name = n .. ':v:' .. key
  local r = redis.call('HMGET', name, 'd', 's', 'c', 't')
  if not r[1] then return false end
  local tags = {}
  if r[4] then
    for tag, generation in pairs(cmsgpack.unpack(r[4])) do
      if redis.call('GET', n .. ':t:' .. tag) ~= generation then return false end
      tags[#tags + 1] = tag
    end
  end
  return {r[1], redis.call('PTTL', name), r[2], r[3], tags}
end
local function is_fresh(found, early)
  return found and (found[2] < 0 or found[2] - found[3] > early)
end
local function generation(tag, life)
  local name = n .. ':t:' .. tag
  local g = redis.call('GET', name)
  if not g then
    g = unique()
    if life > 0 then redis.call('SET', name, g, 'PX', life) else redis.call('SET', name, g) end
  elseif life == 0 then
    redis.call('PERSIST', name)
  else
    local left = redis.call('PTTL', name)
    if left >= 0 and left < life then redis.call('PEXPIRE', name, life) end
  end
  return g
end
local function store(key, data, life, stale, cost, tags)
  local name = n .. ':v:' .. key
  redis.call('DEL', name, n .. ':l:' .. key)
  redis.call('HSET', name, 'd', data, 's', stale, 'c', cost)
  if next(tags) then
    for tag, _ in pairs(tags) do tags[tag] = generation(tag, life) end
    redis.call('HSET', name, 't', cmsgpack.pack(tags))
  end
  if life > 0 then redis.call('PEXPIRE', name, life) end
end
local function holds(key, token)
  local held = redis.call('GET', n .. ':l:' .. key)
  return held and string.match(held, '^[^:]+') == token
end
local function tell(channel, message)
  redis.call('PUBLISH', channel, message)
  return redis.call('HGETALL', n .. ':m')
end
"""

READ = (
    _COMMON
    + """
local out = {}
for i = 2, #ARGV do out[#out + 1] = find(ARGV[i]) end
return out
"""
)

# namespace, early ms, lease ms, number of tags, tags..., keys...
CLAIM = (
    _COMMON
    + """
local early, lease, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local out, generations = {}, {}
local epoch = redis.call('GET', n .. ':e')
if not epoch then
  epoch = unique()
  redis.call('SET', n .. ':e', epoch)
end
-- The load may take as long as the lease, and the value is only then written.
for i = 5, 4 + count do generations[#generations + 1] = generation(ARGV[i], 2 * lease) end
local under = ':' .. epoch .. ':' .. table.concat(generations, ',')
for i = 5 + count, #ARGV do
  local found = find(ARGV[i])
  local token = false
  if not is_fresh(found, early) then
    local name = n .. ':l:' .. ARGV[i]
    local held = redis.call('GET', name)
    -- A claim from before a removal could store nothing: nobody waits for it.
    if not held or string.sub(held, -#under) ~= under then
      token = unique()
      redis.call('SET', name, token .. under, 'PX', lease)
    end
  end
  out[#out + 1] = {found, token}
end
return {epoch, generations, out}
"""
)

# namespace, then for each: key, token, epoch, data, life ms, stale ms, cost us, tags
FULFIL = (
    _COMMON
    + """
local out = {}
for i = 2, #ARGV, 8 do
  local key, tags, is_held = ARGV[i], {}, false
  if holds(key, ARGV[i + 1]) then
    is_held = redis.call('GET', n .. ':e') == ARGV[i + 2]
    for tag, g in pairs(cmsgpack.unpack(ARGV[i + 7])) do
      if redis.call('GET', n .. ':t:' .. tag) ~= g then is_held = false end
      tags[tag] = g
    end
    redis.call('DEL', n .. ':l:' .. key)
  end
  if is_held then
    store(key, ARGV[i + 3], tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6], tags)
  end
  out[#out + 1] = is_held and 1 or 0
end
return out
"""
)

RELEASE = (
    _COMMON
    + """
for i = 2, #ARGV, 2 do
  if holds(ARGV[i], ARGV[i + 1]) then redis.call('DEL', n .. ':l:' .. ARGV[i]) end
end
"""
)

# namespace, channel, message, then for each: key, data, life ms, stale ms, cost us, tags
WRITE = (
    _COMMON
    + """
for i = 4, #ARGV, 6 do
  local tags = cmsgpack.unpack(ARGV[i + 5])
  store(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4], tags)
end
return {0, tell(ARGV[2], ARGV[3])}
"""
)

# namespace, channel, message, keys...
REMOVE = (
    _COMMON
    + """
local count = 0
for i = 4, #ARGV do
  if is_fresh(find(ARGV[i]), 0) then count = count + 1 end
  redis.call('DEL', n .. ':v:' .. ARGV[i], n .. ':l:' .. ARGV[i])
end
return {count, tell(ARGV[2], ARGV[3])}
"""
)

# namespace, keys...; the claims are ended by a new epoch
UNTOLD = (
    _COMMON
    + """
local count = 0
for i = 2, #ARGV do
  if is_fresh(find(ARGV[i]), 0) then count = count + 1 end
  redis.call('DEL', n .. ':v:' .. ARGV[i], n .. ':l:' .. ARGV[i])
end
return count
"""
)

# namespace, channel, message, tag
TAG = (
    _COMMON
    + """
local name = n .. ':t:' .. ARGV[4]
local left = redis.call('PTTL', name)
if left > 0 then
  redis.call('SET', name, unique(), 'PX', left)
elseif left == -1 then
  redis.call('SET', name, unique())
end
return {0, tell(ARGV[2], ARGV[3])}
"""
)

NEW_EPOCH = _COMMON + "redis.call('SET', n .. ':e', unique())"
TELL = _COMMON + "return {0, tell(ARGV[2], ARGV[3])}"

# namespace, channel, message, member
BEAT = (
    _COMMON
    + """
redis.call('HSET', n .. ':m', ARGV[4], unique())
redis.call('PUBLISH', ARGV[2], ARGV[3])
"""
)

# namespace, then for each: member, the number it had
EVICT = (
    _COMMON
    + """
for i = 2, #ARGV, 2 do
  if redis.call('HGET', n .. ':m', ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', n .. ':m', ARGV[i])
  end
end
"""
)

LEAVE = _COMMON + "redis.call('HDEL', n .. ':m', ARGV[2])"


def item_arguments(key: str, value: StoredValue) -> list[Any]:
    """The arguments that write a value."""
    return [key, *_value_arguments(value), msgspec.msgpack.encode(dict.fromkeys(value.tags, ""))]


def fulfil_arguments(claim: Claim, value: StoredValue) -> list[Any]:
    """The arguments that store what was loaded under a claim."""
    generations = {tag: str(number) for tag, number in claim.generations.items()}
    return [
        claim.key,
        str(claim.token),
        str(claim.epoch),
        *_value_arguments(value),
        msgspec.msgpack.encode(generations),
    ]


def claim_arguments(
    keys: Sequence[str], tags: Sequence[str], lease_s: float, early_s: float
) -> list[Any]:
    """The arguments that claim keys."""
    return [round(early_s * 1000), max(1, round(lease_s * 1000)), len(tags), *tags, *keys]


def read_values(keys: Sequence[str], reply: Sequence[Any]) -> dict[str, StoredValue]:
    """The values in an answer to READ."""
    found = {}
    for key, item in zip(keys, reply, strict=True):
        if item is not None:
            found[key] = _value(item)
    return found


def claimed(keys: Sequence[str], tags: Sequence[str], reply: Sequence[Any]) -> dict[str, Answer]:
    """The answers in an answer to CLAIM."""
    epoch, generations, items = reply
    by_tag = dict(zip(tags, map(int, generations), strict=True))
    answers = {}
    for key, (found, token) in zip(keys, items, strict=True):
        claim = None
        if token is not None:
            claim = Claim(key=key, token=int(token), epoch=int(epoch), generations=by_tag)
        answers[key] = Answer(found=None if found is None else _value(found), claim=claim)
    return answers


def _value(item: Sequence[Any]) -> StoredValue:
    data, left_ms, stale_ms, cost_us, tags = item
    if not isinstance(data, bytes):
        raise CacheLevelError(f"ValkeyLevel: got a {type(data).__name__} for data, needed bytes")
    stale_s = int(stale_ms) / 1000
    return StoredValue(
        data=data,
        ttl_s=None if left_ms < 0 else left_ms / 1000 - stale_s,
        stale_ttl_s=stale_s,
        cost_s=int(cost_us) / 1e6,
        tags=tuple(tag.decode() for tag in tags),
    )


def _value_arguments(value: StoredValue) -> list[Any]:
    stale_ms = round(value.stale_ttl_s * 1000)
    life_ms = 0 if value.ttl_s is None else max(1, round(value.ttl_s * 1000) + stale_ms)
    return [value.data, life_ms, stale_ms, round(value.cost_s * 1e6)]


Members = Mapping[str, str]
"""Who keeps values in a level 1, with the number of its last heartbeat."""


def told(reply: Sequence[Any]) -> tuple[int, Members]:
    """The count and the members in an answer to a change."""
    count, flat = reply
    if isinstance(flat, dict):  # the third version of the protocol
        pairs = list(flat.items())
    else:
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
    return int(count), {name.decode(): number.decode() for name, number in pairs}
