"""What changed, and what of it each node is still to be told.

A row of the outbox is one changed object. A node's position is the snapshot up to which it was told, so it is
due what is visible now and was not then: whatever order transactions commit in, none is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, text

from provisioner.plan import NodeOrder, Plan
from provisioner.plan import orders as orders_of
from provisioner.store.copy import copy_rows
from provisioner.store.names import Tables
from provisioner.store.positions import IS_DUE, NODES, know
from provisioner.store.watch import is_watched

CHANNEL: Final = "provisioner"
"""What the triggers notify."""

_KINDS: Final = {"endpoint": 1, "auth": 2, "aor": 4}
_RENEWABLE: Final = {"state": 1, "qualify": 2, "mwi": 4}


@dataclass(frozen=True, slots=True)
class Due:
    """What a node is still to be told.

    ``position`` is the snapshot this was read at, for :meth:`Store.told`. ``orders`` are merged by endpoint
    id and sorted by it, ``counts`` says how many changes stand behind each. With ``whole`` the node's whole
    caches are expired first; the orders still say which phones go and what to renew. ``changes`` and
    ``oldest`` are of all changes together.
    """

    node: str
    position: str
    orders: tuple[NodeOrder, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False
    changes: int = 0
    oldest: datetime | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.orders and not self.whole


def note(connection: Connection, tables: Tables, plan: Plan) -> None:
    """Note what our own transaction changed, where no triggers do."""
    if not is_watched(connection, tables) and connection.scalar(text(_IS_NOTED)):
        _note(connection, None, orders_of(plan))


def queue(connection: Connection, node: str, its: Sequence[NodeOrder]) -> None:
    """Note what one node alone is to do."""
    know(connection, [node])
    _note(connection, node, its)


def _note(connection: Connection, node: str | None, orders: Sequence[NodeOrder]) -> None:
    names = ("node", "type", "object_id", "keep_contacts", "renew")
    if copy_rows(connection, "provisioner.outbox", names, _rows(orders, node)):
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def due(connection: Connection, node: str, since: str | None) -> Due:
    """What this node is to be told, or what of it came ``since`` a position; all of it is of one snapshot."""
    found = connection.execute(text(_DUE), {"node": node, "since": since}).all()
    *rows, (_, _, _, _, changes, position, whole, oldest) = found
    orders = tuple(NodeOrder(id, _words(kinds), keep, _renew(renew)) for id, kinds, keep, renew, *_ in rows)
    counts = {row[0]: row[4] for row in rows}
    return Due(node, position, orders, counts, whole, changes, oldest)


def told(connection: Connection, due: Due) -> None:
    """The node did all that was due; the connection commits each statement for itself."""
    values = {"node": due.node, "position": due.position, "whole": due.whole}
    connection.execute(text(_TOLD), values)
    connection.execute(text(_RENUMBER))
    connection.execute(text(_TRIM))


def trim(connection: Connection, away: float) -> int:
    """Remove what every node was told, and what is older than ``away`` seconds unless it cuts phones off.

    A node that was not told of a change that is removed forgets all it has cached. Returns how many went.
    """
    done = connection.execute(text(_TRIM)).rowcount
    late: int = connection.execute(text(_TRIM_LATE), {"away": away}).scalar_one()
    return done + late


def _rows(orders: Sequence[NodeOrder], node: str | None) -> Iterator[tuple[object, ...]]:
    """One row an object; what the order says besides stands in its first."""
    for order in orders:
        keep, renew = order.keep_contacts, sorted(order.renew)
        if not order.expire and keep is None and not renew:
            continue
        for kind in sorted(order.expire) or (None,):
            yield node, kind, order.endpoint_id, keep, renew
            keep, renew = None, []


@cache
def _words(bits: int) -> frozenset[str]:
    return frozenset(word for word, bit in _KINDS.items() if bits & bit)


@cache
def _renew(bits: int) -> frozenset[str]:
    return frozenset(word for word, bit in _RENEWABLE.items() if bits & bit)


_SINCE: Final = """
    CASE WHEN pg_snapshot_xmax(CAST(:since AS pg_snapshot)) <= pg_snapshot_xmax(pg_current_snapshot())
    THEN CAST(:since AS pg_snapshot) ELSE position END
