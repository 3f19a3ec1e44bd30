"""What a node is, and whether its AMI user may do all that provisioner asks; changes nothing on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from provisioner.ami.action import Action
from provisioner.ami.actions import (
    CACHED_TYPES,
    AllowedActions,
    CoreStatus,
    CoreVersion,
    ExpireCache,
    Expired,
    ExpireObject,
    MarkStale,
    ModuleLoaded,
    ReloadModule,
)
from provisioner.ami.astdb import ContactInStore, ExpireContact, LookAtAor, StoredContacts
from provisioner.ami.client import Client
from provisioner.ami.registrations import Contacts, DeviceStates, ShowEndpoint
from provisioner.ami.results import NodeCheck, Right

NOBODY = "provisioner-probe"
"""An id that no endpoint has."""

# Each is asked with headers that make it harmless; an action without right is refused before they are read.
USED: tuple[tuple[type[Action[object]], Mapping[str, str]], ...] = (
    (ExpireObject, {"Cache": f"res_pjsip/{NOBODY}", "Object": NOBODY}),
    (ExpireCache, {"Cache": f"res_pjsip/{NOBODY}"}),
    (MarkStale, {"Cache": f"res_pjsip/{NOBODY}"}),
    (Contacts, {}),
    (ShowEndpoint, {"Endpoint": NOBODY}),
    (DeviceStates, {}),
    (StoredContacts, {"Family": NOBODY, "Key": NOBODY}),
    (ContactInStore, {"Family": NOBODY, "Key": NOBODY}),
    (ExpireContact, {}),
    (LookAtAor, {"Variable": NOBODY}),
    (ReloadModule, {"Module": NOBODY}),
    (ModuleLoaded, {"Module": NOBODY}),
    (CoreVersion, {}),
    (CoreStatus, {}),
)


async def examine(client: Client, modules: Collection[str] = ()) -> NodeCheck:
    """Version, start, caches, rights, and which of these modules are loaded.

    What a missing right hides is left empty; the right itself is named in ``rights``.
    """
    allowed = await client.call(AllowedActions())
    rights = tuple([await _right(client, action, headers, allowed) for action, headers in USED])
    may = {right.action for right in rights if right.problem is None}
    caches = set()
    if ExpireObject.name in may:
        probes = [ExpireObject(type, NOBODY) for type in CACHED_TYPES]
        for probe, found in zip(probes, await client.call_all(probes), strict=True):
            if found is not Expired.NO_CACHE:
                caches.add(probe.type)
    return NodeCheck(
        client.node.name,
        version=await client.call(CoreVersion()) if CoreVersion.name in may else "",
        started=(await client.call(CoreStatus())).started if CoreStatus.name in may else "",
        caches=frozenset(caches),
        rights=rights,
        modules={name: await client.call(ModuleLoaded(name)) for name in modules}
        if ModuleLoaded.name in may
        else {},
    )


async def _right(
    client: Client, action: type[Action[object]], headers: Mapping[str, str], allowed: Collection[str]
) -> Right:
    """Whether it is listed; one that is not is tried, to tell a missing class from a missing module."""
    if action.name in allowed:
        return Right(action.name, action.ami_class)
    reply = await client.send(action.name, headers)
    if reply.message == "Permission denied":
        return Right(action.name, action.ami_class, str(client.permission_missing(action)))
    return Right(
        action.name, action.ami_class, f"node {client.node.name}: {action.name} is refused: {reply.message}"
    )
