"""What one node does about changed rows: forget what it cached, and let go of unwanted contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.ami.actions import ExpireObject
from provisioner.ami.client import Client
from provisioner.ami.eviction import Eviction, evict, look, wait_until_swept, with_contacts
from provisioner.ami.expiry import expire
from provisioner.plan import NodeOrder, merge_orders

SWEEP_MARGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was done on one node: counts of objects and of contacts.

    ``whole`` are the object types of which so many changed that their whole caches were expired; the counts
    of objects are without these. ``no_cache`` are the object types that the node does not cache: it reads
    their rows on every use, so there was nothing to expire. ``unswept`` contacts are not rung any more, but
    were in astdb to the end. ``over`` are the endpoints that have more contacts than they may keep all the
    same: phones that came back with the new rows, or, with contacts in realtime, with the old ones between
    the commit and the expiring.
    """

    orders: int = 0
    expired: int = 0
    not_cached: int = 0
    whole: frozenset[str] = frozenset()
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
    done = await expire(
        client, [ExpireObject(type, order.endpoint_id) for order in merged for type in sorted(order.expire)]
    )
    # Once more, for whoever registered with the old rows until they were expired.
    after = await evict(client, keep) if contacts == "astdb" else Eviction()
    unswept = await wait_until_swept(client, after.lingering, 1.5 * sweep_seconds + SWEEP_MARGIN_SECONDS)
    left = await look(client, await with_contacts(client, tuple(keep), contacts))
    return Delivery(
        orders=len(merged),
        expired=done.expired,
        not_cached=done.not_cached,
        whole=done.whole,
        no_cache=done.no_cache,
        evicted=before.evicted + after.evicted,
        unswept=len(unswept),
        over=frozenset(aor for aor, contact_ids in left.items() if len(contact_ids) > keep[aor]),
    )
