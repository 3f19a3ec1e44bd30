"""Who is registered on one node: of a few endpoints one by one, of many or all in two lists."""

from __future__ import annotations

from collections.abc import Collection

from provisioner.ami.astdb import EVICTED_AT
from provisioner.ami.client import Client
from provisioner.ami.registrations import Contact, Contacts, DeviceState, DeviceStates, ShowEndpoint
from provisioner.ami.results import NodeStatus

FEW_ENDPOINTS = 50
"""Up to here each endpoint is asked for (1 to 6 ms each); beyond it the whole lists are cheaper."""


async def status(client: Client, endpoint_ids: Collection[str] | None) -> NodeStatus:
    """Contacts and device states of these endpoints (None: of all)."""
    if endpoint_ids is not None and len(endpoint_ids) <= FEW_ENDPOINTS:
        return await _one_by_one(client, tuple(dict.fromkeys(endpoint_ids)))
    listed = await client.call(Contacts())
    contacts = tuple([contact for contact in listed if contact.expires_at != EVICTED_AT])
    states = await client.call(DeviceStates())
    if endpoint_ids is None:
        return NodeStatus(client.node.name, contacts, states)
    wanted = frozenset(endpoint_ids)
    return NodeStatus(
        client.node.name,
        tuple(contact for contact in contacts if contact.aor in wanted),
        {id: states.get(id, DeviceState.UNAVAILABLE) for id in wanted},
    )


async def _one_by_one(client: Client, ids: tuple[str, ...]) -> NodeStatus:
    found = dict(zip(ids, await client.call_all(map(ShowEndpoint, ids)), strict=True))
    contacts: list[Contact] = []
    states = {}
    for id, endpoint in found.items():
        states[id] = DeviceState.INVALID if endpoint is None else endpoint.device_state
        contacts += () if endpoint is None else endpoint.contacts
    return NodeStatus(client.node.name, tuple(contacts), states)
