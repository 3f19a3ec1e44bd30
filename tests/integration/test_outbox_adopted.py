"""Tables that were here before us: watched when asked, whatever their columns are and become."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import StoreError
from provisioner.plan import NodeOrder, diff
from provisioner.realtime import Rows
from provisioner.store import Finding, Store
from tests.integration.conftest import address
from tests.integration.office import Office
from tests.integration.people import create, plan, rows, user

Sql = psycopg.Connection[Any]

KINDS = frozenset({"endpoint", "auth", "aor"})
NEW = NodeOrder("7001", KINDS, None, frozenset({"state"}))
UNWATCHED = Finding(
    "what others change in ps_endpoints, ps_auths and ps_aors is not noted for the nodes",
    "schema public",
    "provisioner db upgrade --triggers",
)
TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger
    WHERE tgname LIKE 'note%' ORDER BY 1, 2
"""


@pytest.fixture
def theirs(adopted: URL) -> Iterator[Store]:
    """Adopted tables, with a node that was told everything."""
    with Store(adopted) as store:
        store.upgrade()
        anew(store)
        yield store


@pytest.fixture
def dba(adopted: URL) -> Iterator[Sql]:
    with psycopg.connect(address(adopted), autocommit=True) as connection:
        yield connection


def anew(store: Store) -> None:
    store.know(["pbx1"])
    store.told(store.due("pbx1"))


def told(store: Store) -> tuple[NodeOrder, ...]:
    """What is due at the node; then it is told."""
    due = store.due("pbx1")
    store.told(due)
    return due.orders


