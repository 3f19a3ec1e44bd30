"""Nodes read the columns that are in use, whoever fills them, and lose none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql as syntax
from psycopg.rows import dict_row
from sqlalchemy import URL

from provisioner.realtime import ENDPOINTS, Rows
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.secret import Secret
from provisioner.store import Finding, Store
from tests.integration.conftest import address
from tests.integration.people import create, plan, rows, user

Sql = psycopg.Connection[Any]

OURS = {
    "ps_endpoints": ["id", "aors", "auth", "context", "mailboxes"],
    "ps_auths": ["id", "auth_type", "password", "username"],
    "ps_aors": ["id", "max_contacts", "remove_existing", "contact", "mailboxes", "qualify_frequency"],
}
"""What the rows of these tests fill, and what Asterisk looks for."""
TEXTS = [
    (table, column.name)
    for table in OURS
    for column in ASTERISK_COLUMNS[table][1:]
    if column.sql_type.startswith("character varying") and column.name not in ("auth", "aors")
]

ROLE = "nodes"
SECRET = Secret("its-own")
HIDDEN = Finding(
    "it does not find provisioner_nodes before its tables",
    f"role {ROLE}",
    "provisioner db upgrade, which sets its rights anew",
)

FUNCTIONS = """
    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'provisioner'::regnamespace
    AND proname IN ('view_of', 'shown', 'hidden', 'filled', 'overlooked', 'show', 'show_filled', 'narrow',
                    'show_at_commit', 'hide_views')
"""


def lost(table: str = "ps_endpoints") -> Finding:
    return Finding(
        "the view of the columns in use is missing or not kept: nodes read all, or miss what others fill",
        f"provisioner_nodes.{table}",
        "provisioner db upgrade",
    )


@pytest.fixture
def asterisk(database: URL, store: Store) -> Iterator[Sql]:
    """A connection of Asterisk's role, which prepares nothing, as Asterisk does not either."""
    store.grant_asterisk(ROLE, SECRET)
    theirs = database.set(username=ROLE, password=SECRET.reveal())
    with psycopg.connect(
        address(theirs), autocommit=True, row_factory=dict_row, prepare_threshold=None
    ) as connection:
        connection.execute("SET statement_timeout = '10s'")
        yield connection


@pytest.fixture
def filled(store: Store) -> Store:
    write(store, rows("7001", "7002"))
    return store


def upgrade(store: Store) -> None:
    """As ``provisioner db upgrade`` does."""
    store.upgrade()
    store.grant_asterisk(ROLE, SECRET)


def write(store: Store, wanted: Rows) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", *sorted(wanted[ENDPOINTS])))
        tx.write(plan(wanted))


@contextmanager
def warned(sql: Sql) -> Iterator[list[str]]:
    """What the server warns of inside the block."""
    said: list[str] = []

    def handler(notice: psycopg.errors.Diagnostic) -> None:
        said.append(notice.message_primary or "")

    sql.add_notice_handler(handler)
    yield said
    sql.remove_notice_handler(handler)


def columns(asterisk: Sql, table: str = "ps_endpoints") -> list[str]:
    return [one.name for one in asterisk.execute(f"SELECT * FROM {table}".encode()).description or ()]


def what_counts(asterisk: Sql, table: str) -> list[dict[str, Any]]:
    """Rows as Asterisk understands them: what is NULL is not there."""
    found = asterisk.execute(f"SELECT * FROM {table} ORDER BY id".encode()).fetchall()
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def assert_nothing_is_lost(asterisk: Sql) -> None:
    for table in OURS:
        assert what_counts(asterisk, table) == what_counts(asterisk, f"public.{table}") != []


