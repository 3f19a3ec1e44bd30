"""Asterisk's rows: written as planned, foreign ones untouched, never an endpoint without an auth."""

from __future__ import annotations

import psycopg
import pytest

from provisioner.errors import Conflict, StoreError
from provisioner.plan import Action, Change, NodeOrder, Plan, diff
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, TABLES, Rows
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.store import Store
from tests.integration.people import SECRET, create, plan, rows, user

Sql = psycopg.Connection[tuple[object, ...]]


def write(store: Store, *plans: Plan) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        for one in plans:
            tx.write(one)


def read(store: Store, *ids: str) -> Rows:
    with store.transaction(actor="tester", command="x") as tx:
        return tx.rows(ids)


def own(store: Store, *numbers: str) -> None:
    """Users who hold these numbers, so that rows of them are ours."""
    with store.transaction(actor="tester", command="x") as tx:
        create(tx, *[user(f"user{number}", number) for number in numbers])


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    own(store, "7001", "7002")
    wanted = rows("7001", "7002", callerid='"Łukasz; ^ 😀 ${X} \'" <7001>', device_state_busy_at=2)
    write(store, plan(wanted))
    assert read(store, "7001", "7002", "9999") == wanted


def test_an_update_changes_only_the_columns_it_names(store: Store, sql: Sql) -> None:
    own(store, "7001")
    write(store, plan(rows("7001", language="pl")))
    sql.execute("UPDATE ps_endpoints SET moh_suggest = 'jazz'")
    write(store, diff(rows("7001", language=None), read(store, "7001")))
    assert read(store, "7001") == rows("7001")
    assert sql.execute("SELECT moh_suggest FROM ps_endpoints").fetchall() == [("jazz",)]


def test_a_deleted_plan_takes_the_rows_away(store: Store) -> None:
    own(store, "7001", "7002")
    write(store, plan(rows("7001", "7002")))
    write(store, diff(Rows(), read(store, "7001")))
    assert read(store, "7001", "7002") == rows("7002")


def test_foreign_rows_are_refused_whatever_is_to_be_done_with_them(store: Store, sql: Sql) -> None:
    with sql.transaction():
        sql.execute("INSERT INTO ps_auths (id, password) VALUES ('trunk', 'x')")
        sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('trunk', 'trunk')")
    fields = {"context": (None, "users")}
    for action in Action:
        with pytest.raises(Conflict, match="rows of trunk"):
            write(store, Plan((Change(ENDPOINTS, "trunk", action, fields),)))
    assert sql.execute("SELECT context FROM ps_endpoints").fetchall() == [(None,)]


def test_a_row_that_somebody_else_made_meanwhile_is_not_overwritten(store: Store, sql: Sql) -> None:
    own(store, "7001")
    sql.execute("INSERT INTO ps_aors (id, max_contacts) VALUES ('7001', 9)")
    with pytest.raises(Conflict, match="ps_aors are there already"):
        write(store, plan(rows("7001")))
    assert sql.execute("SELECT id, max_contacts FROM ps_aors").fetchall() == [("7001", 9)]
    assert sql.execute("SELECT id FROM ps_auths").fetchall() == []


def test_a_row_that_somebody_else_deleted_meanwhile_is_an_error(store: Store, sql: Sql) -> None:
    own(store, "7001")
    write(store, plan(rows("7001")))
    change = diff(rows("7001", language="pl"), read(store, "7001"))
    sql.execute("DELETE FROM ps_endpoints")
    with pytest.raises(Conflict, match="ps_endpoints are gone"):
        write(store, change)


@pytest.mark.parametrize("auth", ["NULL", "''", "' '", "','", "' , '"])
def test_an_endpoint_without_an_auth_is_refused(sql: Sql, auth: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="has no auth"):
        sql.execute(f"INSERT INTO ps_endpoints (id, auth) VALUES ('7001', {auth})".encode())
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
    with pytest.raises(psycopg.errors.CheckViolation, match="has no auth"):
        sql.execute(f"UPDATE ps_endpoints SET auth = {auth}".encode())


@pytest.mark.parametrize("auth", ["7002", "7001,7002", "7001, 7002"])
def test_an_endpoint_whose_auth_does_not_exist_is_refused(sql: Sql, auth: str) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="does not exist"):
        sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', %s)", [auth])


