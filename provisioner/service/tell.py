"""After the commit: every node is told what is due there, then asked whether it holds the truth.

Where a daemon runs (``provisioner sync``), it tells them, and is waited for; else the command does it itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from provisioner.errors import CommitUnknown, StoreError, StoreUnavailable
from provisioner.service.app import App
from provisioner.service.proof import disproofs
from provisioner.service.told import Faults, Reached, Told

if TYPE_CHECKING:
    from provisioner.ami import Delivery
    from provisioner.settings import Settings
    from provisioner.store import Due, Store

_FIRST_LOOK: Final = 0.01
_LONGEST_LOOK: Final = 0.1
_GRACE: Final = 1.0
"""Seconds that a node with a known fault is given, as the daemon may reach it again just now."""
_PATIENCE: Final = 120.0
"""Seconds that the daemon may take to tell one node."""


def tell(app: App, ids: Iterable[str], xid: str | None) -> tuple[Told, ...]:
    """After the transaction ``xid`` changed ``ids``: have every node told, then read them back from each.

    Raises nothing that a node or the database does, because the change is written: that is in the results.
    """
    names = [node.name for node in app.settings.nodes]
    if not names:
        return ()
    started = time.monotonic()
    try:
        left = names
        if app.store.daemon_runs():
            if not app.wait:
                return tuple(Told(name, Reached.LEFT) for name in names)
            left, faults = _told_by_daemon(app, names, xid)
            if not left:
                return _proven(app, names, ids, faults, started)
        return carry_out(app, due(app), ids)
    except StoreError as exc:
        return tuple(Told(name, Reached.NOT_TOLD, error=_why(exc)) for name in names)


def due(app: App, node: str | None = None) -> dict[str, Due]:
    """What every node (or one) is still to be told, by its name. Raises StoreError."""
    names = [one.name for one in app.nodes(node)]
    if names:
        app.store.know(names)
    return {name: app.store.due(name) for name in names}


def carry_out(app: App, dues: Mapping[str, Due], ids: Iterable[str] = ()) -> tuple[Told, ...]:
    """Tell nodes what is due, read ``ids`` back from each, and note what is done; what fails is told."""
    if not dues:
        return ()
    started = time.monotonic()
    names = list(dues)
    results = app.fleet(map(app.settings.node, names)).deliver(
        {name: its.orders for name, its in dues.items()},
        frozenset(name for name, its in dues.items() if its.whole),
        contact_expiry(app.store, app.settings),
        app.store.answers,
    )
    faults: Faults = {one.node: (Reached.NOT_TOLD, one.error) for one in results if not one.ok}
    faults |= disproofs(app, [name for name in names if name not in faults], ids)
    faults |= _note(app, [its for name, its in dues.items() if name not in faults])
    done = {one.node: one.details for one in results}
    return _results(names, faults, started, {name: len(its.orders) for name, its in dues.items()}, done)


def contact_expiry(store: Store, settings: Settings) -> Callable[[str, Mapping[str, int]], int] | None:
    """How a node's contacts in the database are let expire; None where it has them in its astdb."""
    if settings.asterisk.contacts != "realtime":
        return None
    names = frozenset(node.name for node in settings.nodes)

    def expire(node: str, keep: Mapping[str, int]) -> int:
        try:
            return store.expire_contacts(keep, node, names)
        except CommitUnknown as exc:
            raise StoreUnavailable(_why(exc)) from exc

    return expire


def _told_by_daemon(app: App, names: list[str], xid: str | None) -> tuple[list[str], Faults]:
    """Wait for the daemon: whom it left untold, where it ended meanwhile, and whom it cannot reach."""
    started = time.monotonic()
    left, faults, look = list(names), Faults(), _FIRST_LOOK
    while True:
        told: Collection[str] = app.store.is_told(xid, left) if xid else left
        left = [name for name in left if name not in told]
        waited = time.monotonic() - started
        if left and waited > _GRACE:
            known = {one.node: one.error for one in app.store.states() if one.node in left}
            faults |= {name: (Reached.NOT_TOLD, error) for name, error in known.items() if error}
            if waited > _PATIENCE:
                late = f"provisioner sync has not told it within {_PATIENCE:g} s; it goes on trying"
                faults |= {name: (Reached.NOT_TOLD, late) for name in left if name not in faults}
            left = [name for name in left if name not in faults]
        if not left or not app.store.daemon_runs():
            return left, faults
        time.sleep(look)
        look = min(2 * look, _LONGEST_LOOK)


def _proven(
    app: App, names: list[str], ids: Iterable[str], faults: Faults, started: float
) -> tuple[Told, ...]:
    found = faults | disproofs(app, [name for name in names if name not in faults], ids)
    return _results(names, found, started, {}, {})


def _results(
    names: list[str],
    faults: Faults,
    started: float,
    orders: Mapping[str, int],
    done: Mapping[str, Delivery | None],
) -> tuple[Told, ...]:
    seconds = time.monotonic() - started
    told = []
    for name in names:
        reached, error = faults.get(name, (Reached.DONE, None))
        details = done.get(name)
        evicted = details.evicted if details else 0
        told.append(Told(name, reached, orders.get(name, 0), evicted, seconds, error))
    return tuple(told)


def _note(app: App, dues: Iterable[Due]) -> Faults:
    """Note that the nodes were told; those for which that failed."""
    faults: Faults = {}
    for one in dues:
        try:
            app.store.told(one)
        except StoreError as exc:
            faults[one.node] = (Reached.NOT_NOTED, _why(exc))
    return faults


def _why(exc: StoreError) -> str:
    """What happened to the database, of which CommitUnknown speaks as if it were about the change itself."""
    return "PostgreSQL was lost during the commit" if isinstance(exc, CommitUnknown) else str(exc)
