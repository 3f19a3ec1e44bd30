"""Having a node forget what it cached: objects by name, or, of very many, the whole cache of their type."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.ami.action import Action
from provisioner.ami.actions import ExpireCache, Expired, ExpireObject
from provisioner.ami.client import Client

SETTLE_SECONDS = 0.05
"""Between the two passes of expiring; many times what Asterisk takes from reading a row to caching it."""

MANY_OBJECTS = 1_000
"""Beyond so many objects of one type its whole cache is expired.

By name an object takes 0.03 ms beside an empty cache, but 0.25 ms beside 10,000 cached ones and 1.5 ms beside
100,000, because Asterisk looks for it in 53 lists: all of 100,000 endpoints 22 s at best. Three whole caches
take 0.1 s with 10,000 objects in each, 1 s with 30,000, 8 s with 100,000. What else was cached is then read
again at its next use, 0.2 ms an object, so of few the names are better (measured on 22.10.1).
"""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What was found in the caches: counts of objects expired by name, and types by what their cache did."""

    expired: int = 0
    not_cached: int = 0
    whole: frozenset[str] = frozenset()
    no_cache: frozenset[str] = frozenset()


async def expire(client: Client, objects: Sequence[ExpireObject]) -> Expiry:
    """Expire these objects, twice where the node caches any; returns what the first pass found.

    The second pass is for a row that Asterisk had read just before our commit: it may put the old row into
    its cache only after the first pass, where it would stay in force for the lifetime of the cache.
    """
    by_type: dict[str, list[ExpireObject]] = defaultdict(list)
    for action in objects:
        by_type[action.type].append(action)
    whole = frozenset(type for type, named in by_type.items() if len(named) > MANY_OBJECTS)
    actions: list[ExpireObject | ExpireCache] = [ExpireCache(type) for type in sorted(whole)]
    actions += [action for action in objects if action.type not in whole]
    found = await _all(client, actions)
    no_cache = frozenset(
        action.type for action, what in zip(actions, found, strict=True) if what is Expired.NO_CACHE
    )
    cached = [action for action in actions if action.type not in no_cache]
    if cached:
        await asyncio.sleep(SETTLE_SECONDS)
        await _all(client, cached)
    counts = Counter(found[len(whole) :])
    return Expiry(counts[Expired.EXPIRED], counts[Expired.NOT_CACHED], whole - no_cache, no_cache)


async def _all(client: Client, actions: Sequence[ExpireObject | ExpireCache]) -> list[Expired]:
    each: Sequence[Action[Expired]] = actions
    return await client.call_all(each)