@pytest.mark.parametrize("auth", ["7001", "7001,7002", "7002 , 7001"])
def test_an_auth_that_an_endpoint_needs_cannot_go(sql: Sql, auth: str) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001'), ('7002'), ('7003')")
    sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', %s)", [auth])
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="still needed by endpoint 7001"):
        sql.execute("DELETE FROM ps_auths WHERE id = '7001'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="still needed by endpoint 7001"):
        sql.execute("UPDATE ps_auths SET id = '7009' WHERE id = '7001'")
    sql.execute("DELETE FROM ps_auths WHERE id = '7003'")
    sql.execute("UPDATE ps_auths SET password = 'new' WHERE id = '7001'")


def test_within_a_transaction_the_order_of_writing_is_free(sql: Sql) -> None:
    with sql.transaction():
        sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
        sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with sql.transaction():
        sql.execute("DELETE FROM ps_auths")
        sql.execute("DELETE FROM ps_endpoints")
    assert sql.execute("SELECT count(*) FROM ps_endpoints").fetchone() == (0,)


def test_an_auth_deleted_at_the_same_time_does_not_slip_through(sql: Sql, store: Store) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    with psycopg.connect(
        store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    ) as other:
        other.execute("SET lock_timeout = '200ms'")
        with sql.transaction():
            sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001')")
            sql.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("DELETE FROM ps_auths")


def test_the_store_says_in_words_why_such_an_endpoint_is_refused(store: Store) -> None:
    own(store, "7001")
    write(store, plan(rows("7001")))
    with pytest.raises(StoreError, match="without an auth would let its phone register without a secret"):
        write(store, diff(rows("7001", auth=None), read(store, "7001")))
    assert read(store, "7001") == rows("7001")


def test_a_value_that_does_not_fit_is_refused_without_being_shown(store: Store) -> None:
    own(store, "7001")
    with pytest.raises(StoreError, match="a value was refused") as refused:
        write(store, plan(rows("7001", callerid=SECRET.reveal() * 100)))
    assert SECRET.reveal() not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_the_columns_are_those_of_asterisk_with_their_lengths(store: Store) -> None:
    columns = store.columns()
    assert {table: tuple(found) for table, found in columns.items()} == {
        table: tuple(column.name for column in known) for table, known in ASTERISK_COLUMNS.items()
    }
    assert columns[ENDPOINTS]["callerid"] == 255
    assert columns[AORS]["max_contacts"] is None
    assert columns["ps_contacts"]["uri"] is None


def test_ten_thousand_rows_are_written_and_read_in_a_few_statements(store: Store, sql: Sql) -> None:
    ids = [str(number) for number in range(10000, 20000)]
    own(store, *ids[:2000])
    write(store, plan(rows(*ids[:2000])))
    assert len(read(store, *ids)) == 2000 * len(TABLES)


def queue_and_write(store: Store, order: NodeOrder, change: Plan) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx1", [order])
        tx.write(change)


def test_orders_of_a_transaction_that_failed_are_not_sent(store: Store) -> None:
    with pytest.raises(Conflict):
        queue_and_write(store, NodeOrder("7001", frozenset({"auth"})), plan(rows("7001")))
    assert store.due("pbx1").orders == ()


def contact(sql: Sql, id: str, expires: int, at: str | None = "pbx1") -> None:
    sql.execute(
        "INSERT INTO ps_contacts (id, expiration_time, reg_server) VALUES (%s, %s, %s)", [id, expires, at]
    )


def expired(store: Store, aor: str, keep: int) -> int:
    return store.expire_contacts({aor: keep}, "pbx1", ["pbx1"])


def test_all_but_the_newest_contacts_of_exactly_this_aor_expire(store: Store, sql: Sql) -> None:
    # Asterisk writes the semicolon as ^3B; other programs may not.
    for id, expires in (("a-c^3B@1", 100), ("a-c;@2", 300), ("a-c^3B@3", 200), ("a-c^3B@4", 1)):
        contact(sql, id, expires)
    others = ["abc^3B@1", "a-cd^3B@1", "a^3B@1", "xa-c^3B@1", "A-C^3B@1", "a_c^3B@1", "a%^3B@1"]
    for id in others:
        contact(sql, id, 100)
    assert expired(store, "a-c", 1) == 2
    assert expired(store, "a-c", 1) == 0
    left: dict[object, object] = dict(sql.execute("SELECT id, expiration_time FROM ps_contacts"))  # type: ignore[arg-type]
    assert left == {"a-c^3B@1": 1, "a-c;@2": 300, "a-c^3B@3": 1, "a-c^3B@4": 1, **dict.fromkeys(others, 100)}
    assert expired(store, "a-c", 0) == 1
    assert expired(store, "a%", 0) == 1
    assert expired(store, "a_c", 0) == 1
    assert expired(store, "%", 0) == 0


def test_of_each_aor_so_many_contacts_stay_as_it_keeps(store: Store, sql: Sql) -> None:
    for id in ("7001^3B@1", "7001^3B@2", "7002^3B@1", "7002^3B@2", "7003^3B@1"):
        contact(sql, id, 100)
    assert store.expire_contacts({"7001": 0, "7002": 1}, "pbx1", ["pbx1"]) == 3
    left = sql.execute("SELECT id FROM ps_contacts WHERE expiration_time > 1 ORDER BY id").fetchall()
    assert left == [("7002^3B@1",), ("7003^3B@1",)]
    assert store.expire_contacts({}, "pbx1", ["pbx1"]) == 0


def test_a_node_expires_its_own_contacts_and_those_of_nodes_that_are_no_more(store: Store, sql: Sql) -> None:
    for at in ("pbx1", "pbx2", "gone", "", None):
        contact(sql, f"7001^3B@{at}", 100, at)
        contact(sql, f"7003^3B@{at}", 100, at)
    assert store.expire_contacts({"7001": 0, "7002": 0}, "pbx1", ["pbx1", "pbx2"]) == 4
    left = sql.execute("SELECT id FROM ps_contacts WHERE expiration_time > 1 AND id < '7002'").fetchall()
    assert left == [("7001^3B@pbx2",)]
    assert store.expire_contacts({"7001": 0}, "pbx2", ["pbx1", "pbx2"]) == 1


def test_the_newest_contacts_stay_wherever_they_are_registered(store: Store, sql: Sql) -> None:
    for place, at in enumerate(("pbx1", "pbx2", "pbx2", "pbx1")):
        contact(sql, f"7001^3B@{place}", 100 + place, at)
    assert store.expire_contacts({"7001": 2}, "pbx1", ["pbx1", "pbx2"]) == 2
    left = sql.execute("SELECT id FROM ps_contacts WHERE expiration_time > 1 ORDER BY id").fetchall()
    assert left == [("7001^3B@2",), ("7001^3B@3",)]


def test_auths_and_aors_alone_are_no_concern_of_the_rule(sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001')")
    sql.execute("INSERT INTO ps_aors (id) VALUES ('7001')")
    sql.execute("DELETE FROM ps_auths")
    assert sql.execute("SELECT count(*) FROM ps_aors").fetchone() == (1,)
    assert AUTHS in TABLES
