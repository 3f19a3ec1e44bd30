"""Views of the columns in use, as Asterisk and we look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from provisioner.realtime import ENDPOINTS, Rows
from provisioner.secret import Secret
from provisioner.store import Finding, Store
from tests.integration.people import create, plan, user

Sql = psycopg.Connection[Any]

OURS = {
    "ps_endpoints": ["id", "aors", "auth", "context", "mailboxes"],
    "ps_auths": ["id", "auth_type", "password", "username"],
    "ps_aors": ["id", "max_contacts", "remove_existing", "contact", "mailboxes", "qualify_frequency"],
}
"""What the rows of these tests fill, and what Asterisk looks for."""
ROLE = "nodes"
SECRET = Secret("its-own")
HIDDEN = Finding(
    "it does not find provisioner_nodes before its tables",
    f"role {ROLE}",
    "provisioner db upgrade, which sets its rights anew",
)


def lost(table: str = "ps_endpoints") -> Finding:
    return Finding(
        "the view of the columns in use is missing or not kept: nodes read all, or miss what others fill",
        f"provisioner_nodes.{table}",
        "provisioner db upgrade",
    )


def upgrade(store: Store) -> None:
    """As ``provisioner db upgrade`` does."""
    store.upgrade()
    store.grant_asterisk(ROLE, SECRET)


def write(store: Store, wanted: Rows) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", *sorted(wanted[ENDPOINTS])))
        tx.write(plan(wanted))


@contextmanager
def warned(sql: Sql) -> Iterator[list[str]]:
    """What the server warns of inside the block."""
    said: list[str] = []

    def handler(notice: psycopg.errors.Diagnostic) -> None:
        said.append(notice.message_primary or "")

    sql.add_notice_handler(handler)
    yield said
    sql.remove_notice_handler(handler)


def columns(asterisk: Sql, table: str = "ps_endpoints") -> list[str]:
    return [one.name for one in asterisk.execute(f"SELECT * FROM {table}".encode()).description or ()]


def what_counts(asterisk: Sql, table: str) -> list[dict[str, Any]]:
    """Rows as Asterisk understands them: what is NULL is not there."""
    found = asterisk.execute(f"SELECT * FROM {table} ORDER BY id".encode()).fetchall()
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def assert_nothing_is_lost(asterisk: Sql) -> None:
    for table in OURS:
        assert what_counts(asterisk, table) == what_counts(asterisk, f"public.{table}") != []
