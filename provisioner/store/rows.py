"""Rows of ps_endpoints, ps_auths and ps_aors: read as values, written as a plan says.

Values travel as one JSON document a statement: PostgreSQL turns it into the column types that this database
has (integers, texts, upstream's enums), and no value ever becomes part of an SQL text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, text

from provisioner.errors import Conflict
from provisioner.plan import Action, Change, Plan
from provisioner.realtime import TABLES, ColumnSet, Rows, Value
from provisioner.store.names import Tables, quote

_READ: Final = (
    "SELECT id, jsonb_strip_nulls(to_jsonb(t) - 'id') FROM {table} t WHERE id = ANY (CAST(:ids AS text[]))"
)

_NOT_OURS: Final = """
    SELECT wanted FROM unnest(CAST(:ids AS text[])) AS wanted
    WHERE NOT EXISTS (SELECT FROM provisioner.extensions WHERE endpoint_id = wanted) LIMIT 1
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


def read(connection: Connection, tables: Tables, ids: Iterable[str]) -> Rows:
    """The rows of these ids in the three tables, without the columns that are NULL."""
    wanted = sorted(set(ids))
    return Rows({table: dict(_read_table(connection, tables.quoted[table], wanted)) for table in TABLES})


def write(connection: Connection, tables: Tables, plan: Plan) -> None:
    """Carry out every change of a plan; columns that it does not name keep their values.

    Raises Conflict when a row is not one of our extensions', is there already, or is gone meanwhile.
    """
    ids = sorted({change.id for change in plan.changes})
    foreign = connection.scalar(text(_NOT_OURS), {"ids": ids})
    if foreign is not None:
        raise Conflict(
            f"Nothing was written: the rows of {foreign} in Asterisk's tables belong to no extension of ours."
        )
    groups: dict[tuple[Action, str], list[Change]] = defaultdict(list)
    for change in plan.in_write_order():
        groups[change.action, change.table].append(change)
    for (action, table), changes in groups.items():
        for columns, alike in _by_columns(changes).items():
            _STATEMENTS[action](connection, tables.quoted[table], columns, alike)


def _read_table(connection: Connection, table: str, ids: list[str]) -> Iterable[tuple[str, dict[str, Value]]]:
    for id, row in connection.execute(text(_READ.format(table=table)), {"ids": ids}):
        yield id, {column: _value(value) for column, value in row.items()}


def _value(value: object) -> Value:
    """Times such as qualify_timeout are fractions; a whole one is given as the integer it is."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else str(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else str(value)


def _by_columns(changes: Iterable[Change]) -> dict[tuple[str, ...], list[Change]]:
    groups: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        groups[() if change.action is Action.DELETE else tuple(sorted(change.fields))].append(change)
    return groups


def _create(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    names = ", ".join(quote(column) for column in ("id", *columns))
    statement = f"""
        INSERT INTO {table} ({names})
        SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb))
        ON CONFLICT DO NOTHING
    """  # noqa: S608 - names are quoted, values are bound
    _expect(connection, statement, changes, "are there already")


def _update(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    if not columns:
        return
    values = ", ".join(f"{quote(column)} = new.{quote(column)}" for column in columns)
    statement = f"""
        UPDATE {table} AS old SET {values}
        FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb)) AS new WHERE old.id = new.id
    """  # noqa: S608 - names are quoted, values are bound
    _expect(connection, statement, changes, "are gone")


def _delete(connection: Connection, table: str, columns: Sequence[str], changes: Sequence[Change]) -> None:
    statement = f"DELETE FROM {table} WHERE id = ANY (CAST(:ids AS text[]))"  # noqa: S608 - the name is quoted
    connection.execute(text(statement), {"ids": [change.id for change in changes]})


_STATEMENTS: Final = {Action.CREATE: _create, Action.UPDATE: _update, Action.DELETE: _delete}


def _expect(connection: Connection, statement: str, changes: Sequence[Change], otherwise: str) -> None:
    """Every change must meet its row: what was planned rests on what was read."""
    rows = json.dumps([{"id": change.id, **change.new_values()} for change in changes])
    done = connection.execute(text(statement), {"rows": rows}).rowcount
    if done != len(changes):
        raise Conflict(
            f"Nothing was written: rows of {changes[0].table} {otherwise}, so somebody else wrote there "
            "at the same time; look and try again."
        )
