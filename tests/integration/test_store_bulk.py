"""Rows, orders and numbers of thousands of users: the same as of one, in as many statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from provisioner.errors import Conflict
from provisioner.plan import NodeOrder, diff
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, TABLES, Rows
from provisioner.store import Store, Use
from provisioner.store.arrays import text_array
from tests.integration.people import SECRET, Numbers, plan, rows
from tests.integration.test_store_rows import own, read, write

Sql = psycopg.Connection[tuple[object, ...]]


def test_rows_are_read_back_as_they_were_created(store: Store, sql: Sql) -> None:
    own(store, "7001", "7002")
    wanted = rows("7001", "7002", callerid='"Łukasz; ^ 😀 \\N \t" <7001>', device_state_busy_at=2)
    with store.transaction(actor="tester", command="x") as tx:
        tx.write(diff(wanted, Rows()))
    assert read(store, "7001", "7002") == wanted
    assert diff(wanted, read(store, "7001", "7002")).changes == ()


def test_rows_that_are_created_may_differ_in_their_columns(store: Store) -> None:
    own(store, "7001", "7002")
    wanted = rows("7001") | rows("7002", language="pl")
    with store.transaction(actor="tester", command="x") as tx:
        tx.write(diff(wanted, Rows()))
    assert read(store, "7001", "7002") == wanted


def create(store: Store, wanted: Rows) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        tx.write(diff(wanted, Rows()))


def test_rows_of_nobody_and_rows_that_are_there_already_are_not_created(store: Store, sql: Sql) -> None:
    with pytest.raises(Conflict, match="rows of 7001"):
        create(store, rows("7001"))
    own(store, "7001", "7002")
    sql.execute("INSERT INTO ps_aors (id) VALUES ('7002')")
    with pytest.raises(Conflict, match="ps_aors are there already") as refused:
        create(store, rows("7001", "7002"))
    assert SECRET.reveal() not in str(refused.value)
    assert read(store, "7001") == Rows()


def test_one_row_among_two_thousand_that_is_there_already_stops_them_all(store: Store, sql: Sql) -> None:
    ids = [str(number) for number in range(10000, 12000)]
    own(store, *ids)
    sql.execute("INSERT INTO ps_aors (id) VALUES ('11777')")
    with pytest.raises(Conflict, match="ps_aors are there already"):
        write(store, plan(rows(*ids)))
    assert len(read(store, *ids)) == 1


@contextmanager
def counted() -> Iterator[list[str]]:
    """What SQLAlchemy executes meanwhile; COPY goes past it."""
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_two_thousand_rows_take_as_many_statements_as_one(store: Store) -> None:
    ids = [str(number) for number in range(10000, 12000)]
    own(store, "7001", *ids)
    orders = [NodeOrder(id, frozenset({"aor"})) for id in ids]
    store.know(["pbx1"])
    counts = []
    for wanted, told in ((rows("7001"), orders[:1]), (rows(*ids), orders)):
        with counted() as seen:
            write(store, plan(wanted))
            found = read(store, *wanted.ids())
            write(store, diff(Rows(), found))
            with store.transaction(actor="tester", command="x") as tx:
                tx.queue("pbx1", told)
                tx.number_states(sorted(wanted.ids()), 30)
            store.told(store.due("pbx1"))
        assert found == wanted
        counts.append(len(seen))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "texts",
    [["7001", "7001-sales", "7001"], [], [""], ["null", "7001"], ["a,b"], ["a", "", "b"], ["{a}"], ["Ł 😀"]],
)
def test_an_array_of_texts_holds_exactly_these(sql: Sql, texts: list[str]) -> None:
    found = sql.execute("SELECT CAST(%s AS text[])", [text_array(texts)]).fetchone()
    assert found == (texts,)


def test_orders_are_due_as_they_were_queued_in_bulk(store: Store) -> None:
    kinds = [frozenset({"aor"}), frozenset({"auth", "endpoint"}), frozenset[str]()]
    renew = [frozenset[str](), frozenset({"state", "mwi"}), frozenset({"qualify"})]
    orders = [NodeOrder(str(n), kinds[n % 3], n, renew[n % 5 % 3]) for n in range(1000, 3000)]
    with store.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx1", orders)
    assert store.due("pbx1").orders == tuple(orders)


def test_rows_of_no_live_extension_that_look_like_ours_are_found(store: Store, sql: Sql) -> None:
    own(store, "7001", "7002")
    write(store, plan(rows("7001", "7002")))
    with store.transaction(actor="tester", command="x") as tx:
        tx.release(["7002"])
    names = ("7003-sales", "7", "trunk", "1234567890123456", "70-03-x", "7004\n", "7005-SALES")
    for name in names:
        sql.execute("INSERT INTO ps_aors (id) VALUES (%s)", [name])
    with store.reading() as tx:
        assert tx.foreign_rows() == {
            AUTHS: {"7002": True},
            AORS: {"7002": True, "7003-sales": False},
            ENDPOINTS: {"7002": True},
        }
    assert {*TABLES} == {AUTHS, AORS, ENDPOINTS}


def test_the_state_of_a_number_names_the_user_by_its_id(store: Store, sql: Sql) -> None:
    own(store, "7001", "7002")
    with store.transaction(actor="tester", command="x") as tx:
        tx.release(["7002"])
    found = sql.execute("SELECT number, user_id FROM provisioner.extensions").fetchall()
    ids = {str(number): user_id for number, user_id in found}
    with store.transaction(actor="tester", command="x") as tx:
        states = tx.number_states(["7003", "7002", "7001"], 30)
    assert [(state.use, state.user_id) for state in states.values()] == [
        (Use.FREE, None),
        (Use.RESTING, ids["7002"]),
        (Use.HELD, ids["7001"]),
    ]


def test_ten_thousand_numbers_are_given_at_once(store: Store) -> None:
    own(store, "100003")
    with store.transaction(actor="tester", command="x") as tx:
        given = tx.allocate_numbers([Numbers("100000", "199999")], 10_000, 30)
    assert given == tuple(str(number) for number in range(100000, 110001) if number != 100003)
