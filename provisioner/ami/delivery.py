"""What one node does about changed rows: forget what it cached, and let go of unwanted contacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from provisioner.ami.actions import CACHED_TYPES, ExpireObject
from provisioner.ami.client import Client
from provisioner.ami.eviction import Eviction, evict, look, wait_until_swept, with_contacts
from provisioner.ami.expiry import Expiring
from provisioner.ami.renew import renew
from provisioner.plan import NodeOrder, merge_orders

SWEEP_MARGIN_SECONDS = 1.0
LONGEST_ID = 900
"""Bytes of an id; with the rest of its line not more than Asterisk reads (1015, measured on 22.10.1)."""

ExpireContacts = Callable[[Mapping[str, int]], int]
"""Leave each AOR only so many contacts in the database; returns how many were expired. Blocking."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was done on one node: counts of objects and of contacts.

    ``whole`` are the object types whose whole caches were expired; the counts of objects are without these.
    ``no_cache`` are the object types that the node does not cache: it reads their rows on every use, so there
    was nothing to expire. ``unswept`` contacts are not rung any more, but were in astdb to the end. ``over``
    are the endpoints that have more contacts than they may keep all the same: phones that came back with the
    new rows, or faster than they could be cut off. ``renewed`` says in one sentence each what was renewed
    beside the caches, by which action, and why.
    """

    orders: int = 0
    expired: int = 0
    not_cached: int = 0
    whole: frozenset[str] = frozenset()
    no_cache: frozenset[str] = frozenset()
    evicted: int = 0
    unswept: int = 0
    over: frozenset[str] = frozenset()
    renewed: tuple[str, ...] = ()


def sayable(id: str) -> bool:
    """Whether an AMI message can hold an endpoint id; one that it cannot no phone can use either."""
    return "\r" not in id and "\n" not in id and len(id.encode()) <= LONGEST_ID


async def deliver(
    client: Client,
    orders: Sequence[NodeOrder],
    *,
    database_answers: Callable[[], bool],
    whole: bool = False,
    expire_contacts: ExpireContacts | None = None,
    sweep_seconds: float = 30,
    patience: float | None = None,
) -> Delivery:
    """Carry out all orders on one node, but for ids that are not sayable; can be repeated at will.

    ``database_answers`` says whether a node that is reloaded can read its rows; it is called in threads.
    ``whole`` expires the whole caches first, of every type, and nothing by name. Contacts are evicted from
    the node's astdb, or, where ``expire_contacts`` is given, by it: it is called in a thread. ``patience`` is
    how many seconds to wait for contacts that only the sweep removes; None is one and a half sweeps, which
    come every ``sweep_seconds``.

    PJSIPSetMaintenance is not used to cut phones off: an expired contact is not rung from the moment it is
    written, and the flag has a trap of its own (see SetMaintenance).

    Raises what :meth:`Client.call` and ``expire_contacts`` raise. Nothing is known to be done then.
    """
    merged = [order for order in merge_orders(orders) if sayable(order.endpoint_id)]
    keep = {order.endpoint_id: order.keep_contacts for order in merged if order.keep_contacts is not None}
    actions = [ExpireObject(type, order.endpoint_id) for order in merged for type in sorted(order.expire)]
    # The AOR of somebody who is cut off goes after the contacts: while it is still cached, the look that ends
    # _cut_off() removes them at once, also a deleted endpoint's. Afterwards it would take the sweep.
    last = [each for each in actions if each.type == "aor" and each.id in keep]
    expiring = Expiring(client)
    if whole:
        await expiring.caches(CACHED_TYPES)
    else:
        await expiring.objects([each for each in actions if each.type != "aor" or each.id not in keep])
    before = await _cut_off(client, keep, expire_contacts)
    if not whole:
        await expiring.objects(last)
    done = await expiring.again()
    # Once more, for whoever registered with the old rows until they were expired.
    after = Eviction() if expire_contacts else await _cut_off(client, keep, None)
    renewed = await renew(client, merged, database_answers)
    if patience is None:
        patience = 1.5 * sweep_seconds + SWEEP_MARGIN_SECONDS
    unswept = await wait_until_swept(client, after.lingering, patience)
    over = await _over(client, keep, expire_contacts)
    back = await _cut_off(client, over, expire_contacts)
    return Delivery(
        orders=len(merged),
        expired=done.expired,
        not_cached=done.not_cached,
        whole=done.whole,
        no_cache=done.no_cache,
        evicted=before.evicted + after.evicted + back.evicted,
        unswept=len(unswept),
        over=frozenset(await _over(client, over, expire_contacts)),
        renewed=renewed,
    )


async def _cut_off(
    client: Client, keep: Mapping[str, int], expire_contacts: ExpireContacts | None
) -> Eviction:
    """Leave each AOR only so many contacts, those that expire last, wherever they are kept."""
    if not keep or expire_contacts is None:
        return await evict(client, keep)
    expired = await asyncio.to_thread(expire_contacts, keep)
    await look(client, await with_contacts(client, tuple(keep), "realtime"))
    return Eviction(expired)


async def _over(
    client: Client, keep: Mapping[str, int], expire_contacts: ExpireContacts | None
) -> dict[str, int]:
    """The AORs that have more contacts than they may keep."""
    kept = "realtime" if expire_contacts else "astdb"
    left = await look(client, await with_contacts(client, tuple(keep), kept))
    return {aor: keep[aor] for aor, contact_ids in left.items() if len(contact_ids) > keep[aor]}
