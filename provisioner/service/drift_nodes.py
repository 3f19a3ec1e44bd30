"""What nodes hold against the rows: old values, endpoints that they refuse, what is left of deleted ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from provisioner.errors import UnsupportedValue
from provisioner.plan import OBJECTS, Change, NodeOrder, orders
from provisioner.plan.plan import Plan
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Rows, check_codecs
from provisioner.service.bulk import BATCH, batches
from provisioner.service.drift import Drift, Found, Kind, of_change
from provisioner.service.progress import Progress

if TYPE_CHECKING:
    from provisioner.ami import EndpointState, NodeStatus
    from provisioner.service.app import App
    from provisioner.settings import NodeSettings
    from provisioner.store import Transaction

_EVERYTHING: Final = frozenset(OBJECTS.values())
_FOR_EVER: Final = 36_500
"""Days: whoever had a number, however long ago."""


def ask(app: App, nodes: Sequence[NodeSettings], found: Found, progress: Progress) -> None:
    """Every extension is asked for on every node, and whoever has contacts there; adds what differs.

    Asking fills the caches, which slows down a node that has 100,000 endpoints: what was as it should be, and
    has no phone, is forgotten again where there are many.
    """
    up = list(nodes)
    rowless: set[str] = set()
    ids = [*found.logins, *_lately_deleted(app, found.logins)]
    done = 0
    for batch in batches(ids):
        if not up:
            break
        rows = _rows(app, batch)
        rowless.update(id for id in batch if rows.get(ENDPOINTS, id) is None)
        clean = _look(app, up, batch, rows, found)
        if len(ids) > BATCH:
            app.fleet(up).forget(clean)
        done += len(batch)
        progress("asked", done, len(ids))
    if up:
        for status in app.fleet(up).status():
            _contacts(app, status, rowless, found)


def _lately_deleted(app: App, live: Collection[str]) -> list[str]:
    """What a cache may still hold of deleted users."""
    since = datetime.now(UTC) - timedelta(seconds=2 * app.settings.asterisk.cache_lifetime)
    with app.reading() as tx:
        gone = [one for one in tx.stored_users(deleted=True) if one.deleted_at and one.deleted_at > since]
    return sorted({id for one in gone for id in one.user.endpoint_ids if id not in live})


def _rows(app: App, ids: Collection[str]) -> Rows:
    with app.reading() as tx:
        return tx.rows(ids)


def _look(
    app: App, up: list[NodeSettings], ids: Sequence[str], rows: Rows, found: Found
) -> dict[str, list[str]]:
    """Ask for a batch; returns what each node holds rightly without a phone. A silent node leaves ``up``."""
    clean: dict[str, list[str]] = {}
    for name, held in app.fleet(up).read_back(ids).items():
        if held.error is not None:
            found.drifts.append(Drift(Kind.UNREACHED, node=name, said=held.error))
            up[:] = [node for node in up if node.name != name]
            continue
        wrong = {id for id in ids if any(_differences(rows, id, held.endpoints.get(id)))}
        states = held.endpoints.items()
        clean[name] = [id for id, state in states if state and not state.contacts and id not in wrong]
        if wrong:
            _confirm(app, app.settings.node(name), sorted(wrong), found)
    return clean


def _confirm(app: App, node: NodeSettings, ids: Sequence[str], found: Found) -> None:
    """A second look: a change may have been on its way at the first one."""
    rows = _rows(app, ids)
    held = app.fleet((node,)).read_back(ids)[node.name]
    if held.error is not None:
        found.drifts.append(Drift(Kind.UNREACHED, node=node.name, said=held.error))
        return
    its = found.of_node.setdefault(node.name, [])
    for id in ids:
        login = found.logins.get(id)
        for one in _differences(rows, id, held.endpoints.get(id)):
            if isinstance(one, Change):
                found.drifts += of_change(one, login, node.name)
                its += orders(Plan((one,)))
            else:
                kind, object, said = one
                found.drifts.append(Drift(kind, id, login, node.name, object, said=said))
                its += [NodeOrder(id, _EVERYTHING, 0)] if kind is Kind.REMAINS else []


def _differences(
    rows: Rows, id: str, state: EndpointState | None
) -> Iterator[Change | tuple[Kind, str, str]]:
    """How a node's endpoint differs from its rows: what is stale as the change that is due, else in words."""
    from provisioner.ami import stale

    endpoint = rows.get(ENDPOINTS, id)
    if endpoint is None:
        if state is not None:
            yield Kind.REMAINS, "endpoint", "is still there, though it has no rows"
        return
    if state is None:
        yield Kind.REFUSED, "endpoint", f"cannot be loaded: {_why(endpoint)}"
        return
    for table, loaded in ((AUTHS, state.auths), (AORS, state.aors)):
        # Named by hand otherwise, it is not the object of our row; the row itself is found to differ.
        named = state.named_auths if table == AUTHS else state.named_aors
        if rows.get(table, id) is not None and id in named and id not in loaded:
            yield Kind.REFUSED, OBJECTS[table], f"has an {OBJECTS[table]} that the node cannot load"
    yield from stale(rows, state)


def _why(endpoint: Mapping[str, object]) -> str:
    try:
        check_codecs(name.strip() for name in str(endpoint.get("allow", "alaw")).split(","))
    except UnsupportedValue as exc:
        return f"endpoint.allow, {str(exc).removeprefix('asterisk.codecs: ').partition(';')[0]}"
    return "the node does not reach the database, or refuses a value of its rows; see the node's log"


def _contacts(app: App, status: NodeStatus, rowless: Collection[str], found: Found) -> None:
    """Phones that are registered for an endpoint without rows, where it is or was one of ours."""
    if status.error is not None:
        found.drifts.append(Drift(Kind.UNREACHED, node=status.node, said=status.error))
        return
    counts: dict[str, int] = {}
    for contact in status.contacts:
        if contact.aor in rowless or contact.aor not in found.logins:
            counts[contact.aor] = counts.get(contact.aor, 0) + 1
    if not counts:
        return
    with app.reading() as tx:
        theirs = tx.rows(counts)
        ours = _were_ours(tx, [id for id in counts if id not in found.logins])
    for id in sorted(counts):
        if theirs.get(AORS, id) is None and (id in found.logins or id in ours):
            said = f"has {counts[id]} phone(s) registered, though it has no rows"
            found.drifts.append(Drift(Kind.CONTACTS, id, found.logins.get(id), status.node, said=said))
            found.of_node.setdefault(status.node, []).append(NodeOrder(id, _EVERYTHING, 0))


def _were_ours(tx: Transaction, ids: Sequence[str]) -> frozenset[str]:
    """Those whose number one of our users has or had; a node's own AORs are none of our business."""
    from provisioner.store.numbers import Use

    states = tx.number_states(sorted({id.partition("-")[0] for id in ids}), _FOR_EVER)
    had = {number for number, state in states.items() if state.use in (Use.HELD, Use.RESTING)}
    return frozenset(id for id in ids if id.partition("-")[0] in had)
