"""Having a node forget what it cached: objects by name, or, of very many, the whole cache of their type."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
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


class Expiring:
    """Expire objects of one node at once, and all of them :meth:`again`, where the node caches any.

    The second pass is for a row that Asterisk had read just before our commit: it may put the old row into
    its cache only after the first pass, where it would stay in force for the lifetime of the cache.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: dict[ExpireObject | ExpireCache, Expired] = {}

    async def caches(self, types: Iterable[str]) -> None:
        """Expire the whole caches of these types."""
        await self._first([ExpireCache(type) for type in types])

    async def objects(self, objects: Sequence[ExpireObject]) -> None:
        """Expire these objects, or of very many of a type its whole cache."""
        by_type = Counter(action.type for action in objects)
        whole = frozenset(type for type, count in by_type.items() if count > MANY_OBJECTS)
        await self.caches(sorted(whole))
        await self._first([action for action in objects if action.type not in whole])

    async def again(self) -> Expiry:
        """Expire all of it a second time; returns what the first pass found."""
        no_cache = frozenset(action.type for action, what in self._found.items() if what is Expired.NO_CACHE)
        cached = [action for action in self._found if action.type not in no_cache]
        if cached:
            await asyncio.sleep(SETTLE_SECONDS)
            await self._all(cached)
        counts = Counter(what for action, what in self._found.items() if isinstance(action, ExpireObject))
        whole = frozenset(action.type for action in self._found if isinstance(action, ExpireCache))
        return Expiry(counts[Expired.EXPIRED], counts[Expired.NOT_CACHED], whole - no_cache, no_cache)

    async def _first(self, actions: Sequence[ExpireObject | ExpireCache]) -> None:
        self._found.update(zip(actions, await self._all(actions), strict=True))

    async def _all(self, actions: Sequence[ExpireObject | ExpireCache]) -> list[Expired]:
        each: Sequence[Action[Expired]] = actions
        return await self._client.call_all(each)
