"""The role Asterisk logs in with reads its tables, writes contacts, and can do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import URL

from provisioner.errors import Conflict
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.secret import Secret
from provisioner.store import Embedded, Store
from tests.integration.conftest import address

PASSWORD = Secret("it's a 'quoted' \\ password; ${x} Łódź")

Sql = psycopg.Connection[Any]


@pytest.fixture
def role(server: URL) -> Iterator[str]:
    """A role's name; the role is gone after the test."""
    name = 'pbx-"1"'
    yield name
    with psycopg.connect(address(server), autocommit=True) as connection:
        quoted = '"' + name.replace('"', '""') + '"'
        for (database,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'test%'"
        ).fetchall():
            with psycopg.connect(address(server.set(database=database)), autocommit=True) as inside:
                if inside.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                    inside.execute(f"DROP OWNED BY {quoted}".encode())
        connection.execute(f"DROP ROLE IF EXISTS {quoted}".encode())


@pytest.fixture
def asterisk(store: Store, role: str) -> Iterator[Sql]:
    """A connection as Asterisk has it."""
    store.grant_asterisk(role, PASSWORD)
    with login(store.url, role, PASSWORD) as connection:
        yield connection


def login(url: URL, role: str, password: Secret) -> Sql:
    return psycopg.connect(
        host=url.host,
        port=url.port,
        dbname=url.database,
        user=role,
        password=password.reveal(),
        autocommit=True,
    )


@pytest.mark.parametrize("table", [*ASTERISK_COLUMNS, "public.ps_endpoints"])
def test_it_reads_every_table_of_its_own(asterisk: Sql, table: str) -> None:
    assert asterisk.execute(f"SELECT * FROM {table}".encode()).fetchall() == []


def test_it_writes_contacts_of_which_no_node_has_to_be_told(asterisk: Sql, store: Store) -> None:
    store.know(["pbx1"])
    asterisk.execute("INSERT INTO ps_contacts (id, uri, expiration_time) VALUES ('7001^3B@1', 'sip:x', 1)")
    asterisk.execute("UPDATE ps_contacts SET expiration_time = 2")
    assert asterisk.execute("DELETE FROM ps_contacts").rowcount == 1
    assert store.due("pbx1").changes == 0


def test_it_does_not_wait_for_the_disk_as_we_do(asterisk: Sql, sql: Sql) -> None:
    assert asterisk.execute("SHOW synchronous_commit").fetchone() == ("off",)
    assert sql.execute("SHOW synchronous_commit").fetchone() == ("on",)


