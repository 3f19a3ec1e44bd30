"""The role that Asterisk logs in with: reads its tables, writes contacts, sees nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, text

from provisioner.errors import Conflict
from provisioner.realtime import NODES_SCHEMA
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.secret import Secret
from provisioner.store.names import Tables, quote

CONTACTS: Final = "ps_contacts"

_ROLE: Final = """
    SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolname = current_user AS ours,
        (SELECT min(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = ANY (CAST(:schemas AS text[])) AND c.relowner = r.oid) AS owned
    FROM pg_roles r WHERE rolname = :role
"""

_TABLES: Final = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'f')
    AND starts_with(c.relname, 'ps_') ORDER BY n.nspname, c.relname
"""

_RIGHTS: Final = """
    SELECT CASE n.nspname WHEN :schema THEN '' ELSE n.nspname || '.' END || c.relname, privilege,
        has_table_privilege(CAST(:role AS name), c.oid, privilege) AS has
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE n.nspname IN (:schema, :nodes) AND c.relname = ANY (CAST(:tables AS text[]))
"""


def grant(connection: Connection, tables: Tables, role: str, password: Secret) -> None:
    """Make the role where it is missing, set its password, and give it these rights and no others.

    Raises Conflict for a role that is a superuser, our own, or owns tables: that would be no restriction.
    """
    asked = {"role": role, "schemas": [tables.schema, "provisioner", NODES_SCHEMA]}
    found = connection.execute(text(_ROLE), asked).first()
    if found is not None and (found.rolsuper or found.ours or found.owned):
        what = "is a superuser" if found.rolsuper else f"owns {found.owned}"
        what = "is our own login" if found.ours else what
        raise Conflict(f"The role {role!r} {what}: choose another name in database.asterisk_role.")
    name, schema = quote(role), quote(tables.schema)
    run = connection.exec_driver_sql
    if found is None:
        run(f"CREATE ROLE {name}")
    # The verifier instead of the password: no plaintext in a statement, a log or pg_stat_activity.
    verifier = _scram_verifier(connection, role, password)
    run(f"ALTER ROLE {name} LOGIN{_withdrawn(found)} PASSWORD '{verifier}'")
    for statement in _rights(connection, tables, name, schema):
        run(statement)


def _withdrawn(found: Any) -> str:
    """What a role that was there before may do in the whole cluster, and must not.

    Only these are named: PostgreSQL lets nobody but a superuser name one, even to say no to it.
    """
    attributes = ("createdb", "createrole", "replication")
    return "".join(
        f" NO{name.upper()}" for name in attributes if found is not None and found._mapping[f"rol{name}"]
    )


def wrong_rights(connection: Connection, tables: Tables, role: str) -> tuple[str, ...]:
    """What the role lacks, or has too much of, in words; empty when all is as :func:`grant` leaves it."""
    if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
        return (f"there is no role {role}",)
    return tuple(_wrong(connection, tables, role))


def _wrong(connection: Connection, tables: Tables, role: str) -> Iterator[str]:
    named = {"role": role, "schema": tables.schema, "nodes": NODES_SCHEMA, "tables": list(ASTERISK_COLUMNS)}
    for query, wrong in _QUESTIONS:
        if connection.scalar(text(query), named):
            yield wrong
    for table, privilege, has in connection.execute(text(_RIGHTS), named):
        wanted = privilege == "SELECT" or table == CONTACTS
        if has != wanted:
            yield f"it {'lacks' if wanted else 'has'} {privilege} on {table}"


_PATH: Final = """
    SELECT NOT has_schema_privilege(CAST(:role AS name), to_regnamespace(:nodes), 'USAGE') OR NOT EXISTS (
        SELECT FROM pg_db_role_setting JOIN pg_database its ON its.oid = setdatabase
        WHERE setrole = to_regrole(quote_ident(:role)) AND datname = current_database()
        AND 'search_path=' || :nodes || ', ' || quote_ident(:schema) = ANY (setconfig))
"""

_QUESTIONS: Final = (
    ("SELECT rolsuper FROM pg_roles WHERE rolname = :role", "it is a superuser"),
    (
        "SELECT has_schema_privilege(CAST(:role AS name), 'provisioner', 'USAGE')",
        "it sees schema provisioner",
    ),
    (
        "SELECT NOT has_schema_privilege(CAST(:role AS name), :schema, 'USAGE')",
        "it does not see its own schema",
    ),
    (_PATH, f"it does not find {NODES_SCHEMA} before its tables"),
    ("SELECT has_schema_privilege(CAST(:role AS name), :schema, 'CREATE')", "it may create tables"),
)


def _rights(connection: Connection, tables: Tables, name: str, schema: str) -> Iterator[str]:
    database = quote(connection.exec_driver_sql("SELECT current_database()").scalar_one())
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"
    yield f"REVOKE ALL ON SCHEMA provisioner FROM PUBLIC, {name}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA provisioner FROM PUBLIC, {name}"
    yield f"REVOKE ALL ON SCHEMA {schema} FROM {name}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {name}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {name}"
    yield f"REVOKE ALL ON SCHEMA {NODES_SCHEMA} FROM PUBLIC, {name}"
    yield f"GRANT USAGE ON SCHEMA {NODES_SCHEMA} TO {name}"
    # Asterisk names tables without their schema.
    yield f"ALTER ROLE {name} IN DATABASE {database} SET search_path = {NODES_SCHEMA}, {schema}"
    # A REGISTER is answered without waiting for the disk; what a crash of PostgreSQL may lose are contacts of
    # the last 0.6 s (three times wal_writer_delay), less than Asterisk's own astdb may.
    yield f"ALTER ROLE {name} IN DATABASE {database} SET synchronous_commit = off"
    asked = {"schemas": [tables.schema, NODES_SCHEMA]}
    for its_schema, table in connection.execute(text(_TABLES), asked):
        yield f"REVOKE ALL ON {quote(its_schema)}.{quote(table)} FROM {name}"
        yield f"GRANT SELECT ON {quote(its_schema)}.{quote(table)} TO {name}"
    yield f"GRANT INSERT, UPDATE, DELETE ON {tables.quoted[CONTACTS]} TO {name}"


def _scram_verifier(connection: Connection, role: str, password: Secret) -> str:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    made = driver.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    return made.decode("ascii")