def test_a_new_database_shows_what_asterisk_looks_for_and_then_what_we_write(
    asterisk: Sql, store: Store
) -> None:
    assert {table: sorted(columns(asterisk, table)) for table in OURS} == {
        "ps_endpoints": ["id", "mailboxes"],
        "ps_auths": ["id"],
        "ps_aors": ["contact", "id", "mailboxes", "qualify_frequency"],
    }
    write(store, rows("7001", "7002"))
    assert {table: sorted(columns(asterisk, table)) for table in OURS} == {
        table: sorted(names) for table, names in OURS.items()
    }
    assert_nothing_is_lost(asterisk)
    assert store.check() == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ps_endpoints SET accountcode = '7001@default' WHERE id = '7001'",
        "UPDATE ps_endpoints SET \"100rel\" = 'no', accountcode = 'x', tone_zone = NULL",
        "INSERT INTO ps_endpoints (id, auth, accountcode) VALUES ('x', '7001', 'y')",
        "INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001') "
        "ON CONFLICT (id) DO UPDATE SET accountcode = 'z'",
    ],
)
def test_a_column_is_shown_when_the_transaction_commits_that_fills_it(
    filled: Store, sql: Sql, asterisk: Sql, statement: str
) -> None:
    assert "accountcode" not in columns(asterisk)
    with sql.transaction():
        sql.execute(statement.encode())
        assert "accountcode" not in columns(asterisk)
    assert "accountcode" in columns(asterisk)
    assert "tone_zone" not in columns(asterisk)
    assert_nothing_is_lost(asterisk)
    assert filled.check() == ()


def test_a_column_that_copy_fills_is_shown(filled: Store, sql: Sql, asterisk: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) SELECT i::text FROM generate_series(1, 500) AS i")
    with sql.cursor().copy("COPY ps_endpoints (id, auth, tone_zone) FROM STDIN") as copy:
        for number in range(1, 501):
            copy.write_row([str(number), str(number), "fr" if number == 333 else None])
    assert columns(asterisk)[-1] == "tone_zone"
    assert_nothing_is_lost(asterisk)


