"""The nodes that changes are kept for, and how far each was told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

_PATIENCE: Final = 20.0
"""Seconds that the first node waits for those who are changing something."""
_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class NodeState:
    """How far behind a node is: ``changes`` it was not told, the ``oldest`` of them, what went wrong last."""

    node: str
    changes: int
    oldest: datetime | None
    whole: bool
    error: str | None
    told_at: datetime | None


def know(connection: Connection, nodes: Sequence[str]) -> None:
    """Changes are kept for these nodes from now on; those that are new forget all they have cached.

    While there is no node nothing is noted, so the first one waits for whoever is changing something.
    """
    known = connection.execute(text(_KNOWN)).scalars().all()
    new = [node for node in nodes if node not in known]
    if not new:
        return
    if not known:
        _wait_for_writers(connection)
    connection.execute(text(_KNOW), {"nodes": new})


def _wait_for_writers(connection: Connection) -> None:
    """Nobody who found no node is still under way, and others find one from here on.

    Whoever comes meanwhile queues behind us, for so short a time only that none of them can be taken for
    part of a deadlock and be ended by it.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
                connection.exec_driver_sql("LOCK TABLE provisioner.nodes IN EXCLUSIVE MODE")
                connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
            return
        except DBAPIError as exc:
            if not isinstance(exc.orig, psycopg.errors.LockNotAvailable) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def forget(connection: Connection, nodes: Sequence[str]) -> None:
    """These nodes are gone for good, and so is what was kept for them."""
    connection.execute(text(_FORGET), {"nodes": list(nodes)})
    connection.execute(text(_FORGET_ROWS), {"nodes": list(nodes)})


def states(connection: Connection) -> tuple[NodeState, ...]:
    """Every node that is known, by name."""
    return tuple(NodeState(*row) for row in connection.execute(text(_STATES)))


def note_error(connection: Connection, node: str, error: str | None) -> None:
    """Why the node could not be told."""
    connection.execute(text(_ERROR), {"node": node, "error": error})


def is_told(connection: Connection, xid: str, nodes: Sequence[str]) -> frozenset[str]:
    """Those of these nodes that were told all that this transaction changed."""
    return frozenset(connection.execute(text(_IS_TOLD), {"xid": xid, "nodes": list(nodes)}).scalars())


# A position that lies ahead of the database is of before a backup was restored, and counts as none. All that
# is visible lies above :3:3:, the first transaction there can be.
_POSITION: Final = """
    CASE WHEN pg_snapshot_xmax(position) <= pg_snapshot_xmax(pg_current_snapshot()) THEN position END
"""
NODES: Final = f"""
    SELECT name, whole OR {_POSITION} IS NULL AS whole, coalesce({_POSITION}, '3:3:') AS position,
        error, told_at
    FROM provisioner.nodes
"""  # noqa: S608 - made of constants
IS_DUE: Final = """
    (o.node IS NULL OR o.node = n.name)
    AND o.xid >= pg_snapshot_xmin(n.position) AND NOT pg_visible_in_snapshot(o.xid, n.position)
"""

_KNOWN: Final = "SELECT name FROM provisioner.nodes"
_KNOW: Final = """
    INSERT INTO provisioner.nodes (name) SELECT unnest(CAST(:nodes AS text[])) ON CONFLICT DO NOTHING
"""
_FORGET: Final = "DELETE FROM provisioner.nodes WHERE name = ANY (CAST(:nodes AS text[]))"
_FORGET_ROWS: Final = """
    DELETE FROM provisioner.outbox
    WHERE node = ANY (CAST(:nodes AS text[])) OR NOT EXISTS (SELECT FROM provisioner.nodes)
"""

_STATES: Final = f"""
    SELECT n.name, due.changes, due.oldest, n.whole, n.error, n.told_at
    FROM ({NODES}) AS n, LATERAL (
        SELECT count(*) AS changes, min(o.created_at) AS oldest FROM provisioner.outbox AS o WHERE {IS_DUE}
    ) AS due ORDER BY n.name COLLATE "C"
"""  # noqa: S608 - made of constants

_ERROR: Final = "UPDATE provisioner.nodes SET error = :error WHERE name = :node"

_IS_TOLD: Final = f"""
    SELECT asked FROM unnest(CAST(:nodes AS text[])) AS asked
    WHERE EXISTS (SELECT FROM ({NODES}) AS n WHERE n.name = asked
        AND pg_visible_in_snapshot(CAST(:xid AS xid8), n.position))
    OR NOT EXISTS (SELECT FROM provisioner.outbox WHERE xid = CAST(:xid AS xid8)
        AND (node IS NULL OR node = asked))
"""  # noqa: S608 - made of constants
