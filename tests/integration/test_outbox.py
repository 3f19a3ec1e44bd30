"""What the triggers note: every change of endpoints, auths and AORs, whoever makes it, and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.plan import NodeOrder
from provisioner.store import Store
from tests.integration.conftest import address, databases

Sql = psycopg.Connection[Any]
Noted = set[tuple[str | None, str, int | None, frozenset[str]]]

NOTHING = frozenset[str]()
OLD, NEW = "0" * 32, "1" * 32
PHONES = """
    TRUNCATE ps_endpoints, ps_auths, ps_aors;
    INSERT INTO ps_auths (id, username, realm, password_digest)
        SELECT i::text, i::text, 'asterisk', 'MD5:' || md5(i::text) FROM generate_series(7001, 7003) AS i;
    INSERT INTO ps_aors (id, max_contacts) SELECT i::text, 3 FROM generate_series(7001, 7003) AS i;
    INSERT INTO ps_endpoints (id, auth, aors)
        SELECT i::text, i::text, i::text FROM generate_series(7001, 7003) AS i;
    TRUNCATE provisioner.outbox
"""


@pytest.fixture(scope="module")
def url(server: URL) -> Iterator[URL]:
    """One database for all tests here: each only changes a few rows."""
    with databases(server) as make:
        yield make("migrated")


@pytest.fixture
def store(url: URL) -> Iterator[Store]:
    with Store(url) as opened:
        yield opened


@pytest.fixture
def tables(url: URL, store: Store) -> Iterator[Sql]:
    """A DBA's connection to a database with three phones, nothing of which is still to be told."""
    store.know(["pbx1"])
    with psycopg.connect(address(url), autocommit=True) as connection:
        connection.execute(PHONES.encode())
        yield connection


@pytest.fixture
def ears(tables: Sql, url: URL) -> Iterator[Sql]:
    """Somebody who hears what the triggers notify."""
    with psycopg.connect(address(url), autocommit=True) as connection:
        connection.execute("LISTEN provisioner")
        yield connection


def noted(sql: Sql) -> Noted:
    """What is noted by now, as type, id, kept contacts and what to renew; then it is forgotten."""
    rows = sql.execute("SELECT type, object_id, keep_contacts, renew FROM provisioner.outbox").fetchall()
    sql.execute("TRUNCATE provisioner.outbox")
    found = {(kind, id, keep, frozenset(renew)) for kind, id, keep, renew in rows}
    assert len(found) == len(rows), "one row an object"
    return found


def endpoint(id: str, keep: int | None = None, renew: frozenset[str] = NOTHING) -> Noted:
    return {("endpoint", id, keep, renew)}


def aor(id: str, keep: int | None = None, renew: frozenset[str] = NOTHING) -> Noted:
    return {("aor", id, keep, renew)}


def auth(id: str) -> Noted:
    return {("auth", id, None, NOTHING)}


def cut(*aors: str, keep: int = 0) -> Noted:
    return {(None, id, keep, NOTHING) for id in aors}


STATE = frozenset({"state"})


def test_each_row_that_is_inserted_is_noted(tables: Sql) -> None:
    tables.execute("INSERT INTO ps_auths (id) VALUES ('a'), ('b')")
    assert noted(tables) == auth("a") | auth("b")
    tables.execute("INSERT INTO ps_aors (id) VALUES ('a'), ('b')")
    assert noted(tables) == aor("a", renew=STATE) | aor("b", renew=STATE)
    tables.execute("INSERT INTO ps_endpoints (id, auth) SELECT id, id FROM ps_auths WHERE id IN ('a', 'b')")
    assert noted(tables) == endpoint("a") | endpoint("b")


def test_rows_that_are_copied_in_are_noted(tables: Sql) -> None:
    with tables.cursor().copy("COPY ps_aors (id, max_contacts) FROM STDIN") as copy:
        for id in range(2000):
            copy.write_row((f"x{id}", 1))
    assert noted(tables) == {("aor", f"x{id}", None, STATE) for id in range(2000)}


def test_only_rows_that_an_update_changes_are_noted(tables: Sql) -> None:
    tables.execute("UPDATE ps_endpoints SET callerid = 'x' WHERE id IN ('7001', '7002')")
    assert noted(tables) == endpoint("7001") | endpoint("7002")
    tables.execute("UPDATE ps_endpoints SET callerid = 'x'")
    assert noted(tables) == endpoint("7003")
    tables.execute("UPDATE ps_endpoints SET callerid = callerid, context = NULL")
    tables.execute("UPDATE ps_auths SET realm = 'asterisk'; UPDATE ps_aors SET max_contacts = 3")
    tables.execute("UPDATE ps_aors SET max_contacts = 1 WHERE id = 'nobody'")
    assert noted(tables) == set()