def test_a_table_whose_columns_are_all_shown_is_written_as_before(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    names = [column.name for column in ASTERISK_COLUMNS["ps_auths"][1:]]
    dropped = ", ".join(f"DROP COLUMN {name}" for name in names if name not in columns(asterisk, "ps_auths"))
    sql.execute(f"ALTER TABLE ps_auths {dropped}".encode())
    assert sql.execute("SELECT provisioner.hidden('ps_auths')").fetchone() == ([],)
    sql.execute("UPDATE ps_auths SET username = 'x'")
    assert_nothing_is_lost(asterisk)


def test_what_is_rolled_back_is_not_shown(filled: Store, sql: Sql, asterisk: Sql) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
    with sql.transaction():
        with sql.transaction(force_rollback=True):
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x', tone_zone = 'fr'")
        sql.execute("UPDATE ps_endpoints SET tone_zone = 'de'")
    assert "accountcode" not in columns(asterisk)
    assert_nothing_is_lost(asterisk)


def test_a_transaction_of_many_statements_notes_a_column_once(filled: Store, sql: Sql, asterisk: Sql) -> None:
    with sql.transaction():
        for _ in range(3):
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        sql.execute("UPDATE ps_endpoints SET accountcode = 'y', tone_zone = 'fr'")
    noted = sql.execute("SELECT columns FROM provisioner.filled_columns ORDER BY filled_at").fetchall()
    assert noted[-2:] == [(["accountcode"],), (["tone_zone"],)]
    assert noted.count((["accountcode"],)) == 1
    assert_nothing_is_lost(asterisk)


def test_a_transaction_that_fills_a_column_and_stays_open_keeps_nobody_waiting(
    filled: Store, database: URL, sql: Sql, asterisk: Sql
) -> None:
    with psycopg.connect(address(database)) as slow:
        slow.execute("UPDATE ps_endpoints SET accountcode = 'x' WHERE id = '7001'")
        sql.execute("SET statement_timeout = '10s'")
        sql.execute("UPDATE ps_endpoints SET accountcode = 'y', tone_zone = 'fr' WHERE id = '7002'")
        assert {"accountcode", "tone_zone"} <= set(columns(asterisk))
        assert_nothing_is_lost(asterisk)
    assert_nothing_is_lost(asterisk)


def test_a_view_that_somebody_holds_is_left_and_nodes_read_the_tables(
    filled: Store, database: URL, sql: Sql, asterisk: Sql
) -> None:
    with psycopg.connect(address(database)) as holder:
        holder.execute("SELECT * FROM provisioner_nodes.ps_endpoints")
        with warned(sql) as warnings:
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        assert warnings == [
            "nodes read every column from now on, because the view of public.ps_endpoints cannot be widened: "
            "canceling statement due to lock timeout"
        ]
        assert_nothing_is_lost(asterisk)
        assert len(columns(asterisk)) > 100
        assert set(filled.check(ROLE)) == {lost(), HIDDEN}
    upgrade(filled)
    assert filled.check(ROLE) == ()
    assert set(columns(asterisk)) == {"accountcode", *OURS["ps_endpoints"]}


def test_a_view_that_is_dropped_before_the_commit_is_not_made_of_the_new_columns_alone(
    filled: Store, database: URL, sql: Sql, asterisk: Sql
) -> None:
    with psycopg.connect(address(database)) as slow:
        slow.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        sql.execute("DROP VIEW provisioner_nodes.ps_endpoints")
    assert_nothing_is_lost(asterisk)
    assert len(columns(asterisk)) > 100


@pytest.mark.parametrize("harm", ["DROP COLUMN accountcode", "RENAME COLUMN accountcode TO its_account"])
def test_a_column_that_is_gone_before_the_commit_is_no_error(
    filled: Store, sql: Sql, asterisk: Sql, harm: str
) -> None:
    with warned(sql) as warnings, sql.transaction():
        sql.execute("UPDATE ps_endpoints SET accountcode = 'x', tone_zone = 'fr'")
        sql.execute(f"ALTER TABLE ps_endpoints {harm}".encode())
    assert warnings == []
    assert "tone_zone" in columns(asterisk)


def test_a_view_that_is_made_anew_is_read_when_asterisk_has_the_right_to_it(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    sql.execute("DROP VIEW provisioner_nodes.ps_aors")
    filled.upgrade()
    assert_nothing_is_lost(asterisk)
    assert len(columns(asterisk)) > 100
    filled.grant_asterisk(ROLE, SECRET)
    assert_nothing_is_lost(asterisk)
    assert set(columns(asterisk)) == set(OURS["ps_endpoints"])


def test_a_statement_that_fills_nothing_new_leaves_the_view_alone(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    before = columns(asterisk)
    with sql.transaction():
        sql.execute("UPDATE ps_endpoints SET context = 'x', accountcode = NULL")
        sql.execute("DELETE FROM ps_endpoints WHERE id = '7002'")
        held = sql.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' "
            "AND relation = 'provisioner_nodes.ps_endpoints'::regclass"
        )
        assert held.fetchone() == (0,)
    assert columns(asterisk) == before


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_two_who_fill_different_columns_at_once_lose_nothing(
    filled: Store, database: URL, sql: Sql, asterisk: Sql, isolation: str
) -> None:
    with psycopg.connect(address(database)) as first, psycopg.connect(address(database)) as second:
        for one in (first, second):
            one.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            one.execute("SELECT count(*) FROM ps_auths")
        first.execute("UPDATE ps_endpoints SET accountcode = 'x' WHERE id = '7001'")
        second.execute("UPDATE ps_endpoints SET tone_zone = 'fr' WHERE id = '7002'")
        first.commit()
        second.commit()
    assert_nothing_is_lost(asterisk)
    # One that still sees the view of before cannot widen it.
    assert (len(columns(asterisk)) < 100) == (isolation == "READ COMMITTED")


@given(changes=st.lists(st.tuples(st.sampled_from(TEXTS), st.none() | st.just("1")), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_nodes_read_every_value_that_is_there(
    filled: Store, sql: Sql, asterisk: Sql, changes: list[tuple[tuple[str, str], str | None]]
) -> None:
    for (table, column), value in changes:
        names = (syntax.Identifier(table), syntax.Identifier(column))
        sql.execute(syntax.SQL("UPDATE {} SET {} = %s WHERE id = '7001'").format(*names), [value])
        assert_nothing_is_lost(asterisk)


def test_a_view_that_was_dropped_is_missed_by_no_node_and_made_anew(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    sql.execute("UPDATE ps_endpoints SET accountcode = 'x', tone_zone = 'fr'")
    sql.execute("DROP VIEW provisioner_nodes.ps_endpoints")
    assert len(columns(asterisk)) > 100
    assert filled.check() == (lost(),)
    sql.execute("UPDATE ps_endpoints SET tone_zone = NULL, call_group = '5'")
    upgrade(filled)
    assert filled.check() == ()
    assert set(columns(asterisk)) == {"accountcode", "call_group", *OURS["ps_endpoints"]}
    assert_nothing_is_lost(asterisk)


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE ps_endpoints DISABLE TRIGGER show_updated",
        "DROP TRIGGER show_inserted ON ps_endpoints",
        "SET session_replication_role = replica; UPDATE ps_endpoints SET callerid = 'x'; "
        "RESET session_replication_role",
        "ALTER TABLE ps_endpoints ADD COLUMN more text DEFAULT 'x'",
        "DROP VIEW provisioner_nodes.ps_endpoints; "
        "CREATE VIEW provisioner_nodes.ps_endpoints AS SELECT id FROM ps_endpoints",
        "ALTER TABLE ps_endpoints RENAME TO before; "
        "CREATE TABLE public.ps_endpoints (LIKE before INCLUDING ALL); "
        "INSERT INTO public.ps_endpoints SELECT * FROM before",
    ],
)
def test_a_view_that_is_not_kept_is_found_and_mended(
    filled: Store, sql: Sql, asterisk: Sql, harm: str
) -> None:
    sql.execute(harm.encode())
    assert lost() in filled.check()
    upgrade(filled)
    assert lost() not in filled.check()
    sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
    assert_nothing_is_lost(asterisk)


def test_where_the_view_cannot_be_widened_the_statement_stands_and_nodes_read_the_table(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    with warned(sql) as warnings:
        sql.execute("ALTER TABLE ps_endpoints RENAME COLUMN context TO its_context")
        assert warnings == []
        sql.execute("UPDATE ps_endpoints SET its_context = 'x'")
    (warning,) = warnings
    assert warning.startswith("nodes read every column from now on, because the view of public.ps_endpoints ")
    assert_nothing_is_lost(asterisk)
    assert len(columns(asterisk)) > 100


def test_a_column_is_altered_freely_until_it_is_filled(filled: Store, sql: Sql) -> None:
    sql.execute("ALTER TABLE ps_endpoints ALTER COLUMN accountcode TYPE text, DROP COLUMN tone_zone")
    sql.execute("ALTER TABLE ps_endpoints ADD COLUMN more json DEFAULT '{}'")
    sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="used by a view"):
        sql.execute("ALTER TABLE ps_endpoints ALTER COLUMN accountcode TYPE varchar(99)")


def test_tables_that_others_made_get_no_views_unless_asked(adopted: URL) -> None:
    with Store(adopted) as store, psycopg.connect(address(adopted), autocommit=True) as dba:
        store.upgrade(triggers=True, asterisk_tables=True)
        assert dba.execute("SELECT to_regclass('provisioner_nodes.ps_endpoints')").fetchone() == (None,)
        dba.execute("SET search_path = provisioner_nodes, public")
        dba.execute("ALTER TABLE ps_endpoints ALTER COLUMN context TYPE text")
        assert dba.execute("SELECT count(*) FROM ps_endpoints").fetchone() == (2,)
        assert lost() not in store.check()
        dba.execute("ALTER TABLE ps_endpoints ALTER COLUMN context TYPE varchar(80)")
        store.upgrade(views=True)
        shown = dba.execute("SELECT * FROM ps_endpoints")
        assert shown.rowcount == 2
        assert len(shown.description or ()) < 10
        dba.execute("DROP VIEW provisioner_nodes.ps_endpoints")
        assert lost() in store.check()
        store.upgrade()
        assert lost() not in store.check()


def test_tables_in_another_schema_are_shown_too(empty_database: URL) -> None:
    with Store(empty_database, asterisk_schema='My-"Asterisk".1') as store:
        store.upgrade()
        write(store, rows("7001", accountcode="x"))
        with psycopg.connect(address(empty_database)) as dba:
            shown = dba.execute("SELECT id, accountcode FROM provisioner_nodes.ps_endpoints")
            assert shown.fetchall() == [("7001", "x")]
        assert store.check() == ()


def test_tables_of_before_are_shown_after_an_upgrade_with_all_that_was_filled(database: URL) -> None:
    with Store(database) as store, psycopg.connect(address(database), autocommit=True) as dba:
        dba.execute("DROP SCHEMA provisioner_nodes CASCADE")
        dba.execute("DROP TABLE provisioner.filled_columns")
        for function in dba.execute(FUNCTIONS).fetchall():
            dba.execute(f"DROP FUNCTION {function[0]} CASCADE".encode())
        dba.execute("UPDATE provisioner.alembic_version SET version_num = '0007'")
        dba.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
        dba.execute("INSERT INTO ps_endpoints (id, auth, accountcode) VALUES ('7001', '7001', 'x')")
        store.upgrade()
        shown = dba.execute("SELECT id, accountcode FROM provisioner_nodes.ps_endpoints")
        assert shown.fetchall() == [("7001", "x")]
        assert store.check() == ()
