"""What changed, and how far each node was told of it.

A row of the outbox is one changed object. A node's position is the snapshot up to which it was told, so it is
due what is visible now and was not then: whatever order transactions commit in, none is skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, text

from provisioner.plan import NodeOrder, Plan
from provisioner.plan import orders as orders_of
from provisioner.store.copy import copy_rows
from provisioner.store.names import Tables
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
        connection.exec_driver_sql("LOCK TABLE provisioner.nodes IN EXCLUSIVE MODE")
    connection.execute(text(_KNOW), {"nodes": new})


def forget(connection: Connection, nodes: Sequence[str]) -> None:
    """These nodes are gone for good, and so is what was kept for them."""
    connection.execute(text(_FORGET), {"nodes": list(nodes)})
    connection.execute(text(_FORGET_ROWS), {"nodes": list(nodes)})


def note(connection: Connection, tables: Tables, plan: Plan) -> None:
    """Note what our own transaction changed, where no triggers do."""
    if not is_watched(connection, tables) and connection.scalar(text(_ANY_NODE)):
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


def states(connection: Connection) -> tuple[NodeState, ...]:
    """Every node that is known, by name."""
    return tuple(NodeState(*row) for row in connection.execute(text(_STATES)))


def note_error(connection: Connection, node: str, error: str | None) -> None:
    """Why the node could not be told."""
    connection.execute(text(_ERROR), {"node": node, "error": error})


def is_told(connection: Connection, xid: str, nodes: Sequence[str]) -> frozenset[str]:
    """Those of these nodes that were told all that this transaction changed."""
    return frozenset(connection.execute(text(_IS_TOLD), {"xid": xid, "nodes": list(nodes)}).scalars())


def expire_contacts(
    connection: Connection, tables: Tables, keep: Mapping[str, int], node: str, known: Collection[str]
) -> int:
    """Set contacts of these AORs to expired; Asterisk's sweep then removes them.

    Of those that keep none the ones registered at ``node``, or at none of ``known``; of the others all but
    the newest so many, wherever they are registered. For contacts in ps_contacts. Deleting the rows instead
    would leave the device state "Not in use" for good. Newest is what expires last. Returns how many
    were set.
    """
    if not keep:
        return 0
    values = {"aors": list(keep), "keep": list(keep.values()), "node": node, "known": list(known)}
    return connection.execute(text(_EXPIRE.format(**tables.quoted)), values).rowcount


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


# A position that lies ahead of the database is of before a backup was restored, and counts as none. All that
# is visible lies above :3:3:, the first transaction there can be.
_POSITION: Final = """
    CASE WHEN pg_snapshot_xmax(position) <= pg_snapshot_xmax(pg_current_snapshot()) THEN position END
"""
_SINCE: Final = """
    CASE WHEN pg_snapshot_xmax(CAST(:since AS pg_snapshot)) <= pg_snapshot_xmax(pg_current_snapshot())
    THEN CAST(:since AS pg_snapshot) ELSE position END
"""
_NODES: Final = f"""
    SELECT name, whole OR {_POSITION} IS NULL AS whole, coalesce({_POSITION}, '3:3:') AS position,
        error, told_at
    FROM provisioner.nodes
"""  # noqa: S608 - made of constants
_IS_DUE: Final = """
    (o.node IS NULL OR o.node = n.name)
    AND o.xid >= pg_snapshot_xmin(n.position) AND NOT pg_visible_in_snapshot(o.xid, n.position)
"""

_KNOWN: Final = "SELECT name FROM provisioner.nodes"
_ANY_NODE: Final = "SELECT EXISTS (SELECT FROM provisioner.nodes)"
_KNOW: Final = """
    INSERT INTO provisioner.nodes (name) SELECT unnest(CAST(:nodes AS text[])) ON CONFLICT DO NOTHING
"""
_FORGET: Final = "DELETE FROM provisioner.nodes WHERE name = ANY (CAST(:nodes AS text[]))"
_FORGET_ROWS: Final = """
    DELETE FROM provisioner.outbox
    WHERE node = ANY (CAST(:nodes AS text[])) OR NOT EXISTS (SELECT FROM provisioner.nodes)