@pytest.mark.parametrize(
    "table",
    [f"public.{table}" for table in ASTERISK_COLUMNS if table != "ps_contacts"],
)
@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO {} (id) VALUES ('x')", "UPDATE {} SET id = 'x'", "DELETE FROM {}", "TRUNCATE {}"],
)
def test_it_writes_no_other_table(asterisk: Sql, table: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        asterisk.execute(statement.format(table).encode())


@pytest.mark.parametrize(
    "table",
    [
        "users",
        "extensions",
        "changes",
        "history",
        "past_secrets",
        "outbox",
        "filled_columns",
        "nodes",
        "made_tables",
        "alembic_version",
    ],
)
def test_it_sees_nothing_of_ours(asterisk: Sql, table: str) -> None:
    with pytest.raises(InsufficientPrivilege, match="permission denied for schema provisioner"):
        asterisk.execute(f"SELECT * FROM provisioner.{table}".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x (id text)",
        "CREATE SCHEMA x",
        "CREATE ROLE x",
        "CREATE DATABASE x",
        "ALTER TABLE ps_contacts ADD COLUMN x text",
        "DROP TABLE ps_contacts",
        "TRUNCATE ps_contacts",
        "SELECT provisioner.guard_auths('public')",
        "SELECT provisioner.trim_history(1)",
        "SELECT provisioner.unwatch('public')",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY ps_contacts TO PROGRAM 'id'",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE provisioner",
    ],
)
def test_it_can_do_nothing_else(asterisk: Sql, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        asterisk.execute(statement.encode())


def test_it_finds_its_tables_without_naming_their_schema(empty_database: URL, role: str) -> None:
    with Store(empty_database, asterisk_schema="pbx") as store:
        store.upgrade()
        store.grant_asterisk(role, PASSWORD)
        assert store.check(role) == ()
    with login(empty_database, role, PASSWORD) as connection:
        assert connection.execute("SELECT * FROM ps_endpoints").fetchall() == []


def test_granting_again_sets_the_password_and_rights_anew(
    store: Store, role: str, asterisk: Sql, sql: Sql
) -> None:
    quoted = '"pbx-""1"""'
    sql.execute(f"GRANT ALL ON ps_auths TO {quoted}; GRANT USAGE ON SCHEMA provisioner TO {quoted}".encode())
    sql.execute(f"REVOKE ALL ON ps_contacts FROM {quoted}; ALTER ROLE {quoted} CREATEDB".encode())
    assert {one.what for one in store.check(role)} == {
        "it sees schema provisioner",
        "it has INSERT on ps_auths",
        "it has UPDATE on ps_auths",
        "it has DELETE on ps_auths",
        "it lacks SELECT on ps_contacts",
        "it lacks INSERT on ps_contacts",
        "it lacks UPDATE on ps_contacts",
        "it lacks DELETE on ps_contacts",
    }
    store.grant_asterisk(role, Secret("another"))
    assert store.check(role) == ()
    with login(store.url, role, Secret("another")) as connection:
        assert connection.execute("SELECT count(*) FROM ps_contacts").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        login(store.url, role, PASSWORD)


def test_a_missing_role_is_found(store: Store) -> None:
    (found,) = store.check("nobody")
    assert (found.where, found.what) == ("role nobody", "there is no role nobody")


def test_the_password_travels_in_no_statement(embedded: Embedded, database: URL, sql: Sql, role: str) -> None:
    sql.execute(f"ALTER DATABASE {database.database} SET log_statement = 'all'".encode())
    with Store(database) as store:
        store.grant_asterisk(role, Secret("plain-as-day-4711"))
    log = embedded.log.read_text()
    assert "PASSWORD 'SCRAM-SHA-256$" in log
    assert "plain-as-day-4711" not in log


def test_roles_that_cannot_be_restricted_are_refused(store: Store, sql: Sql, role: str) -> None:
    quoted = '"pbx-""1"""'
    with pytest.raises(Conflict, match="is our own login"):
        store.grant_asterisk("provisioner", PASSWORD)
    sql.execute(f"CREATE ROLE {quoted}; ALTER TABLE ps_aors OWNER TO {quoted}".encode())
    with pytest.raises(Conflict, match=r"owns ps_aors.*database\.asterisk_role"):
        store.grant_asterisk(role, PASSWORD)
    sql.execute("ALTER TABLE ps_aors OWNER TO provisioner")


def test_an_owner_of_the_database_who_is_no_superuser_can_do_all_this(
    empty_database: URL, server: URL, role: str
) -> None:
    owner = empty_database.set(username="owner1", password="x-y-z")
    with psycopg.connect(address(server), autocommit=True) as connection:
        connection.execute("CREATE ROLE owner1 LOGIN CREATEROLE PASSWORD 'x-y-z'")
        connection.execute(f"ALTER DATABASE {empty_database.database} OWNER TO owner1".encode())
    with Store(owner) as store:
        store.upgrade()
        store.grant_asterisk(role, PASSWORD)
        store.grant_asterisk(role, Secret("another"))
        assert store.check(role) == ()
    with login(owner, role, Secret("another")) as connection:
        assert connection.execute("SELECT count(*) FROM ps_contacts").fetchone() == (0,)
