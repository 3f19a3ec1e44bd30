"""The use cases of nodes: who is registered where, and reading rows again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from provisioner.errors import InvalidRecord, Problem
from provisioner.plan import count
from provisioner.records import Extension, User
from provisioner.records.text import show
from provisioner.service.app import App
from provisioner.service.tell import carry_out, due

if TYPE_CHECKING:
    from provisioner.ami import Contact, NodeStatus, ReloadResult


# Foreign ones too: whatever a SIP user part and a dial string carry unescaped.
_ENDPOINT_ID: Final = re.compile(r"[A-Za-z0-9_.@+~-]{1,255}")


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One extension on one node. ``login`` and ``name`` are empty for an endpoint that is no user's."""

    endpoint_id: str
    node: str
    state: str
    contacts: tuple[Contact, ...] = ()
    login: str = ""
    name: str = ""
    active: bool = True
    lines: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """Whether a node answered (``error`` says why not), and of how many changes it is still to be told."""

    node: str
    pending: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What every node holds, joined with the records; a node that is down has no lines."""

    lines: tuple[StatusLine, ...]
    nodes: tuple[NodeSummary, ...]


def status(app: App, endpoints: Sequence[str] = (), node: str | None = None) -> Status:
    """Who is registered on every node (or one): all extensions, or those named."""
    asked = app.nodes(node)
    check_endpoint_ids(endpoints)
    with app.reading() as tx:
        users = tx.list_users()
    pending = {one.node: one.changes for one in app.store.states()}
    held = tuple(_phones_once(app, app.fleet(asked).status(frozenset(endpoints) or None)))
    owners = {part.endpoint_id: (user, part) for user in users for part in user.extensions}
    ids = sorted(endpoints) if endpoints else sorted(owners)
    return Status(
        tuple(line for one in held if one.ok for line in _lines(one, ids, owners)),
        tuple(NodeSummary(one.node, pending.get(one.node, 0), one.error) for one in held),
    )


def _phones_once(app: App, held: Sequence[NodeStatus]) -> Iterator[NodeStatus]:
    """Each phone with the node that it registered at, and no trunks that nodes have to each other.

    Contacts in the database are listed by every node. One whose node did not answer or was not asked is left
    out; one whose node is none of the settings' stays with the first that lists it.
    """
    known = {node.name: node.trunk for node in app.settings.nodes}
    shared = app.settings.asterisk.contacts == "realtime"
    at = app.store.registered_at({one.id for node in held for one in node.contacts}) if shared else {}
    seen: set[str] = set()
    for node in held:
        elsewhere = known.keys() - {node.node}
        phones = [
            one
            for one in node.contacts
            if one.aor not in known.values() and one.id not in seen and at.get(one.id) not in elsewhere
        ]
        seen.update(one.id for one in phones if shared)
        yield replace(node, contacts=tuple(phones))


def check_endpoint_ids(ids: Iterable[str]) -> None:
    """Raise InvalidRecord for every id that no endpoint can have: not ours, nor one of somebody else's."""
    wrong = [id for id in ids if not _ENDPOINT_ID.fullmatch(id)]
    if wrong:
        expected = "expected one such as 7001 or 7001-support, several with spaces between them"
        raise InvalidRecord(
            [Problem("endpoint", f"{show(id)} is no endpoint id; {expected}") for id in wrong]
        )


def _lines(
    held: NodeStatus, ids: Sequence[str], owners: Mapping[str, tuple[User, Extension]]
) -> Iterator[StatusLine]:
    contacts: dict[str, list[Contact]] = {id: [] for id in ids}
    for contact in held.contacts:
        contacts.setdefault(contact.aor, []).append(contact)
    for id, its in contacts.items():
        line = StatusLine(id, held.node, held.state(id).value, tuple(its))
        if id in owners:
            user, part = owners[id]
            line = StatusLine(
                id, held.node, line.state, line.contacts, user.login, user.name, user.active, part.lines
            )
        yield line


def status_data(found: Status) -> dict[str, Any]:
    """The same for JSON; round trips in milliseconds, expirations in seconds since 1970."""
    return {
        "extensions": [
            {
                "endpoint_id": line.endpoint_id,
                "login": line.login or None,
                "name": line.name or None,
                "active": line.active,
                "lines": line.lines,
                "node": line.node,
                "state": line.state,
                "contacts": [
                    {
                        "uri": contact.uri,
                        "user_agent": contact.user_agent,
                        "status": contact.status,
                        "roundtrip_ms": None if contact.roundtrip_us is None else contact.roundtrip_us / 1000,
                        "expires_at": contact.expires_at,
                    }
                    for contact in line.contacts
                ],
            }
            for line in found.lines
        ],
        "nodes": [{"node": one.node, "pending": one.pending, "error": one.error} for one in found.nodes],
    }


def reload(app: App, endpoints: Sequence[str] | None, node: str | None = None) -> tuple[ReloadResult, ...]:
    """Tell nodes what is due, then have them read these endpoints again (None: all, (): none).

    A result for each node says what was done and why, or what went wrong. Raises InvalidRecord for an id
    that no endpoint can have.
    """
    from provisioner.ami import ReloadResult

    check_endpoint_ids(endpoints or ())
    told = carry_out(app, due(app, node))
    done = []
    for one, after in zip(told, _reloaded(app, endpoints, node), strict=True):
        words = [f"told of {count(one.orders, 'changed endpoint')}"] if one.orders else []
        words += [after.did] if after.did else []
        error = one.error or after.error
        done.append(ReloadResult(one.node, "; ".join(words) or "nothing was due", after.expired, error))
    return tuple(done)


def _reloaded(app: App, endpoints: Sequence[str] | None, node: str | None) -> tuple[ReloadResult, ...]:
    from provisioner.ami import ReloadResult

    nodes = app.nodes(node)
    if endpoints is not None and not endpoints:
        return tuple(ReloadResult(one.name) for one in nodes)
    return app.fleet(nodes).reload(endpoints)
