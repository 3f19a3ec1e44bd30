"""What nodes are due, and what is left for them, for the tests of the outbox."""

from __future__ import annotations

from typing import Any

import psycopg

from provisioner.store import Due, NodeState, Store

Sql = psycopg.Connection[Any]

FUTURE = "900000000:900000000:"
"""A position that no transaction has reached."""


def add(sql: Sql, *ids: str) -> None:
    sql.execute("INSERT INTO ps_aors (id) SELECT unnest(%s::text[])", [list(ids)])


def ids(due: Due) -> list[str]:
    return [order.endpoint_id for order in due.orders]


def left(sql: Sql) -> list[str]:
    return [id for (id,) in sql.execute("SELECT object_id FROM provisioner.outbox ORDER BY object_id")]


def state(store: Store, node: str) -> NodeState:
    (found,) = [one for one in store.states() if one.node == node]
    return found
