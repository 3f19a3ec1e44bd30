"""The limits: PostgreSQL's own client loading the same rows, and reading them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg import sql

from benchmarks.databases import Database
from benchmarks.measure import Run

Table = tuple[str, str]
"""Schema and name."""

# Triggers write filled_columns, whoever loads the others.
_TABLES = b"""
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname IN ('provisioner', 'public') AND tablename <> 'filled_columns'
    ORDER BY schemaname DESC, tablename
"""
_REFERENCES = b"""
    SELECT n.nspname, c.relname, other_n.nspname, other.relname
    FROM pg_constraint
    JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class other ON other.oid = confrelid JOIN pg_namespace other_n ON other_n.oid = other.relnamespace
    WHERE contype = 'f' AND conrelid <> confrelid
"""


def filled(database: Database, fresh: Database) -> tuple[Table, ...]:
    """The tables with rows here and none in a database without users; what others refer to comes first."""
    tables = [table for table in database.ask(_TABLES) if _rows(database, table) and not _rows(fresh, table)]
    references = [(row[:2], row[2:]) for row in database.ask(_REFERENCES)]
    ordered: list[Table] = []
    while tables:
        free = [table for table in tables if not any(of == table and to in tables for of, to in references)]
        ordered += [(schema, name) for schema, name in free]
        tables = [table for table in tables if table not in free]
    return tuple(ordered)


def copy_out(database: Database, tables: Sequence[Table], folder: Path) -> None:
    """Every row of these tables into files that :func:`copy_in` takes."""
    database.psql(*_commands(f"\\copy {_quoted(table)} to '{_file(table, folder)}'" for table in tables))


def copy_in(database: Database, tables: Sequence[Table], folder: Path) -> Run:
    """Load them into the same tables with the same indexes and triggers, in one transaction."""
    commands = _commands(f"\\copy {_quoted(table)} from '{_file(table, folder)}'" for table in tables)
    return database.psql("--single-transaction", *commands)


def select(database: Database, tables: Sequence[Table]) -> Run:
    """Read every row and column, written to /dev/null.

    Unaligned and without headings is the quickest that psql has: it neither measures the widest value of
    each column nor draws a table.
    """
    queries = _commands(f"SELECT * FROM {_quoted(table)}" for table in tables)
    return database.psql("--no-align", "--tuples-only", "--output=/dev/null", *queries)


def count(database: Database, tables: Sequence[Table]) -> int:
    """How many rows these tables hold."""
    return sum(_rows(database, table) for table in tables)


def _rows(database: Database, table: Table) -> int:
    (answer,) = database.ask(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table)))
    return int(answer[0])


def _commands(lines: Iterator[str]) -> list[str]:
    return [part for line in lines for part in ("--command", line)]


def _quoted(table: Table) -> str:
    return ".".join(f'"{part}"' for part in table)


def _file(table: Table, folder: Path) -> Path:
    return folder / f"{'.'.join(table)}.copy"
