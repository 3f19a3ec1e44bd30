"""Having a node read rows again: exactly the objects named, its whole caches, or, without any, the module."""

from __future__ import annotations

from collections.abc import Collection

from provisioner.ami.actions import CACHED_TYPES, ExpireCache, Expired, ExpireObject, ReloadModule
from provisioner.ami.client import Client
from provisioner.ami.expiry import Expiring
from provisioner.ami.results import ReloadResult


async def reload(client: Client, endpoint_ids: Collection[str] | None) -> ReloadResult:
    """Expire endpoint, auth and aor of these ids (None: everything that is cached).

    A node that caches nothing reads its rows on every use. There only the module's own state can be behind:
    qualify intervals of registered contacts, device states where qualify_frequency=0, and endpoints of
    configuration files. A reload of res_pjsip.so renews those; it takes seconds at 10,000 endpoints.
    """
    name = client.node.name
    if endpoint_ids is None:
        found = await client.call_all([ExpireCache(type) for type in CACHED_TYPES])
        cached = [type for type, what in zip(CACHED_TYPES, found, strict=True) if what is Expired.EXPIRED]
        if cached:
            return ReloadResult(name, f"expired all cached objects of type {_and(cached)}")
        return await _reload_module(client)
    objects = [ExpireObject(type, id) for id in dict.fromkeys(endpoint_ids) for type in CACHED_TYPES]
    if not objects:
        return ReloadResult(name, "nothing to do: no endpoint was named")
    expiring = Expiring(client)
    await expiring.objects(objects)
    done = await expiring.again()
    if done.no_cache == frozenset(CACHED_TYPES):
        return await _reload_module(client)
    whole = [type for type in CACHED_TYPES if type in done.whole]
    named = sum(each.type not in done.whole for each in objects)
    did = [f"expired all cached objects of type {_and(whole)}, as so many were named"] if whole else []
    if named:
        did.append(f"expired {done.expired} of {named} objects from the caches")
    if named > done.expired:
        did.append(f"{named - done.expired} not cached, so their rows are read on use")
    return ReloadResult(name, "; ".join(did), expired=done.expired)


async def _reload_module(client: Client) -> ReloadResult:
    await client.call(ReloadModule())
    return ReloadResult(
        client.node.name,
        "reloaded res_pjsip.so, because this node has no caches to expire; rows are read on use",
    )


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
