"""What the nodes are still to be told: written with the change itself, gone once a node knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, text

from provisioner.plan import NodeOrder
from provisioner.store.copy import copy_rows
from provisioner.store.names import Tables
from provisioner.store.tables import outbox

_TABLE: Final = "provisioner.outbox"

_PENDING: Final = """
    SELECT id, endpoint_id, array_to_string(expire, ' '), keep_contacts
    FROM provisioner.outbox WHERE node = :node ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """One order that a node does not know yet."""

    id: int
    node: str
    order: NodeOrder


def queue(connection: Connection, nodes: Sequence[str], orders: Sequence[NodeOrder]) -> None:
    """Every node is to be told every order, in this sequence."""
    told = ((node, o.endpoint_id, sorted(o.expire), o.keep_contacts) for o in orders for node in nodes)
    copy_rows(connection, _TABLE, ("node", "endpoint_id", "expire", "keep_contacts"), told)


def pending(connection: Connection, node: str) -> tuple[Pending, ...]:
    """What this node is to be told, oldest first."""
    sets: dict[str, frozenset[str]] = {}

    def expire(words: str) -> frozenset[str]:
        # There are seven different ones at most, among 100,000 orders.
        if words not in sets:
            sets[words] = frozenset(words.split())
        return sets[words]

    found = connection.execute(text(_PENDING), {"node": node})
    return tuple(Pending(id, node, NodeOrder(one, expire(words), keep)) for id, one, words, keep in found)


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
_EXPIRE: Final = """
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