def test_rows_that_are_deleted_cut_their_phones_off(tables: Sql) -> None:
    tables.execute("DELETE FROM ps_endpoints WHERE id = '7001'")
    assert noted(tables) == endpoint("7001", 0)
    tables.execute("DELETE FROM ps_auths WHERE id = '7001'")
    assert noted(tables) == auth("7001"), "nobody came in by it any more"
    tables.execute("DELETE FROM ps_aors WHERE id = '7001'")
    assert noted(tables) == aor("7001", 0)


def test_a_truncate_notes_every_row_there_was(tables: Sql) -> None:
    tables.execute("TRUNCATE ps_endpoints, ps_auths, ps_aors")
    numbers = ("7001", "7002", "7003")
    wanted = set[Any]().union(*[endpoint(id, 0) | auth(id) | aor(id, 0) for id in numbers])
    # Which table is emptied first is up to PostgreSQL.
    assert {row for row in noted(tables) if row[0] is not None} == wanted


def test_a_changed_id_is_one_that_goes_and_one_that_comes(tables: Sql) -> None:
    tables.execute("UPDATE ps_aors SET id = '7009' WHERE id = '7001'")
    assert noted(tables) == aor("7001", 0) | aor("7009", renew=STATE)
    tables.execute("UPDATE ps_endpoints SET id = '7009' WHERE id = '7001'")
    assert noted(tables) == endpoint("7001", 0) | endpoint("7009")


def test_an_upsert_notes_what_it_inserts_and_what_it_changes(tables: Sql) -> None:
    tables.execute(
        "INSERT INTO ps_aors (id, max_contacts) VALUES ('7001', 2), ('7002', 3), ('7009', 1) "
        "ON CONFLICT (id) DO UPDATE SET max_contacts = excluded.max_contacts"
    )
    assert noted(tables) == aor("7001", 2) | aor("7009", renew=STATE)


def test_a_merge_notes_what_it_does(tables: Sql) -> None:
    tables.execute(
        "MERGE INTO ps_aors AS a USING (VALUES ('7001', 4), ('7002', 0), ('7009', 1)) AS w (id, most) "
        "ON a.id = w.id WHEN MATCHED AND w.most = 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET max_contacts = w.most "
        "WHEN NOT MATCHED THEN INSERT (id, max_contacts) VALUES (w.id, w.most)"
    )
    assert noted(tables) == aor("7001") | aor("7002", 0) | aor("7009", renew=STATE)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("max_contacts = 2", 2),
        ("max_contacts = 0", 0),
        ("max_contacts = NULL", 0),
        ("max_contacts = -1", 0),
        ("max_contacts = 4", None),
        ("contact = 'sip:x'", None),
    ],
)
def test_fewer_contacts_leave_the_newest(tables: Sql, change: str, kept: int | None) -> None:
    tables.execute(f"UPDATE ps_aors SET {change} WHERE id = '7001'".encode())
    assert noted(tables) == aor("7001", kept)


@pytest.mark.parametrize(
    "change",
    ["username = 'x'", "realm = 'x'", "realm = NULL", "password = 'x'", f"password_digest = 'MD5:{NEW}'"],
)
def test_another_secret_cuts_off_who_came_in_by_the_old_one(tables: Sql, change: str) -> None:
    tables.execute(f"UPDATE ps_auths SET {change} WHERE id = '7001'".encode())
    assert noted(tables) == auth("7001") | cut("7001")


@pytest.mark.parametrize("change", ["nonce_lifetime = 5", "auth_type = 'userpass'", "oauth_secret = 'x'"])
def test_what_of_an_auth_is_no_secret_cuts_nobody_off(tables: Sql, change: str) -> None:
    tables.execute(f"UPDATE ps_auths SET {change} WHERE id = '7001'".encode())
    assert noted(tables) == auth("7001")


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (f"md5_cred = '{OLD}'", f"md5_cred = NULL, password_digest = 'MD5:{OLD},SHA-256:{NEW}{NEW}'", True),
        (f"password_digest = 'md5:{OLD}'", f"password_digest = 'SHA-256:{NEW}{NEW},MD5:{OLD}'", True),
        (f"password_digest = 'MD5:{OLD}'", f"md5_cred = '{OLD}', password_digest = NULL", True),
        (f"md5_cred = '{OLD}'", f"md5_cred = NULL, password_digest = 'MD5:{NEW}'", False),
        (f"md5_cred = '{OLD}'", f"md5_cred = '{NEW}'", False),
        (f"md5_cred = '{OLD}'", "md5_cred = NULL, password = 'x'", False),
        ("password = 'x'", f"password = NULL, md5_cred = '{OLD}'", False),
        (f"password_digest = 'SHA-256:{OLD}{OLD}'", f"password_digest = 'SHA-256:{NEW}{NEW}'", False),
        (f"password_digest = 'MD5:{OLD}'", f"password_digest = 'MD5:{OLD},X:', realm = 'x'", False),
    ],
)
def test_the_same_secret_kept_in_another_form_cuts_nobody_off(
    tables: Sql, before: str, after: str, same: bool
) -> None:
    tables.execute("UPDATE ps_auths SET password_digest = NULL WHERE id = '7001'")
    tables.execute(f"UPDATE ps_auths SET {before} WHERE id = '7001'; TRUNCATE provisioner.outbox".encode())
    tables.execute(f"UPDATE ps_auths SET {after} WHERE id = '7001'".encode())
    assert noted(tables) == auth("7001") | (set() if same else cut("7001"))


