"""Rows of ps_endpoints, ps_auths and ps_aors: read as values, written as a plan says.

Values travel beside the statement, as COPY's data or as one JSON document: PostgreSQL turns them into the
column types that this database has (integers, texts, upstream's enums), and no value ever becomes part of an
SQL text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import psycopg
from sqlalchemy import Connection, text

from provisioner.errors import Conflict
from provisioner.plan import Action, Change, Plan
from provisioner.realtime import TABLES, ColumnSet, Rows, Value
from provisioner.realtime.mapping import CONSTANTS, PERSONAL
from provisioner.store.arrays import text_array
from provisioner.store.copy import copy_rows
from provisioner.store.names import Tables, quote

OWNED: Final[Mapping[str, tuple[str, ...]]] = {
    table: tuple(sorted({field.column for field in (*CONSTANTS, *PERSONAL) if field.table == table}))
    for table in TABLES
}
"""Table to the columns that we write."""

_READ: Final = "SELECT {columns} FROM {table} WHERE id = ANY (CAST(:ids AS text[]))"

_NOT_OURS: Final = """
    SELECT wanted FROM unnest(CAST(:ids AS text[])) AS wanted
    WHERE NOT EXISTS (SELECT FROM provisioner.extensions WHERE endpoint_id = wanted) LIMIT 1
"""

_FOREIGN: Final = """
    SELECT id, EXISTS (SELECT FROM provisioner.extensions WHERE endpoint_id = there.id) AS was_ours
    FROM {table} AS there
    WHERE NOT EXISTS (SELECT FROM provisioner.extensions WHERE endpoint_id = there.id AND deleted_at IS NULL)
    AND (id ~ '^[0-9]{{2,15}}(-[a-z0-9]{{1,20}})?$'
        OR EXISTS (SELECT FROM provisioner.extensions WHERE endpoint_id = there.id))
    ORDER BY id
"""

_COLUMNS: Final = """
    SELECT c.relname, a.attname, CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 END
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = ANY (CAST(:tables AS text[]))
    AND c.relkind IN ('r', 'p', 'v', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum
"""


def reflect(connection: Connection, tables: Tables) -> ColumnSet:
    """The columns this database has, and the most characters each holds; a missing table is missing here."""
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    asked = {"schema": tables.schema, "tables": list(tables.quoted)}
    for table, column, length in connection.execute(text(_COLUMNS), asked):
        found[table][column] = length
    return dict(found)


def read(connection: Connection, tables: Tables, columns: ColumnSet, ids: Iterable[str]) -> Rows:
    """The rows of these ids in the three tables: the columns that we write, without those that are NULL."""
    wanted = text_array(set(ids))
    return Rows({table: _read_table(connection, tables, columns, table, wanted) for table in TABLES})


def write(connection: Connection, tables: Tables, plan: Plan) -> None:
    """Carry out every change of a plan; columns that it does not name keep their values.

    Raises Conflict when a row is not one of our extensions', is there already, or is gone meanwhile.
    """
    _refuse_foreign(connection, {change.id for change in plan.changes})
    groups: dict[tuple[Action, str], list[Change]] = defaultdict(list)
    for change in plan.in_write_order():
        groups[change.action, change.table].append(change)
    for (action, table), changes in groups.items():
        for columns, alike in _by_columns(changes).items():
            _WRITERS[action](connection, tables.quoted[table], columns, alike)


def foreign(connection: Connection, tables: Tables) -> Mapping[str, Mapping[str, bool]]:
    """Rows that no live extension has, and that look like ours: by table, id to whether they once were.

    Like ours is an id that a deleted extension had, or that is a number, perhaps with a label.
    """
    found = {table: connection.execute(text(_FOREIGN.format(table=tables.quoted[table]))) for table in TABLES}
    return {table: {row.id: row.was_ours for row in its} for table, its in found.items()}


def _refuse_foreign(connection: Connection, ids: Collection[str]) -> None:
    foreign = connection.scalar(text(_NOT_OURS), {"ids": text_array(sorted(ids))})
    if foreign is not None:
        raise Conflict(
            f"Nothing was written: the rows of {foreign} in Asterisk's tables belong to no extension of ours."
        )


def _read_table(
    connection: Connection, tables: Tables, columns: ColumnSet, table: str, ids: str | list[str]
) -> dict[str, dict[str, Value]]:
    its = [column for column in OWNED[table] if column in columns.get(table, ())]
    names = ", ".join(quote(column) for column in ("id", *its))
    query = text(_READ.format(columns=names, table=tables.quoted[table]))
    return {
        id: {
            column: value if type(value) is str or type(value) is int else _value(value)
            for column, value in zip(its, values, strict=True)
            if value is not None
        }
        for id, *values in connection.execute(query, {"ids": ids})
    }


def _value(value: object) -> Value:
    """Of another type than texts and integers, as some databases have; a whole fraction is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else str(value)


def _by_columns(changes: Iterable[Change]) -> dict[tuple[str, ...], list[Change]]:
    groups: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        groups[() if change.action is Action.DELETE else tuple(sorted(change.fields))].append(change)
    return groups


def _create(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    values = ((change.id, *map(change.new_values().__getitem__, columns)) for change in changes)
    try:
        copy_rows(connection, table, ("id", *columns), values)
    except psycopg.errors.UniqueViolation:
        raise _conflict(changes[0].table, "are there already") from None


def _update(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    if not columns:
        return
    values = ", ".join(f"{quote(column)} = new.{quote(column)}" for column in columns)
    statement = f"""
        UPDATE {table} AS old SET {values}
        FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb)) AS new WHERE old.id = new.id
    """  # noqa: S608 - names are quoted, values are bound
    rows = json.dumps([{"id": change.id, **change.new_values()} for change in changes])
    # What was planned rests on what was read: every change must meet its row.
    if connection.execute(text(statement), {"rows": rows}).rowcount != len(changes):
        raise _conflict(changes[0].table, "are gone")


def _delete(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    statement = f"DELETE FROM {table} WHERE id = ANY (CAST(:ids AS text[]))"  # noqa: S608 - the name is quoted
    connection.execute(text(statement), {"ids": text_array([change.id for change in changes])})


_Writer = Callable[[Connection, str, Sequence[str], Sequence[Change]], None]
_WRITERS: Final[Mapping[Action, _Writer]] = {
    Action.CREATE: _create,
    Action.UPDATE: _update,
    Action.DELETE: _delete,
}


def _conflict(table: str, why: str) -> Conflict:
    return Conflict(
        f"Nothing was written: rows of {table} {why}, so somebody else wrote there at the same time; "
        "look and try again."
    )
