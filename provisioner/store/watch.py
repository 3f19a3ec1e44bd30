"""The triggers that note every change of endpoints, auths and AORs, whoever makes it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from provisioner.errors import StoreError
from provisioner.realtime import TABLES
from provisioner.store.names import Tables

_NAMES: Final = ("note_inserted", "note_updated", "note_deleted", "note_truncated")

_WATCHED: Final = """
    SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = ANY (CAST(:tables AS text[]))
    AND t.tgname = ANY (CAST(:names AS text[])) AND t.tgenabled IN ('O', 'A')
"""

_MADE: Final = """
    SELECT count(*) FROM provisioner.made_tables
    WHERE schema_name = :schema AND table_name = ANY (CAST(:tables AS text[]))
"""

_RELATIONS: Final = """
    SELECT c.relname, c.relkind::text AS relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = ANY (CAST(:tables AS text[]))
"""
_OTHERS: Final = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


def is_watched(connection: Connection, tables: Tables) -> bool:
    """Whether all of them are there, and none is disabled."""
    asked = {"schema": tables.schema, "tables": list(TABLES), "names": list(_NAMES)}
    return bool(connection.scalar(text(_WATCHED), asked) == len(TABLES) * len(_NAMES))


def made_by_us(connection: Connection, tables: Tables) -> bool:
    """Whether all three tables were made by us; then the triggers belong there."""
    asked = {"schema": tables.schema, "tables": list(TABLES)}
    return bool(connection.scalar(text(_MADE), asked) == len(TABLES))


def watch(connection: Connection, tables: Tables) -> None:
    """Put the triggers there, or put them there anew. Raises StoreError where there is no table for them."""
    asked = {"schema": tables.schema, "tables": list(TABLES)}
    found: dict[str, str] = {row.relname: row.relkind for row in connection.execute(text(_RELATIONS), asked)}
    for table in TABLES:
        kind = found.get(table)
        if kind in ("r", "p"):
            continue
        what = f"is {_OTHERS.get(kind, 'no table')}" if kind else "is missing"
        raise StoreError(
            f"{tables.schema}.{table} {what}, so triggers cannot note its changes: "
            "run provisioner db upgrade without --triggers; then only our own commands tell the nodes."
        )
    connection.execute(text("SELECT provisioner.watch(:schema)"), {"schema": tables.schema})
