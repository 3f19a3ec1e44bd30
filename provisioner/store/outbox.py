"""What the nodes are still to be told: written with the change itself, gone once a node knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, text

from provisioner.plan import NodeOrder
from provisioner.store.names import Tables
from provisioner.store.tables import outbox


@dataclass(frozen=True, slots=True)
class Pending:
    """One order that a node does not know yet."""

    id: int
    node: str
    order: NodeOrder


def queue(connection: Connection, nodes: Sequence[str], orders: Sequence[NodeOrder]) -> None:
    """Every node is to be told every order, in this sequence."""
    rows = [
        {
            "node": node,
            "endpoint_id": order.endpoint_id,
            "expire": sorted(order.expire),
            "keep_contacts": order.keep_contacts,
        }
        for order in orders
        for node in nodes
    ]
    if rows:
        connection.execute(insert(outbox), rows)


def pending(connection: Connection, node: str) -> tuple[Pending, ...]:
    """What this node is to be told, oldest first."""
    query = select(outbox).where(outbox.c.node == node).order_by(outbox.c.id)
    return tuple(
        Pending(row.id, row.node, NodeOrder(row.endpoint_id, frozenset(row.expire), row.keep_contacts))
        for row in connection.execute(query)
    )


def delivered(connection: Connection, ids: Iterable[int]) -> None:
    """These were told."""
    connection.execute(delete(outbox).where(outbox.c.id == func.any(list(ids))))


def expire_contacts(connection: Connection, tables: Tables, keep: Mapping[str, int]) -> int:
    """Set all but the newest so many contacts of each AOR to expired; Asterisk's sweep then removes them.

    For contacts in ps_contacts. Deleting the rows instead would leave the device state "Not in use" for good.
    Newest is what expires last. Returns how many were set.
    """
    if not keep:
        return 0
    statement = _EXPIRE.format(**tables.quoted)
    return connection.execute(text(statement), {"aors": list(keep), "keep": list(keep.values())}).rowcount


# The id is the AOR, ";@" and a hash; realtime writes the semicolon as ^3B. Compared whole: no wildcards.
_EXPIRE = """
    WITH orders AS (
        SELECT * FROM unnest(CAST(:aors AS text[]), CAST(:keep AS integer[])) AS told (aor, keep)
    ), held AS (
        SELECT id, split_part(replace(id, '^3B', ';'), ';@', 1) AS aor, expiration_time::bigint AS expires
        FROM {ps_contacts}
    ), sorted AS (
        SELECT id, keep, row_number() OVER (PARTITION BY aor ORDER BY expires DESC, id) AS place
        FROM held JOIN orders USING (aor) WHERE expires > 1
    )
    UPDATE {ps_contacts} AS contact SET expiration_time = 1
    FROM sorted WHERE contact.id = sorted.id AND place > keep
"""
