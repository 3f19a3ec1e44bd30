"""The rule that an endpoint needs an auth, for many rows at once and for two who write at the same time."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from sqlalchemy import URL, create_engine

from provisioner.store import Store
from provisioner.store.migrate import _config
from tests.integration.conftest import address

Sql = psycopg.Connection[tuple[object, ...]]

SCHEMA = "My-Asterisk.1"
PAIRS = "INSERT INTO ps_endpoints (id, auth) SELECT i::text, i::text FROM generate_series(1, 2000) AS i"


@pytest.fixture
def other(database: URL) -> Iterator[Sql]:
    """Somebody else, who does not wait long."""
    with psycopg.connect(address(database)) as connection:
        connection.execute("SET lock_timeout = '200ms'")
        connection.commit()
        yield connection


def test_one_endpoint_among_thousands_that_lacks_its_auth_is_named(sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) SELECT i::text FROM generate_series(1, 2000) AS i WHERE i <> 777")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="endpoint 777 names an auth"):
        sql.execute(PAIRS)
    assert sql.execute("SELECT count(*) FROM ps_endpoints").fetchone() == (0,)


def test_one_auth_among_thousands_that_is_still_needed_is_named(sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) SELECT i::text FROM generate_series(1, 2000) AS i")
    sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '777')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="auth 777 is still needed by endpoint 7001"):
        sql.execute("DELETE FROM ps_auths")
    assert sql.execute("SELECT count(*) FROM ps_auths").fetchone() == (2000,)


def test_an_auth_may_be_replaced_within_a_transaction(sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
    with sql.transaction():
        sql.execute("DELETE FROM ps_auths")
        sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with sql.transaction():
        sql.execute("UPDATE ps_endpoints SET auth = '7002'")
        sql.execute("UPDATE ps_auths SET id = '7002'")
    assert sql.execute("SELECT auth FROM ps_endpoints").fetchall() == [("7002",)]
    assert sql.execute("SELECT count(*) FROM provisioner.unjudged").fetchone() == (0,)


def test_an_auth_deleted_and_used_in_one_transaction_is_refused(sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    steps = (
        "INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')",
        "DELETE FROM ps_endpoints",
        "DELETE FROM ps_auths",
        "INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')",
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="does not exist"):
        sql.execute("; ".join(steps).encode())
    assert sql.execute("SELECT count(*) FROM ps_auths").fetchone() == (1,)


def test_an_auth_that_somebody_is_just_deleting_cannot_be_used(sql: Sql, other: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with sql.transaction():
        sql.execute("DELETE FROM ps_auths")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")


def test_an_auth_that_somebody_just_used_cannot_be_deleted(sql: Sql, other: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with sql.transaction():
        sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("DELETE FROM ps_auths")


def test_in_the_order_of_writing_nothing_is_left_to_judge_row_by_row(sql: Sql) -> None:
    with sql.transaction():
        sql.execute("INSERT INTO ps_auths (id) SELECT i::text FROM generate_series(1, 2000) AS i")
        sql.execute(PAIRS)
        assert sql.execute("SELECT count(*) FROM provisioner.unjudged").fetchone() == (0,)
    with sql.transaction():
        sql.execute("DELETE FROM ps_endpoints")
        sql.execute("DELETE FROM ps_auths")
        assert sql.execute("SELECT count(*) FROM provisioner.unjudged").fetchone() == (0,)


def test_tables_that_were_guarded_row_by_row_are_guarded_by_statement(empty_database: URL) -> None:
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA provisioner")
        config = _config()
        config.attributes.update(connection=connection, asterisk_schema=SCHEMA)
        command.upgrade(config, "0003")
    engine.dispose()
    own_schema = f'-c search_path="{SCHEMA}"'
    with psycopg.connect(address(empty_database), autocommit=True, options=own_schema) as sql:
        sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
        sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
        with Store(empty_database, asterisk_schema=SCHEMA) as store:
            store.upgrade()
            assert store.check() == ()
        assert sql.execute(
            "SELECT tgname::text, tgdeferrable FROM pg_trigger WHERE tgname LIKE '%auth%' "
            "AND tgrelid IN ('ps_endpoints'::regclass, 'ps_auths'::regclass) ORDER BY tgname"
        ).fetchall() == [
            ("auth_is_needed", False),
            ("auth_keeps_id", False),
            ("endpoint_keeps_auth", False),
            ("endpoint_needs_auth", False),
        ]
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="still needed by endpoint 7001"):
            sql.execute("DELETE FROM ps_auths")
        with pytest.raises(psycopg.errors.CheckViolation, match="has no auth"):
            sql.execute("INSERT INTO ps_endpoints (id) VALUES ('7002')")
