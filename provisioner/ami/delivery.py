"""What one node does about changed rows: forget what it cached, and let go of unwanted contacts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.ami.actions import Expired, ExpireObject
from provisioner.ami.client import Client
from provisioner.ami.eviction import Eviction, evict, look, wait_until_swept
from provisioner.plan import NodeOrder, merge_orders

SETTLE_SECONDS = 0.05
"""Between the two passes of expiring; many times what Asterisk takes from reading a row to caching it."""
SWEEP_MARGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was done on one node: counts of objects and of contacts.

    ``no_cache`` are the object types that the node does not cache: it reads their rows on every use, so
    there was nothing to expire. ``unswept`` contacts are not rung any more, but were in astdb to the end.
    ``over`` are the endpoints that have more contacts than they may keep all the same: phones that came back
    with the new rows, or, with contacts in realtime, with the old ones between the commit and the expiring.
    """

    orders: int = 0
    expired: int = 0
    not_cached: int = 0
    no_cache: frozenset[str] = frozenset()
    evicted: int = 0
    unswept: int = 0
    over: frozenset[str] = frozenset()


async def deliver(
    client: Client, orders: Sequence[NodeOrder], contacts: str, sweep_seconds: float
) -> Delivery:
    """Carry out all orders on one node; can be repeated at will.

    ``contacts`` says where the node keeps them: those of ``astdb`` are evicted here, those of ``realtime``
    have been expired in the table by the transaction, and are only looked at, which removes them.

    PJSIPSetMaintenance is not used to cut phones off: an expired contact is not rung from the moment it is
    written, and the flag has a trap of its own (see SetMaintenance).
    """
    merged = merge_orders(orders)
    keep = {order.endpoint_id: order.keep_contacts for order in merged if order.keep_contacts is not None}
    before = Eviction()
    if contacts == "astdb":
        # Before expiring, for a deleted endpoint's sake: while its AOR is still cached, the look that ends
        # evict() removes its contacts at once. Afterwards it would take the sweep.
        before = await evict(client, keep)
    found = await expire(
        client, [ExpireObject(type, order.endpoint_id) for order in merged for type in sorted(order.expire)]
    )
    # Once more, for whoever registered with the old rows until they were expired.
    after = await evict(client, keep) if contacts == "astdb" else Eviction()
    unswept = await wait_until_swept(client, after.lingering, 1.5 * sweep_seconds + SWEEP_MARGIN_SECONDS)
    left = await look(client, keep)
    counts = Counter(found.values())
    return Delivery(
        orders=len(merged),
        expired=counts[Expired.EXPIRED],
        not_cached=counts[Expired.NOT_CACHED],
        no_cache=frozenset(action.type for action, what in found.items() if what is Expired.NO_CACHE),
        evicted=before.evicted + after.evicted,
        unswept=len(unswept),
        over=frozenset(aor for aor, contact_ids in left.items() if len(contact_ids) > keep[aor]),
    )


async def expire(client: Client, objects: Sequence[ExpireObject]) -> dict[ExpireObject, Expired]:
    """Expire these objects, twice where the node caches any; returns what the first pass found.

    The second pass is for a row that Asterisk had read just before our commit: it may put the old row into
    its cache only after the first pass, where it would stay in force for the lifetime of the cache.
    """
    found = dict(zip(objects, await client.call_all(objects), strict=True))
    cached = [action for action in objects if found[action] is not Expired.NO_CACHE]
    if cached:
        await asyncio.sleep(SETTLE_SECONDS)
        await client.call_all(cached)
    return found
