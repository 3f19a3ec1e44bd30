"""Views are made where they are missing, mended where they are not kept, and no node reads less meanwhile."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.store import Store
from tests.integration.conftest import address
from tests.integration.people import rows
from tests.integration.views.looking import (
    OURS,
    Sql,
    assert_nothing_is_lost,
    columns,
    lost,
    upgrade,
    warned,
    write,
)

FUNCTIONS = """
    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'provisioner'::regnamespace
    AND proname IN ('view_of', 'shown', 'hidden', 'filled', 'overlooked', 'show', 'show_filled', 'narrow',
                    'show_at_commit', 'hide_views')
"""


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
