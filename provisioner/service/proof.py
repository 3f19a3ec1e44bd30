"""Asking nodes whether they hold what the rows say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from provisioner.errors import StoreError
from provisioner.plan import same
from provisioner.realtime import AORS, ENDPOINTS, Rows
from provisioner.service.told import Faults, Reached

if TYPE_CHECKING:
    from provisioner.ami import EndpointState
    from provisioner.service.app import App


def disproofs(app: App, names: Iterable[str], ids: Iterable[str]) -> Faults:
    """Those of the nodes that do not hold the rows of ``ids``, or could not be asked."""
    nodes = [app.settings.node(name) for name in names]
    asked = sorted(set(ids))
    if not nodes or not asked:
        return {}
    try:
        with app.reading() as tx:
            rows = tx.rows(asked)
    except StoreError as exc:
        return {one.name: (Reached.NOT_PROVEN, str(exc)) for one in nodes}
    found: Faults = {}
    for name, held in app.fleet(nodes).read_back(asked).items():
        if held.error is not None:
            found[name] = (Reached.NOT_PROVEN, held.error)
            continue
        differences = (difference(rows, id, held.endpoints.get(id)) for id in asked)
        if first := next(filter(None, differences), None):
            found[name] = (Reached.NOT_IN_FORCE, f"node {name}: {first}")
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
