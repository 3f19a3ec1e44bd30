"""Taking contacts away from a node, so that nobody's phone rings for somebody else's number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from provisioner.ami.astdb import (
    EVICTED_AT,
    PLAIN_ID,
    ContactInStore,
    ExpireContact,
    LookAtAor,
    StoredContact,
    StoredContacts,
)
from provisioner.ami.client import Client
from provisioner.ami.registrations import Contact, Contacts

FEW_AORS = 20
"""Up to here each AOR is looked up by itself (1.5 ms); beyond it all contacts are read once."""
FEW_CONTACTS = 500
"""Up to here each contact is asked for by its key (0.05 ms); beyond it all are read (12 ms a thousand)."""
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Eviction:
    """``evicted`` contacts had their expiration put into the past; ``lingering`` ones wait for the sweep."""

    evicted: int = 0
    lingering: tuple[StoredContact, ...] = ()


async def evict(client: Client, keep: Mapping[str, int]) -> Eviction:
    """Leave each AOR in ``keep`` only so many contacts of astdb, those that expire last; 0 leaves none.

    An evicted contact is not rung any more when this returns. Where its AOR still exists it is gone too,
    with its events and device state; one that lingers has no AOR, and the sweep removes it.

    What has expired by itself is told by no clock of ours, as the node's may be another: it is treated alike.
    """
    live: dict[str, list[StoredContact]] = {}
    expired = []
    for contact in await _stored(client, tuple(keep)):
        if contact.expires_at > EVICTED_AT:
            live.setdefault(contact.aor, []).append(contact)
        else:
            expired.append(contact)
    surplus = []
    for aor, contacts in live.items():
        surplus += sorted(contacts, key=lambda each: (-each.expires_at, each.key))[keep[aor] :]
    await client.call_all(ExpireContact(contact) for contact in surplus)
    doomed = (*surplus, *expired)
    await look(client, {contact.aor for contact in doomed})
    return Eviction(len(surplus), await _lingering(client, doomed))


async def look(client: Client, aors: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The contacts of each AOR; the look removes those that have expired before the sweep would."""
    plain = [aor for aor in sorted(aors) if PLAIN_ID.fullmatch(aor)]
    return dict(zip(plain, await client.call_all(map(LookAtAor, plain)), strict=True))


async def with_contacts(client: Client, aors: Sequence[str], contacts: str) -> Sequence[str]:
    """Those of the AORs that may have contacts, expired ones too: all of a few, of many those that have any.

    ``contacts`` says where they are: ``astdb`` or ``realtime``. A look at an AOR that the node has to read
    first, or does not find, takes 0.2 ms: 20 s for 100,000.
    """
    if len(aors) <= FEW_AORS:
        return aors
    kept: Sequence[Contact | StoredContact] = await client.call(
        StoredContacts() if contacts == "astdb" else Contacts()
    )
    listed = frozenset([contact.aor for contact in kept])
    return [aor for aor in aors if aor in listed]


async def wait_until_swept(
    client: Client, contacts: Sequence[StoredContact], seconds: float
) -> tuple[StoredContact, ...]:
    """Wait until these contacts are gone; returns those that are still there after so many seconds.

    One that was registered again meanwhile counts as gone: it was let in by the rows that are in force now.
    """
    left = tuple(contacts)
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        left = await _lingering(client, left)
    return left


async def _stored(client: Client, aors: Sequence[str]) -> list[StoredContact]:
    if len(aors) <= FEW_AORS:
        return [each for found in await client.call_all(map(StoredContacts, aors)) for each in found]
    wanted = frozenset(aors)
    return [each for each in await client.call(StoredContacts()) if each.aor in wanted]


async def _lingering(client: Client, contacts: Sequence[StoredContact]) -> tuple[StoredContact, ...]:
    found: Sequence[StoredContact | None]
    if len(contacts) <= FEW_CONTACTS:
        found = await client.call_all(ContactInStore(contact.key) for contact in contacts)
    else:
        keys = frozenset([contact.key for contact in contacts])
        found = [contact for contact in await client.call(StoredContacts()) if contact.key in keys]
    return tuple(contact for contact in found if contact and contact.expires_at <= EVICTED_AT)
