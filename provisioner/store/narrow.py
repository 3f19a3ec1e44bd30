"""The views through which nodes read the columns that are in use."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from provisioner.realtime import TABLES
from provisioner.store.names import Tables

NODES_SCHEMA: Final = "provisioner_nodes"
"""Comes before the tables' schema in the search_path of Asterisk's role."""

_TRIGGERS: Final = ("show_inserted", "show_updated")

_WIDE: Final = """
    SELECT its.relname FROM pg_class AS its
    WHERE oid = ANY (CAST(:tables AS regclass[])) AND relkind IN ('r', 'p') AND (
        provisioner.shown(oid) IS NULL OR provisioner.overlooked(oid) <> '{}' OR :count <> (
            SELECT count(*) FROM pg_trigger WHERE tgrelid = its.oid
            AND tgname = ANY (CAST(:triggers AS text[])) AND tgenabled IN ('O', 'A')))
    ORDER BY relname
"""


def wide(connection: Connection, tables: Tables) -> list[str]:
    """Tables whose view is missing, lacks a filled column, or does not get every column that anybody fills.

    What is a view itself is read as it is.
    """
    asked = {
        "tables": [tables.quoted[table] for table in TABLES],
        "triggers": list(_TRIGGERS),
        "count": len(_TRIGGERS),
    }
    return list(connection.execute(text(_WIDE), asked).scalars())


def narrow(connection: Connection, tables: Tables) -> None:
    """Make the views that there are not, and those anew that are not kept."""
    for table in wide(connection, tables):
        name = {"name": tables.quoted[table]}
        connection.execute(text("SELECT provisioner.narrow(CAST(:name AS regclass))"), name)
