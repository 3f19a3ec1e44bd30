"""The views through which nodes read the columns that are in use."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from provisioner.realtime import TABLES
from provisioner.store.names import Tables

_TRIGGERS: Final = ("show_inserted", "show_updated")

_WIDE: Final = """
    SELECT relname FROM unnest(CAST(:tables AS text[])) AS named
    JOIN pg_class AS its ON oid = to_regclass(named)
    CROSS JOIN LATERAL (
        SELECT count(*) AS made, count(*) FILTER (WHERE tgenabled IN ('O', 'A')) AS work FROM pg_trigger
        WHERE tgrelid = its.oid AND tgname = ANY (CAST(:triggers AS text[]))) AS triggers
    WHERE relkind IN ('r', 'p') AND (:all OR made > 0 OR to_regclass(provisioner.view_of(oid)) IS NOT NULL)
    AND (provisioner.shown(oid) IS NULL OR work <> :count OR provisioner.overlooked(oid) <> '{}')
    ORDER BY relname
"""


def wide(connection: Connection, tables: Tables, all: bool = False) -> list[str]:
    """Tables whose view is missing, lacks a filled column, or does not get every column that anybody fills.

    Only of tables for which views were asked for, unless ``all``. What is a view itself is read as it is.
    """
    asked = {
        "tables": [tables.quoted[table] for table in TABLES],
        "all": all,
        "triggers": list(_TRIGGERS),
        "count": len(_TRIGGERS),
    }
    return list(connection.execute(text(_WIDE), asked).scalars())


def narrow(connection: Connection, tables: Tables, all: bool = False) -> None:
    """Make anew the views that are not kept, and where ``all`` are asked for those that there are not."""
    for table in wide(connection, tables, all):
        name = {"name": tables.quoted[table]}
        connection.execute(text("SELECT provisioner.narrow(CAST(:name AS regclass))"), name)