def write(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", "7001"))
        tx.write(plan(rows("7001")))


def test_without_triggers_our_own_changes_are_noted_and_no_others(theirs: Store, dba: Sql) -> None:
    assert theirs.watched() is False
    assert UNWATCHED not in theirs.check(), "it is a choice"
    dba.execute("UPDATE ps_endpoints SET context = 'x'")
    assert told(theirs) == ()
    dba.execute("LISTEN provisioner")
    write(theirs)
    due = theirs.due("pbx1")
    assert (due.orders, due.changes) == ((NEW,), 3)
    assert len(list(dba.notifies(timeout=30, stop_after=1))) == 1
    theirs.told(due)
    with theirs.transaction(actor="tester", command="x") as tx:
        tx.write(diff(Rows(), tx.rows(["7001"])))
    assert told(theirs) == (NodeOrder("7001", KINDS, 0),)


def test_without_triggers_and_without_nodes_nothing_is_noted(theirs: Store, dba: Sql) -> None:
    theirs.forget(["pbx1"])
    write(theirs)
    assert dba.execute("SELECT count(*) FROM provisioner.outbox").fetchone() == (0,)


def test_with_triggers_everybody_s_changes_are_noted_and_ours_only_once(theirs: Store, dba: Sql) -> None:
    theirs.upgrade(triggers=True)
    assert theirs.watched()
    write(theirs)
    due = theirs.due("pbx1")
    assert (due.orders, due.changes) == ((NEW,), 3)
    theirs.told(due)
    dba.execute("UPDATE ps_endpoints SET context = 'x'")
    dba.execute("UPDATE ps_auths SET password = 'another-not-real' WHERE id = 'trunk'")
    assert told(theirs) == (
        NodeOrder("7001", frozenset({"endpoint"})),
        NodeOrder("open_one", frozenset({"endpoint"})),
        NodeOrder("trunk", frozenset({"endpoint", "auth"})),
    )


def test_asking_for_triggers_twice_or_again_later_is_the_same(theirs: Store, dba: Sql) -> None:
    theirs.upgrade(triggers=True)
    first = dba.execute(TRIGGERS).fetchall()
    theirs.upgrade(triggers=True)
    theirs.upgrade()
    theirs.upgrade(asterisk_tables=True)
    assert dba.execute(TRIGGERS).fetchall() == first
    assert len(first) == 12
    dba.execute("SELECT provisioner.unwatch('public')")
    assert (theirs.watched(), dba.execute(TRIGGERS).fetchall()) == (False, [])
    theirs.upgrade(asterisk_tables=True)
    assert theirs.watched() is False, "columns are one choice, triggers another"


CHANGES = (
    "INSERT INTO ps_auths (id, username) VALUES ('7001', 'a'), ('7002', 'b')",
    "INSERT INTO ps_aors (id) VALUES ('7001'), ('7002')",
    "INSERT INTO ps_endpoints (id, context) VALUES ('7001', 'a'), ('7002', 'b')",
    "UPDATE ps_auths SET username = 'c' WHERE id = '7001'",
    "UPDATE ps_aors SET contact = 'c' WHERE id = '7001'",
    "UPDATE ps_endpoints SET context = 'c' WHERE id = '7001'",
    "UPDATE ps_endpoints SET id = '7003' WHERE id = '7002'",
    "DELETE FROM ps_endpoints WHERE id LIKE '70%'",
    "DELETE FROM ps_aors WHERE id LIKE '70%'",
    "DELETE FROM ps_auths WHERE id LIKE '70%'",
    "TRUNCATE ps_endpoints, ps_aors, ps_auths",
)

ALTERATIONS = (
    "ALTER TABLE ps_auths DROP COLUMN md5_cred, DROP COLUMN password, DROP COLUMN realm",
    "ALTER TABLE ps_aors DROP COLUMN max_contacts, DROP COLUMN mailboxes, DROP COLUMN qualify_frequency",
    "ALTER TABLE ps_endpoints DROP COLUMN auth, DROP COLUMN mailboxes",
    "ALTER TABLE ps_endpoints DROP COLUMN aors",
    "ALTER TABLE ps_endpoints RENAME COLUMN auth TO authentication",
    # Types without an equality of their own.
    "ALTER TABLE ps_endpoints ADD COLUMN more json DEFAULT '{}', ADD COLUMN place point DEFAULT '(1,2)'",
    "ALTER TABLE ps_auths ADD COLUMN more xml; ALTER TABLE ps_aors ADD COLUMN more json[] DEFAULT '{}'",
    "ALTER TABLE ps_aors ALTER COLUMN max_contacts TYPE text; UPDATE ps_aors SET max_contacts = 'many'",
    "ALTER TABLE ps_aors ALTER COLUMN max_contacts TYPE numeric; UPDATE ps_aors SET max_contacts = 1e30",
    "ALTER TABLE ps_aors ALTER COLUMN max_contacts TYPE bigint; UPDATE ps_aors SET max_contacts = 1 << 30",
    "ALTER TABLE ps_endpoints ADD COLUMN made text GENERATED ALWAYS AS (id || context) STORED",
    "ALTER TABLE ps_endpoints ALTER COLUMN auth TYPE text, ALTER COLUMN aors TYPE char(100)",
    "DROP INDEX ps_endpoints_auth, ps_endpoints_auth_list",
)


@pytest.mark.parametrize("alteration", ["SELECT 1", *ALTERATIONS])
def test_whatever_becomes_of_the_columns_nobody_s_change_fails(
    theirs: Store, dba: Sql, alteration: str
) -> None:
    theirs.upgrade(triggers=True)
    dba.execute("INSERT INTO ps_aors (id, max_contacts) VALUES ('many', 3)")
    dba.execute(alteration.encode())
    told(theirs)
    for change in CHANGES:
        dba.execute(change.encode())
        assert told(theirs), change


def test_whatever_becomes_of_the_other_tables_nobody_s_change_fails(theirs: Store, dba: Sql) -> None:
    theirs.upgrade(triggers=True)
    dba.execute("ALTER TABLE ps_endpoints RENAME TO endpoints")
    dba.execute("CREATE VIEW public.ps_endpoints AS TABLE endpoints")
    dba.execute("UPDATE ps_auths SET password = 'another-not-real'")
    assert told(theirs) == (NodeOrder("trunk", frozenset({"auth"})),)
    dba.execute("DROP VIEW ps_endpoints; DROP TABLE endpoints")
    dba.execute("DELETE FROM ps_auths")
    assert told(theirs) == (NodeOrder("trunk", frozenset({"auth"})),)


def test_rows_without_an_id_and_with_the_same_one_do_no_harm(empty_database: URL) -> None:
    with psycopg.connect(address(empty_database), autocommit=True) as dba:
        for table in ("ps_endpoints", "ps_auths", "ps_aors"):
            dba.execute(f"CREATE TABLE {table} (id integer, auth text, aors text, password text)".encode())
        with Store(empty_database) as store:
            store.upgrade(triggers=True)
            anew(store)
            for table in ("ps_auths", "ps_aors", "ps_endpoints"):
                dba.execute(f"INSERT INTO {table} (id, auth) VALUES (1, 'a'), (1, 'a'), (NULL, '1')".encode())
                dba.execute(f"UPDATE {table} SET auth = 'x', password = 'x'".encode())
                dba.execute(f"UPDATE {table} SET id = 2 WHERE id IS NULL".encode())
                assert [one.endpoint_id for one in told(store)] == ["1", "2"]
                dba.execute(f"UPDATE {table} SET id = NULL; DELETE FROM {table}".encode())
                assert [one.endpoint_id for one in told(store)] == ["1", "2"]


def test_a_table_that_is_partitioned_is_watched(empty_database: URL) -> None:
    with psycopg.connect(address(empty_database), autocommit=True) as dba:
        dba.execute(
            "CREATE TABLE ps_aors (id varchar(40) PRIMARY KEY, max_contacts integer) PARTITION BY HASH (id);"
            "CREATE TABLE half PARTITION OF ps_aors FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
            "CREATE TABLE rest PARTITION OF ps_aors FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        )
        with Store(empty_database) as store:
            store.upgrade(triggers=True)
            anew(store)
            dba.execute("INSERT INTO ps_aors SELECT i::text, 5 FROM generate_series(1, 9) AS i")
            assert [one.endpoint_id for one in told(store)] == list("123456789")
            dba.execute("UPDATE ps_aors SET id = id || '0', max_contacts = 2 WHERE id < '3'")
            assert [(one.endpoint_id, one.keep_contacts) for one in told(store)] == [
                ("1", 0),
                ("10", None),
                ("2", 0),
                ("20", None),
            ]
            dba.execute("TRUNCATE ps_aors")
            assert len(told(store)) == 9


def test_a_view_cannot_be_watched_and_is_named(theirs: Store, dba: Sql) -> None:
    dba.execute("ALTER TABLE ps_aors RENAME TO aors; CREATE VIEW public.ps_aors AS TABLE aors")
    with pytest.raises(StoreError, match=r"public\.ps_aors is a view.*without --triggers"):
        theirs.upgrade(triggers=True)
    assert (theirs.watched(), dba.execute(TRIGGERS).fetchall()) == (False, [])


def test_tables_of_somebody_who_does_not_allow_it_are_not_watched(theirs: Store, dba: Sql) -> None:
    dba.execute("CREATE ROLE little LOGIN PASSWORD 'not-real-1'; GRANT ALL ON SCHEMA provisioner TO little")
    dba.execute("GRANT ALL ON ALL TABLES IN SCHEMA provisioner TO little; GRANT SELECT ON ps_aors TO little")
    dba.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA provisioner TO little")
    dba.execute(f"GRANT CREATE ON DATABASE {theirs.url.database} TO little".encode())
    try:
        little = theirs.url.set(username="little", password="not-real-1")
        with Store(little) as store, pytest.raises(StoreError, match="does not allow this"):
            store.upgrade(triggers=True)
        assert theirs.watched() is False
    finally:
        dba.execute("DROP OWNED BY little; DROP ROLE little")


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE ps_aors DISABLE TRIGGER note_updated",
        "ALTER TABLE ps_auths DISABLE TRIGGER ALL",
        "DROP TRIGGER note_truncated ON ps_endpoints",
        "SELECT provisioner.unwatch('public')",
        "ALTER TABLE ps_aors ENABLE REPLICA TRIGGER note_updated",
    ],
)
def test_triggers_that_our_own_tables_lack_are_found_and_mended(store: Store, sql: Sql, harm: str) -> None:
    anew(store)
    assert store.watched()
    sql.execute(harm.encode())
    assert store.watched() is False
    assert UNWATCHED in store.check()
    write(store)
    assert told(store) == (NEW,), "then we note our own"
    store.upgrade(triggers=True)
    assert store.watched()
    # A guard that was disabled besides has a finding of its own.
    assert UNWATCHED not in store.check()