@pytest.mark.parametrize("auths", ["shared", "other,shared", " shared , other", "shared,other"])
@pytest.mark.parametrize(
    ("aors", "lost"),
    [("one", {"one"}), (" one ,two", {"one", "two"}), ("trunk", {"trunk"}), ("", set()), (None, set())],
)
def test_an_auth_that_several_endpoints_use_cuts_off_the_aors_of_all(
    tables: Sql, auths: str, aors: str | None, lost: set[str]
) -> None:
    tables.execute("INSERT INTO ps_auths (id) VALUES ('shared'), ('other')")
    tables.execute("INSERT INTO ps_endpoints (id, auth, aors) VALUES ('trunk', %s, %s)", [auths, aors])
    tables.execute(
        "INSERT INTO ps_endpoints (id, auth, aors) VALUES ('x', 'shared', 'one'), ('y', 'other', 'z')"
    )
    noted(tables)
    tables.execute("UPDATE ps_auths SET password = 'x' WHERE id = 'shared'")
    assert noted(tables) == auth("shared") | cut("one", *lost)


def test_an_aor_that_is_called_like_an_auth_of_others_is_left_alone(tables: Sql) -> None:
    tables.execute("INSERT INTO ps_auths (id) VALUES ('a')")
    tables.execute("UPDATE ps_endpoints SET auth = 'a' WHERE id = '7001'")
    noted(tables)
    tables.execute("UPDATE ps_auths SET password = 'x' WHERE id = '7001'")
    assert noted(tables) == auth("7001")
    tables.execute("DELETE FROM ps_auths WHERE id = '7001'")
    assert noted(tables) == auth("7001")


def test_an_auth_that_an_endpoint_lacked_cuts_off_who_came_in_without(tables: Sql) -> None:
    tables.execute("ALTER TABLE ps_auths DISABLE TRIGGER auth_is_needed")
    tables.execute("DELETE FROM ps_auths WHERE id = '7001'")
    tables.execute("ALTER TABLE ps_auths ENABLE TRIGGER auth_is_needed")
    assert noted(tables) == auth("7001") | cut("7001")
    tables.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    assert noted(tables) == auth("7001") | cut("7001")


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("auth = '7002'", set()),
        ("aors = '7002'", set()),
        ("aors = NULL", set()),
        ("auth = '7002', aors = 'new'", set()),
    ],
)
def test_another_auth_or_aor_of_an_endpoint_cuts_its_phones_off(
    tables: Sql, change: str, lost: set[str]
) -> None:
    tables.execute(f"UPDATE ps_endpoints SET {change} WHERE id = '7001'".encode())
    assert noted(tables) == endpoint("7001", 0)
    tables.execute("UPDATE ps_endpoints SET aors = 'a, 7001 ,,b' WHERE id = '7001'")
    noted(tables)
    tables.execute("DELETE FROM ps_endpoints WHERE id = '7001'")
    assert noted(tables) == endpoint("7001", 0) | cut("a", "b")


@pytest.mark.parametrize(
    "column", ["qualify_frequency", "qualify_timeout", "authenticate_qualify", "qualify_2xx_only"]
)
def test_another_way_to_qualify_is_renewed(tables: Sql, column: str) -> None:
    tables.execute(f"UPDATE ps_aors SET {column} = '1' WHERE id = '7001'".encode())
    assert noted(tables) == aor("7001", renew=frozenset({"qualify"}))