"""

# The last row is of all together, and is there where nothing is due.
_DUE: Final = f"""
    WITH n AS MATERIALIZED (
        SELECT :node AS name, {_SINCE} AS position, whole FROM ({_NODES}) AS known WHERE name = :node
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
        FROM ({_NODES}) AS known, CAST(:position AS pg_snapshot) AS given (position)) AS said
    WHERE n.name = said.name AND n.name = :node
"""  # noqa: S608 - made of constants

# Rows of a backup that was restored may lie ahead of the database: as if they were of now.
_RENUMBER: Final = """
    UPDATE provisioner.outbox SET xid = DEFAULT WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
"""

# What another teller is just removing is left to it.
_TRIM: Final = f"""
    WITH n AS MATERIALIZED ({_NODES})
    DELETE FROM provisioner.outbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM provisioner.outbox AS o
        WHERE o.xid < coalesce((SELECT pg_snapshot_xmax(position) FROM n ORDER BY 1 LIMIT 1),
            pg_snapshot_xmax(pg_current_snapshot()))
        AND (o.xid < (SELECT pg_snapshot_xmin(position) FROM n ORDER BY 1 LIMIT 1)
            OR NOT EXISTS (SELECT FROM n WHERE {_IS_DUE}))
        FOR UPDATE SKIP LOCKED))
"""  # noqa: S608 - made of constants

_TRIM_LATE: Final = f"""
    WITH late AS (
        DELETE FROM provisioner.outbox
        WHERE created_at < clock_timestamp() - make_interval(secs => :away) AND keep_contacts IS NULL
        RETURNING node, xid
    ), marked AS (
        UPDATE provisioner.nodes SET whole = true FROM ({_NODES}) AS n
        WHERE nodes.name = n.name AND EXISTS (SELECT FROM late AS o WHERE {_IS_DUE})
    )
    SELECT count(*) FROM late
"""  # noqa: S608 - made of constants

_STATES: Final = f"""
    SELECT n.name, due.changes, due.oldest, n.whole, n.error, n.told_at
    FROM ({_NODES}) AS n, LATERAL (
        SELECT count(*) AS changes, min(o.created_at) AS oldest FROM provisioner.outbox AS o WHERE {_IS_DUE}
    ) AS due ORDER BY n.name COLLATE "C"
"""  # noqa: S608 - made of constants

_ERROR: Final = "UPDATE provisioner.nodes SET error = :error WHERE name = :node"

_IS_TOLD: Final = f"""
    SELECT asked FROM unnest(CAST(:nodes AS text[])) AS asked
    WHERE EXISTS (SELECT FROM ({_NODES}) AS n WHERE n.name = asked
        AND pg_visible_in_snapshot(CAST(:xid AS xid8), n.position))
    OR NOT EXISTS (SELECT FROM provisioner.outbox WHERE xid = CAST(:xid AS xid8)
        AND (node IS NULL OR node = asked))
"""  # noqa: S608 - made of constants

# The id is the AOR, ";@" and a hash; realtime writes the semicolon as ^3B. Compared whole: no wildcards.
_EXPIRE: Final = """
    WITH orders AS (
        SELECT * FROM unnest(CAST(:aors AS text[]), CAST(:keep AS integer[])) AS told (aor, keep)
    ), held AS (
        SELECT id, split_part(replace(id, '^3B', ';'), ';@', 1) AS aor, expiration_time::bigint AS expires,
            coalesce(reg_server::text, '') AS at
        FROM {ps_contacts}
    ), sorted AS (
        SELECT id, keep, at, row_number() OVER (PARTITION BY aor ORDER BY expires DESC, id) AS place
        FROM held JOIN orders USING (aor) WHERE expires > 1
    )
    UPDATE {ps_contacts} AS contact SET expiration_time = 1
    FROM sorted WHERE contact.id = sorted.id AND place > keep
    AND (keep > 0 OR at = :node OR NOT at = ANY (CAST(:known AS text[])))
"""