def test_a_table_of_ours_that_was_made_again_is_watched(store: Store, sql: Sql) -> None:
    sql.execute("DROP TABLE ps_aors CASCADE")
    assert UNWATCHED in store.check()
    store.upgrade(asterisk_tables=True)
    assert (store.watched(), store.check()) == (True, ())


def test_a_schema_of_any_name_is_watched(empty_database: URL) -> None:
    schema = 'My-"Asterisk".1'
    with Store(empty_database, asterisk_schema=schema) as store:
        store.upgrade(triggers=True)
        anew(store)
        write(store)
        assert store.watched()
        with store.transaction(actor="tester", command="x") as tx:
            tx.write(diff(rows("7001", context="x"), tx.rows(["7001"])))
        assert told(store) == (NodeOrder("7001", KINDS, None, frozenset({"state"})),)
        quoted = '"' + schema.replace('"', '""') + '"'
        with psycopg.connect(address(empty_database), autocommit=True) as sql:
            sql.execute(f"UPDATE {quoted}.ps_auths SET password = 'x'".encode())
            assert told(store) == (NodeOrder("7001", frozenset({"auth"}), 0),)
            sql.execute(f"TRUNCATE {quoted}.ps_aors".encode())
            assert told(store) == (NodeOrder("7001", frozenset({"aor"}), 0),)


def test_the_command_says_whose_changes_the_nodes_are_told(office: Office) -> None:
    office.query("SELECT provisioner.unwatch('public')")
    office.query("DELETE FROM provisioner.made_tables RETURNING 1")
    before = office.run("db", "upgrade")
    assert before.exit_code == 0, before.output
    assert "nodes are told only what provisioner changes in ps_endpoints" in before.output
    after = office.run("db", "upgrade", "--triggers")
    assert "nodes are told whatever anybody changes in ps_endpoints" in after.output