"""
_IS_NOTED: Final = "SELECT provisioner.is_noted()"
# The last row is of all together, and is there where nothing is due.
_DUE: Final = f"""
    WITH n AS MATERIALIZED (
        SELECT :node AS name, {_SINCE} AS position, whole FROM ({NODES}) AS known WHERE name = :node
        UNION ALL SELECT :node, '3:3:', true
        LIMIT 1
    )
    SELECT o.object_id,
        bit_or(CASE o.type WHEN 'endpoint' THEN 1 WHEN 'auth' THEN 2 WHEN 'aor' THEN 4 ELSE 0 END),
        min(o.keep_contacts),
        bit_or(CASE WHEN o.renew = '{{}}' THEN 0 ELSE CASE WHEN 'state' = ANY (o.renew) THEN 1 ELSE 0 END
            + CASE WHEN 'qualify' = ANY (o.renew) THEN 2 ELSE 0 END
            + CASE WHEN 'mwi' = ANY (o.renew) THEN 4 ELSE 0 END END),
        count(*),
        CASE WHEN grouping(o.object_id) = 1 THEN pg_current_snapshot()::text END,
        CASE WHEN grouping(o.object_id) = 1 THEN (SELECT whole FROM n) END,
        CASE WHEN grouping(o.object_id) = 1 THEN min(o.created_at) END
    FROM provisioner.outbox AS o
    WHERE (o.node IS NULL OR o.node = :node) AND o.xid >= (SELECT pg_snapshot_xmin(position) FROM n)
    AND NOT pg_visible_in_snapshot(o.xid, (SELECT position FROM n))
    GROUP BY GROUPING SETS ((o.object_id), ())
    ORDER BY grouping(o.object_id), o.object_id COLLATE "C"
"""  # noqa: S608 - made of constants

# Of two snapshots of one database the later has the higher xmax, or the same and fewer transactions running.
_PLACE: Final = """
    ROW(pg_snapshot_xmax({0}.position), -cardinality(ARRAY(SELECT pg_snapshot_xip({0}.position))))
"""
_TOLD: Final = f"""
    UPDATE provisioner.nodes AS n SET
        position = CASE WHEN said.new > said.old THEN said.position ELSE n.position END,
        whole = n.whole AND NOT :whole, error = NULL, told_at = clock_timestamp()
    FROM (SELECT name, given.position, {_PLACE.format("given")} AS new, {_PLACE.format("known")} AS old
        FROM ({NODES}) AS known, CAST(:position AS pg_snapshot) AS given (position)) AS said
    WHERE n.name = said.name AND n.name = :node
"""  # noqa: S608 - made of constants

# Rows of a backup that was restored may lie ahead of the database: as if they were of now.
_RENUMBER: Final = """
    UPDATE provisioner.outbox SET xid = DEFAULT WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
"""

# What another teller is just removing is left to it.
_TRIM: Final = f"""
    WITH n AS MATERIALIZED ({NODES})
    DELETE FROM provisioner.outbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM provisioner.outbox AS o
        WHERE o.xid < coalesce((SELECT pg_snapshot_xmax(position) FROM n ORDER BY 1 LIMIT 1),
            pg_snapshot_xmax(pg_current_snapshot()))
        AND (o.xid < (SELECT pg_snapshot_xmin(position) FROM n ORDER BY 1 LIMIT 1)
            OR NOT EXISTS (SELECT FROM n WHERE {IS_DUE}))
        FOR UPDATE SKIP LOCKED))
"""  # noqa: S608 - made of constants

_TRIM_LATE: Final = f"""
    WITH late AS (
        DELETE FROM provisioner.outbox
        WHERE created_at < clock_timestamp() - make_interval(secs => :away) AND keep_contacts IS NULL
        RETURNING node, xid
    ), marked AS (
        UPDATE provisioner.nodes SET whole = true FROM ({NODES}) AS n
        WHERE nodes.name = n.name AND EXISTS (SELECT FROM late AS o WHERE {IS_DUE})
    )
    SELECT count(*) FROM late
"""  # noqa: S608 - made of constants
