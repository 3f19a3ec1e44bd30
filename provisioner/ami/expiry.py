"""Having a node forget what it cached: objects by name, or, where that costs it less, whole caches."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provisioner.ami.action import Action
from provisioner.ami.actions import ExpireCache, Expired, ExpireObject, MarkStale, Ping
from provisioner.ami.client import Client
from provisioner.ami.cost import cached, pace, whole_pays

SETTLE_SECONDS = 0.05
"""Between the two passes of expiring; many times what Asterisk takes from reading a row to caching it."""
SETTLED_SECONDS = 0.5
"""What is expired for the first time so long after the commit needs no second pass; ten times as long, for a
node that so many names keep busy."""
FEW = 1_000
"""Up to so many objects of a type go by name without a thought: 0.04 s."""
SAMPLE = 64
"""Of very many, so many go by name first, to see what a name takes on this node."""
LOOKS = 4
"""How often something is measured; the shortest time counts, as whatever else is going on only adds to it."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What was found in the caches: counts of objects expired by name, and types by what their cache did."""

    expired: int = 0
    not_cached: int = 0
    whole: frozenset[str] = frozenset()
    no_cache: frozenset[str] = frozenset()


class Expiring:
    """Expire objects of one node at once, and :meth:`again` what may have come back with its old row.

    Make it when the new rows are committed. The second pass is for a row that Asterisk had read just before:
    it may put the old row into its cache only after the first pass, where it would stay in force for the
    lifetime of the cache.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._began = time.monotonic()
        self._found: dict[str, Counter[Expired]] = defaultdict(Counter)
        self._whole: list[ExpireCache] = []
        self._again: list[ExpireObject] = []

    async def caches(self, types: Iterable[str]) -> None:
        """Expire the whole caches of these types."""
        caches = [ExpireCache(type) for type in types]
        for cache, what in zip(caches, await self._all(caches), strict=True):
            # Of a whole cache nobody knows how many objects it had.
            self._found[cache.type] = Counter([what] if what is Expired.NO_CACHE else [])
        self._whole += caches

    async def objects(self, objects: Sequence[ExpireObject]) -> None:
        """Expire these objects, or of very many of a type its whole cache, where that costs the node less."""
        count = Counter(each.type for each in objects)
        whole = {cache.type for cache in self._whole}
        await self._names([each for each in objects if count[each.type] <= FEW and each.type not in whole])
        for type in [type for type in count if count[type] > FEW and type not in whole]:
            await self._many(type, [each for each in objects if each.type == type])

    async def again(self) -> Expiry:
        """Expire a second time what needs it; returns what the first pass found."""
        no_cache = frozenset(type for type, found in self._found.items() if found[Expired.NO_CACHE])
        whole = frozenset(cache.type for cache in self._whole) - no_cache
        actions: list[ExpireObject | ExpireCache] = [each for each in self._whole if each.type in whole]
        actions += [each for each in self._again if each.type not in whole | no_cache]
        if actions:
            await asyncio.sleep(SETTLE_SECONDS)
            await self._all(actions)
        named = sum((found for type, found in self._found.items()), Counter[Expired]())
        return Expiry(named[Expired.EXPIRED], named[Expired.NOT_CACHED], whole, no_cache)

    async def _names(self, objects: Sequence[ExpireObject]) -> None:
        if time.monotonic() - self._began < SETTLED_SECONDS:
            self._again += objects
        for each, what in zip(objects, await self._all(objects), strict=True):
            self._found[each.type][what] += 1

    async def _many(self, type: str, objects: Sequence[ExpireObject]) -> None:
        done = LOOKS * SAMPLE
        each = min([await self._timed(objects[at : at + SAMPLE]) for at in range(0, done, SAMPLE)])
        if self._found[type][Expired.NO_CACHE]:
            return
        size = await self._size(type)
        if size is not None and whole_pays(type, len(objects), each, size):
            await self.caches([type])
            return
        while done < len(objects):
            count, rest = pace(each)
            await asyncio.sleep(rest)
            each = min(each, await self._timed(objects[done : done + count]))
            done += count

    async def _timed(self, objects: Sequence[ExpireObject]) -> float:
        """Expire these by name; returns the seconds that each took."""
        began = time.monotonic()
        await self._names(objects)
        return (time.monotonic() - began) / len(objects)

    async def _size(self, type: str) -> int | None:
        """How many objects of a type the node caches, as its time tells; None where it does not."""
        answered, marked = [], []
        for _ in range(LOOKS):
            began = time.monotonic()
            await self._client.call(Ping())
            answered.append(time.monotonic() - began)
            began = time.monotonic()
            if not await self._client.call(MarkStale(type)):
                return None
            marked.append(time.monotonic() - began)
        return cached(min(marked), min(answered))

    async def _all(self, actions: Sequence[ExpireObject | ExpireCache]) -> list[Expired]:
        each: Sequence[Action[Expired]] = actions
        return await self._client.call_all(each)
