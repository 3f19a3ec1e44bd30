"""After the commit: every node is told what is queued for it, then asked whether it holds the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provisioner.realtime import AORS, ENDPOINTS, Rows
from provisioner.service.app import App


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a change on one node.

    ``error`` is one sentence where it was not told or does not hold the rows; then the orders stay
    queued and the next command tells it again. ``seconds`` is the time from the first word to the proof.
    """

    node: str
    orders: int
    proven: int
    seconds: float
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node was told and holds what was written."""
        return self.error is None


def tell(app: App, ids: Iterable[str] = (), node: str | None = None) -> tuple[Told, ...]:
    """Deliver the queue of every node (or one), then read ``ids`` back from each; never raises NodeError."""
    import time

    nodes = app.nodes(node)
    if not nodes:
        return ()
    started = time.monotonic()
    pending = {node.name: app.store.pending(node.name) for node in nodes}
    fleet = app.fleet_of(nodes)
    results = {
        result.node: result
        for result in fleet.deliver({name: [order for _, order in queue] for name, queue in pending.items()})
    }
    app.store.delivered([id for name, queue in pending.items() if results[name].ok for id, _ in queue])
    wanted_ids = sorted(set(ids))
    with app.transaction() as tx:
        rows = tx.rows(wanted_ids)
    answered = [node for node in nodes if results[node.name].ok]
    held = app.fleet_of(answered).read_back(wanted_ids) if wanted_ids and answered else {}
    told = []
    for one in nodes:
        error = results[one.name].error
        if error is None and wanted_ids:
            error = held[one.name].error or _disproof(one.name, rows, wanted_ids, held[one.name].endpoints)
        proven = len(wanted_ids) if error is None else 0
        told.append(Told(one.name, len(pending[one.name]), proven, time.monotonic() - started, error))
    return tuple(told)
