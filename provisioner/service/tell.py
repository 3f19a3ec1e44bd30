"""After the commit: every node is told what is queued for it, then asked whether it holds the truth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from provisioner.errors import CommitUnknown, StoreError
from provisioner.plan import merge_orders, same
from provisioner.realtime import AORS, ENDPOINTS, Rows
from provisioner.service.app import App

if TYPE_CHECKING:
    from provisioner.ami import EndpointState, NodeResult
    from provisioner.settings import NodeSettings
    from provisioner.store import Pending


class Reached(StrEnum):
    """How far a change came with a node, in words for a report."""

    NOT_TOLD = "not told"
    NOT_PROVEN = "told, but not proven"
    NOT_IN_FORCE = "told, but not in force"
    NOT_NOTED = "told and proven, but that could not be noted"
    DONE = "told and proven"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a change on one node.

    ``error`` is one sentence where it is not done; its orders stay queued then. ``orders`` is how many were
    queued for it, ``evicted`` how many phones were cut off, ``seconds`` the time to the proof.
    """

    node: str
    reached: Reached
    orders: int = 0
    evicted: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node was told and holds what was written."""
        return self.reached is Reached.DONE


Queues = Mapping[str, "Sequence[Pending]"]


def queued(app: App, node: str | None = None) -> Queues:
    """What every node (or one) is still to be told, by its name. Raises StoreError."""
    return {one.name: app.store.pending(one.name) for one in app.nodes(node)}


def tell(app: App, ids: Iterable[str]) -> tuple[Told, ...]:
    """After a change of ``ids`` was committed: deliver every node's queue, then read them back from each.

    Raises nothing that a node or the database does, because the change is written: that is in the results.
    """
    try:
        queues = queued(app) if app.settings.nodes else {}
    except StoreError as exc:
        return tuple(Told(one.name, Reached.NOT_TOLD, error=str(exc)) for one in app.settings.nodes)
    return carry_out(app, queues, ids)


def carry_out(app: App, queues: Queues, ids: Iterable[str] = ()) -> tuple[Told, ...]:
    """Deliver what is queued, read ``ids`` back from each node, and note what is done; what fails is told."""
    if not queues:
        return ()
    started = time.monotonic()
    nodes = [app.settings.node(name) for name in queues]
    results, faults = _deliver(app, nodes, queues)
    faults |= _disproofs(app, [one for one in nodes if one.name not in faults], sorted(set(ids)))
    faults |= _note(app, {name: queue for name, queue in queues.items() if name not in faults})
    seconds = time.monotonic() - started
    told = []
    for name, queue in queues.items():
        reached, error = faults.get(name, (Reached.DONE, None))
        details = results[name].details
        told.append(Told(name, reached, len(queue), details.evicted if details else 0, seconds, error))
    return tuple(told)


Faults = dict[str, tuple[Reached, str | None]]


def _deliver(
    app: App, nodes: Sequence[NodeSettings], queues: Queues
) -> tuple[Mapping[str, NodeResult], Faults]:
    """Carry out what is queued, each node beside the others."""
    fleet = app.fleet(nodes)
    orders = {name: merge_orders(entry.order for entry in queue) for name, queue in queues.items()}
    results = {result.node: result for result in fleet.deliver(orders)}
    back = frozenset(id for result in results.values() if result.details for id in result.details.over)
    if back and app.settings.asterisk.contacts == "realtime":
        # A phone may have registered with the old rows between the commit and the expiring of the caches.
        again = {name: [o for o in merged if o.endpoint_id in back] for name, merged in orders.items()}
        try:
            with app.transaction() as tx:
                tx.expire_contacts([order for merged in again.values() for order in merged])
        except StoreError as exc:
            return results, {one.name: (Reached.NOT_TOLD, _why(exc)) for one in nodes}
        results |= {result.node: result for result in fleet.deliver(again) if not result.ok}
    faults = {name: (Reached.NOT_TOLD, result.error) for name, result in results.items() if not result.ok}
    return results, faults


def _disproofs(app: App, nodes: Sequence[NodeSettings], ids: Sequence[str]) -> Faults:
    """The nodes that do not hold the rows of ``ids``, or could not be asked."""
    if not nodes or not ids:
        return {}
    try:
        with app.reading() as tx:
            rows = tx.rows(ids)
    except StoreError as exc:
        return {one.name: (Reached.NOT_PROVEN, str(exc)) for one in nodes}
    found: Faults = {}
    for name, held in app.fleet(nodes).read_back(ids).items():
        if held.error is not None:
            found[name] = (Reached.NOT_PROVEN, held.error)
            continue
        differences = (difference(rows, id, held.endpoints.get(id)) for id in ids)
        if first := next(filter(None, differences), None):
            found[name] = (Reached.NOT_IN_FORCE, f"node {name}: {first}")
    return found


def _note(app: App, queues: Queues) -> Faults:
    """Take what was carried out from the queues; the nodes for which that failed."""
    try:
        app.store.delivered(entry.id for queue in queues.values() for entry in queue)
    except StoreError as exc:
        return {name: (Reached.NOT_NOTED, _why(exc)) for name in queues}
    return {}


def _why(exc: StoreError) -> str:
    """What happened to the database, of which CommitUnknown speaks as if it were about the change itself."""
    return "PostgreSQL was lost during the commit" if isinstance(exc, CommitUnknown) else str(exc)


def difference(rows: Rows, id: str, held: EndpointState | None) -> str | None:
    """How a node's endpoint differs from its rows, in words; None where it does not."""
    endpoint, aor = rows.get(ENDPOINTS, id), rows.get(AORS, id)
    if endpoint is None or aor is None:
        return f"endpoint {id} is still there, though its rows are gone" if held else None
    if held is None:
        return (
            f"endpoint {id} cannot be loaded: the node does not reach the database, or refuses a value of "
            "its rows; see the node's log and `provisioner doctor`"
        )
    if not held.auths:
        return f"endpoint {id} has no auth, so its phones are refused"
    lines = aor.get("max_contacts")
    if not same("max_contacts", held.max_contacts, lines):
        return f"endpoint {id} still takes {held.max_contacts} phones instead of {lines}"
    return None
