"""Brings a database up to date: our migrations, and on request what Asterisk's own tables lack."""

from __future__ import annotations

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from provisioner.errors import StoreError
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.resources import resource_dir
from provisioner.store.names import Tables, quote
from provisioner.store.narrow import narrow
from provisioner.store.rows import reflect
from provisioner.store.tables import SCHEMA, made_tables
from provisioner.store.watch import made_by_us, watch

_LIMITS: Final = ("SET LOCAL statement_timeout = '10min'", "SET LOCAL lock_timeout = '2min'")
_LOCK: Final = "SELECT pg_advisory_xact_lock(1886547830, 2)"


def upgrade(
    connection: Connection,
    tables: Tables,
    asterisk_tables: bool,
    triggers: bool = False,
    views: bool = False,
    to: str = "head",
) -> None:
    """Run what is missing up to the migration ``to``, in the connection's transaction; another one waits.

    Tables of Asterisk's that others made are altered only with ``asterisk_tables``: then they get the columns
    they lack, and the rule that an endpoint needs an auth; or with ``triggers``, which note every change of
    them; or with ``views``, through which nodes read the columns in use. Raises StoreError where that cannot
    be.
    """
    for limit in _LIMITS:
        connection.exec_driver_sql(limit)
    connection.exec_driver_sql(_LOCK)
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    current = current_revision(connection)
    if current is not None and not is_known(current):
        raise StoreError(
            f"The database is at migration {current}, which this provisioner does not know: "
            "a newer one made it; install that version."
        )
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["asterisk_schema"] = tables.schema
    command.upgrade(config, to)
    if asterisk_tables:
        _complete(connection, tables)
    if triggers:
        watch(connection, tables)
    if current_revision(connection) == newest_revision():
        narrow(connection, tables, views or made_by_us(connection, tables))


def current_revision(connection: Connection) -> str | None:
    """Which migration the database has come to; None where it has had none."""
    table = connection.scalar(text(f"SELECT to_regclass('{SCHEMA}.alembic_version')"))
    if table is None:
        return None
    return MigrationContext.configure(
        connection, opts={"version_table_schema": SCHEMA}
    ).get_current_revision()


def is_known(revision: str) -> bool:
    """Whether it is one of our migrations."""
    return any(
        script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
    )


def newest_revision() -> str | None:
    """The last of our migrations."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_dir("sql")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _complete(connection: Connection, tables: Tables) -> None:
    """Add the columns and tables that are missing, and the rule about auths."""
    there = reflect(connection, tables)
    for table, columns in ASTERISK_COLUMNS.items():
        name = tables.quoted[table]
        if table not in there:
            connection.exec_driver_sql(f"CREATE TABLE {name} (id {columns[0].sql_type} PRIMARY KEY)")
            marker = postgresql.insert(made_tables).on_conflict_do_nothing()
            connection.execute(marker, {"schema_name": tables.schema, "table_name": table})
        missing = [column for column in columns[1:] if column.name not in there.get(table, {})]
        if missing:
            added = ", ".join(f"ADD COLUMN {quote(column.name)} {column.sql_type}" for column in missing)
            connection.exec_driver_sql(f"ALTER TABLE {name} {added}")
    connection.execute(text(f"SELECT {SCHEMA}.guard_auths(:schema)"), {"schema": tables.schema})
    if made_by_us(connection, tables):
        watch(connection, tables)
