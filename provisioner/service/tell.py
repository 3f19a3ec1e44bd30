"""After the commit: every node is told what is queued for it, then asked whether it holds the truth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.plan import merge_orders, same
from provisioner.realtime import AORS, ENDPOINTS, Rows
from provisioner.service.app import App

if TYPE_CHECKING:
    from provisioner.ami import EndpointState, NodeResult
    from provisioner.settings import NodeSettings
    from provisioner.store import Pending


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a change on one node.

    ``error`` is one sentence where it was not told, or (``delivered``) was, but does not hold the rows; its
    orders stay queued then. ``orders`` is how many were queued for it, ``evicted`` how many phones were cut
    off, ``seconds`` the time to the proof.
    """

    node: str
    delivered: bool
    orders: int
    evicted: int
    seconds: float
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node was told and holds what was written."""
        return self.error is None


def tell(app: App, ids: Iterable[str] = (), node: str | None = None) -> tuple[Told, ...]:
    """Deliver the queue of every node (or one), then read ``ids`` back from each.

    A node that fails is a result with its error; its orders stay queued. Raises StoreError.
    """
    nodes = app.nodes(node)
    if not nodes:
        return ()
    started = time.monotonic()
    pending = {one.name: app.store.pending(one.name) for one in nodes}
    delivered = _deliver(app, nodes, pending)
    wrong = _disproofs(app, [one for one in nodes if delivered[one.name].ok], sorted(set(ids)))
    done = [name for name, result in delivered.items() if result.ok and name not in wrong]
    app.store.delivered(entry.id for name in done for entry in pending[name])
    seconds = time.monotonic() - started
    return tuple(
        Told(
            one.name,
            delivered=delivered[one.name].ok,
            orders=len(pending[one.name]),
            evicted=details.evicted if (details := delivered[one.name].details) else 0,
            seconds=seconds,
            error=delivered[one.name].error or wrong.get(one.name),
        )
        for one in nodes
    )


def _deliver(
    app: App, nodes: Sequence[NodeSettings], pending: Mapping[str, Sequence[Pending]]
) -> dict[str, NodeResult]:
    """Carry out what is queued, each node beside the others."""
    fleet = app.fleet(nodes)
    orders = {name: [entry.order for entry in queue] for name, queue in pending.items()}
    results = {result.node: result for result in fleet.deliver(orders)}
    back = frozenset(id for result in results.values() if result.details for id in result.details.over)
    if back and app.settings.asterisk.contacts == "realtime":
        # A phone may have registered with the old rows between the commit and the expiring of the caches.
        again = {name: [o for o in told if o.endpoint_id in back] for name, told in orders.items()}
        with app.transaction() as tx:
            tx.expire_contacts(merge_orders(order for told in again.values() for order in told))
        results |= {result.node: result for result in fleet.deliver(again) if not result.ok}
    return results


def _disproofs(app: App, nodes: Sequence[NodeSettings], ids: Sequence[str]) -> dict[str, str]:
    """Node name to the first difference between the rows of ``ids`` and what the node holds."""
    if not nodes or not ids:
        return {}
    with app.transaction() as tx:
        rows = tx.rows(ids)
    found = {}
    for name, held in app.fleet(nodes).read_back(ids).items():
        differences = (difference(rows, id, held.endpoints.get(id)) for id in ids)
        error = held.error or next((f"node {name}: {text}" for text in differences if text), None)
        if error:
            found[name] = error
    return found


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