def test_other_mailboxes_are_renewed(tables: Sql) -> None:
    mwi = frozenset({"mwi"})
    for column in ("mailboxes", "voicemail_extension"):
        tables.execute(f"UPDATE ps_aors SET {column} = '1' WHERE id = '7001'".encode())
        assert noted(tables) == aor("7001", renew=mwi), column
    for column in (
        "mailboxes",
        "aggregate_mwi",
        "mwi_from_user",
        "incoming_mwi_mailbox",
        "voicemail_extension",
    ):
        tables.execute(f"UPDATE ps_endpoints SET {column} = 'yes' WHERE id = '7001'".encode())
        assert noted(tables) == endpoint("7001", renew=mwi), column
    tables.execute("INSERT INTO ps_aors (id, mailboxes) VALUES ('a', '1@x'), ('b', '')")
    assert noted(tables) == aor("a", renew=STATE | mwi) | aor("b", renew=STATE)
    tables.execute(
        "INSERT INTO ps_endpoints (id, auth, mailboxes) VALUES ('a', '7001', '1'), ('b', '7001', '')"
    )
    assert noted(tables) == endpoint("a", renew=mwi) | endpoint("b")
    tables.execute("DELETE FROM ps_endpoints WHERE id IN ('a', 'b')")
    assert noted(tables) == endpoint("a", 0, renew=mwi) | endpoint("b", 0)


def test_each_statement_notifies_once_and_one_that_changes_nothing_not_at_all(tables: Sql, ears: Sql) -> None:
    tables.execute("UPDATE ps_endpoints SET callerid = 'x'")
    tables.execute("UPDATE ps_endpoints SET callerid = 'x'")
    tables.execute("UPDATE ps_contacts SET expiration_time = 1; INSERT INTO ps_contacts (id) VALUES ('x')")
    tables.execute("DELETE FROM ps_aors WHERE id = '7001'")
    with tables.transaction():
        tables.execute("UPDATE ps_endpoints SET callerid = 'y'")
        tables.execute("UPDATE ps_endpoints SET callerid = 'z'")
    tables.execute("NOTIFY provisioner, 'the end'")
    heard = []
    for one in ears.notifies(timeout=30):
        heard.append(one.payload)
        if one.payload:
            break
    assert heard == ["", "", "", "the end"], "a transaction notifies once, whatever it does"


def test_nothing_is_left_of_what_was_rolled_back(tables: Sql, ears: Sql) -> None:
    with tables.transaction(force_rollback=True):
        tables.execute("DELETE FROM ps_aors")
    assert noted(tables) == set()
    with tables.transaction():
        tables.execute("UPDATE ps_aors SET contact = 'x' WHERE id = '7001'")
        with tables.transaction(force_rollback=True):
            tables.execute("DELETE FROM ps_aors")
        with pytest.raises(psycopg.errors.UniqueViolation), tables.transaction():
            tables.execute("INSERT INTO ps_aors (id) VALUES ('7009'), ('7002')")
    assert noted(tables) == aor("7001")


def test_somebody_with_rights_on_asterisks_tables_alone_is_noted_too(tables: Sql, store: Store) -> None:
    tables.execute("CREATE ROLE guest; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ps_aors TO guest")
    try:
        with psycopg.connect(address(store.url), autocommit=True) as guest:
            guest.execute("SET ROLE guest")
            guest.execute("INSERT INTO ps_aors (id) VALUES ('7009')")
            guest.execute("UPDATE ps_aors SET max_contacts = 1 WHERE id = '7001'")
            guest.execute("DELETE FROM ps_aors WHERE id = '7002'")
            guest.execute("TRUNCATE ps_aors")
            for statement in ("SELECT * FROM provisioner.outbox", "SELECT provisioner.unwatch('public')"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    guest.execute(statement.encode())
        found = store.due("pbx1")
        assert {one.endpoint_id for one in found.orders} == {"7001", "7002", "7003", "7009"}
        assert found.orders[0] == NodeOrder("7001", frozenset({"aor"}), 0)
        assert found.changes == 6
    finally:
        tables.execute("DROP OWNED BY guest; DROP ROLE guest")


def test_functions_of_others_are_not_called_with_our_rights(tables: Sql) -> None:
    """A guest may put functions where a careless search path would find them."""
    tables.execute(
        "CREATE FUNCTION public.btrim(varchar) RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'called'; END $$;"
        "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'called'; END $$; CREATE TEMP TABLE pg_attribute (attname name)"
    )
    try:
        tables.execute("SET search_path = public, pg_temp, pg_catalog")
        tables.execute("UPDATE ps_auths SET password = 'x' WHERE id = '7001'")
        assert noted(tables) == auth("7001") | cut("7001")
    finally:
        tables.execute("DROP FUNCTION public.btrim(varchar), public.pg_notify(text, text)")


def test_while_no_node_is_known_nothing_is_noted(tables: Sql, store: Store) -> None:
    store.forget(["pbx1"])
    tables.execute("DELETE FROM ps_endpoints")
    assert noted(tables) == set()


def test_a_session_that_replicates_is_not_noted_twice(tables: Sql) -> None:
    tables.execute(
        "SET session_replication_role = replica; DELETE FROM ps_aors; RESET session_replication_role"
    )
    assert noted(tables) == set()
