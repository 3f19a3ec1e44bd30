"""What a node keeps beside its caches, and what makes it read that again (measured on 22.10.1).

**Device states** of new AORs. Asterisk connects AORs with endpoints when it starts, when res_pjsip.so is
reloaded, and when a phone registers at an AOR that it does not know yet and that has a qualify_frequency:
then it reads *all* endpoints for that one AOR. With qualify_frequency 0 nothing happens, and the phone stays
Unavailable, for queues and lamps alike, however often it registers. So an unqualified new AOR needs a reload,
few qualified ones need nothing, and for many one reload is far less work: beside 10,000 endpoints each costs
2 s of a core, a reload 4 s; of 40 that registered together the last was usable after 226 s, and after 0.7 s
with a reload before. Both grow faster than the number of endpoints (beside 20,000: 17 and 22 s), so of very
many the operator chooses the time.

**Qualify options** are kept with the registered contacts until their phones register again. A reload brings
them into force at once, and is left out where it is known to be slow: one phone in some thirty gets no
answer while it lasts.

**Unsolicited MWI** goes by the mailboxes that an endpoint had at its first registration; a reload of
res_pjsip_mwi.so subscribes to the new ones and lets go of the old. It sends no NOTIFY by itself: that comes
with the next message or registration. It takes 1 ms where no endpoint has mailboxes, 2.3 s where 10,000 have.

**Hints** follow device states by themselves, also for extensions that come and go: nothing to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from provisioner.ami.astdb import PLAIN_ID, QualifyFrequency
from provisioner.ami.client import Client
from provisioner.ami.eviction import FEW_AORS, look
from provisioner.ami.paced import PacedReload, said
from provisioner.errors import ActionRefused
from provisioner.plan import NodeOrder

FEW_NEW = 5
"""New AORs of a minute up to which each may cost the node a look at all endpoints."""
MANY_NEW = 100
"""New AORs of a minute beyond which a reload is never the greater work."""
TOGETHER_SECONDS = 60.0
WORTH_SECONDS = 5.0
"""Work that new AORs may cause a node whose reloads are known to be quick."""
SLOW_SECONDS = 1.0
"""A reload of more than this is not made for qualify options alone."""
ENDLESS_SECONDS = 60.0
"""A reload of more than this is not made at all."""
MOST = 20_000
"""AORs that alone make a reload that long, or nearly."""

UNQUALIFIED = "just made with qualify_frequency 0, where a phone would stay Unavailable"
NEW = "just made, each of which would have the node read all endpoints when its phone registers"
REQUALIFIED = "with changed qualify options: a registered phone keeps the old ones until it registers again"
MAILBOXES = "with changed mailboxes: a registered phone would not hear of the new ones"


@dataclass
class _Kept:
    """What is remembered of one node, as long as the event loop lives."""

    pjsip: PacedReload = field(default_factory=lambda: PacedReload("res_pjsip.so"))
    mwi: PacedReload = field(default_factory=lambda: PacedReload("res_pjsip_mwi.so"))
    fresh: dict[str, float] = field(default_factory=dict)
    """AORs that came without a reload, and when."""


_KEPT: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Kept]] = WeakKeyDictionary()


async def renew(
    client: Client, orders: Sequence[NodeOrder], database_answers: Callable[[], bool]
) -> tuple[str, ...]:
    """Renew what these orders ask for beside expiring, after that; one sentence for each thing done or left.

    Never waits longer than a moment: a reload that takes longer goes on beside, and a later call, also one
    without orders, tells what became of it. No reload is sent while ``database_answers``, called in threads,
    says that it does not. A node that refuses something is a sentence; raises what
    :meth:`Client.call` raises where the connection is lost.
    """
    kept = _KEPT.setdefault(asyncio.get_running_loop(), {}).setdefault(client.node.name, _Kept())
    told = [*kept.pjsip.news(), *kept.mwi.news()]
    new, requalified, mailboxes = (_asking(orders, what) for what in ("state", "qualify", "mwi"))
    try:
        reasons = await _unknown(client, kept, new)
        changed = await _registered(client, requalified - new)
        took = kept.pjsip.seconds or 0.0
        if reasons and (took > ENDLESS_SECONDS or len(new) > MOST):
            told.append(f"left {said(reasons)}; reload res_pjsip.so at a quiet time, as it may take minutes")
            reasons = {}
        if changed and (reasons or (took <= SLOW_SECONDS and len(changed) <= MOST)):
            reasons[REQUALIFIED] = changed
        elif changed:
            told.append(f"left {said({REQUALIFIED: changed})}; a reload of res_pjsip.so takes long here")
        if reasons:
            kept.fresh = {}
            told += await kept.pjsip.ask(client.node, reasons, database_answers)
        if mailboxes:
            told += await kept.mwi.ask(client.node, {MAILBOXES: mailboxes}, database_answers)
    except ActionRefused as exc:
        told.append(f"device states and qualify options were not looked after: {exc}")
    return tuple(told)


def pays(new: int, seconds: float | None) -> bool:
    """Whether a reload, of so many seconds, is less work than the first registrations at so many new AORs."""
    return new > (FEW_NEW if seconds is None else max(FEW_NEW, min(MANY_NEW, WORTH_SECONDS / seconds)))


def _asking(orders: Iterable[NodeOrder], what: str) -> frozenset[str]:
    return frozenset([order.endpoint_id for order in orders if what in order.renew])


async def _unknown(client: Client, kept: _Kept, new: frozenset[str]) -> dict[str, frozenset[str]]:
    """Why the node has to be told of new AORs; empty where it finds out by itself."""
    if not new:
        return {}
    now = time.monotonic()
    fresh = {aor: came for aor, came in kept.fresh.items() if now - came < TOGETHER_SECONDS}
    kept.fresh = {**fresh, **dict.fromkeys(new, now)}
    if pays(len(kept.fresh), kept.pjsip.seconds):
        many, kept.fresh = frozenset(kept.fresh), {}
        return {NEW: many}
    aors = [aor for aor in sorted(new) if PLAIN_ID.fullmatch(aor)]
    found = await client.call_all(map(QualifyFrequency, aors))
    unqualified = frozenset(aor for aor, seconds in zip(aors, found, strict=True) if seconds == 0)
    return {UNQUALIFIED: unqualified} if unqualified else {}


async def _registered(client: Client, aors: frozenset[str]) -> frozenset[str]:
    """Those where phones may be registered: all of many, as looking costs too."""
    if not aors or len(aors) > FEW_AORS:
        return aors
    return frozenset(aor for aor, contacts in (await look(client, aors)).items() if contacts)
