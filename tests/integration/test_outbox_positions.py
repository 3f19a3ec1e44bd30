"""How far each node was told: whatever order transactions commit in, nothing is skipped and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import StoreError
from provisioner.plan import NodeOrder
from provisioner.store import NodeState, Store
from tests.integration.conftest import address
from tests.integration.people import create, plan, rows, user
from tests.integration.positions import FUTURE, Sql, add, ids, left, state


def test_a_node_is_told_once_what_changed(nodes: Store, sql: Sql) -> None:
    add(sql, "7002", "7001")
    sql.execute("UPDATE ps_aors SET max_contacts = 1 WHERE id = '7001'")
    due = nodes.due("pbx1")
    new = frozenset({"state"})
    assert due.orders == tuple(NodeOrder(id, frozenset({"aor"}), None, new) for id in ("7001", "7002"))
    assert (dict(due.counts), due.changes, due.whole, due.empty) == ({"7001": 2, "7002": 1}, 3, False, False)
    (oldest,) = sql.execute("SELECT min(created_at) FROM provisioner.outbox").fetchall()[0]
    assert due.oldest == oldest
    nodes.told(due)
    assert nodes.due("pbx1").empty
    assert ids(nodes.due("pbx2")) == ["7001", "7002"]


def test_orders_about_the_same_endpoint_are_merged(nodes: Store, sql: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) VALUES ('7001'), ('Ł'), ('a'), ('Z')")
    sql.execute("INSERT INTO ps_aors (id, max_contacts, mailboxes) VALUES ('7001', 5, '1@x')")
    sql.execute("INSERT INTO ps_endpoints (id, auth, aors) VALUES ('7001', '7001', '7001')")
    sql.execute("UPDATE ps_aors SET max_contacts = 3")
    sql.execute("UPDATE ps_aors SET max_contacts = 2, qualify_frequency = 60")
    due = nodes.due("pbx1")
    assert ids(due) == ["7001", "Z", "a", "Ł"]
    kinds, renew = frozenset({"endpoint", "auth", "aor"}), frozenset({"state", "qualify", "mwi"})
    assert due.orders[0] == NodeOrder("7001", kinds, 2, renew)


def test_a_transaction_that_began_earlier_and_commits_later_is_not_skipped(
    nodes: Store, sql: Sql, other: Callable[[], Sql]
) -> None:
    early, late = other(), other()
    add(early, "early")
    add(late, "late")
    add(sql, "now")
    first = nodes.due("pbx1")
    assert ids(first) == ["now"]
    nodes.told(first)
    late.commit()
    second = nodes.due("pbx1")
    assert ids(second) == ["late"]
    early.commit()
    nodes.told(second)
    third = nodes.due("pbx1")
    assert ids(third) == ["early"]
    nodes.told(third)
    assert nodes.due("pbx1").empty


def test_a_transaction_that_stays_open_holds_nobody_up(
    nodes: Store, sql: Sql, other: Callable[[], Sql]
) -> None:
    open_for_long = other()
    add(open_for_long, "much-later")
    for id in ("7001", "7002"):
        add(sql, id)
        for node in ("pbx1", "pbx2"):
            due = nodes.due(node)
            assert ids(due) == [id]
            nodes.told(due)
    assert left(sql) == []
    open_for_long.commit()
    assert ids(nodes.due("pbx1")) == ["much-later"]


def test_many_who_commit_in_any_order_are_all_told(nodes: Store, database: URL) -> None:
    told = list[str]()
    done = threading.Event()

    def change(worker: int) -> None:
        with psycopg.connect(address(database)) as sql:
            for step in range(25):
                add(sql, f"{worker}-{step}a")
                sql.execute("SELECT pg_sleep(random() / 500)")
                with sql.transaction():
                    add(sql, f"{worker}-{step}b")
                sql.rollback() if step % 5 == 4 else sql.commit()

    def tell() -> None:
        while True:
            last = done.is_set()
            due = nodes.due("pbx1")
            told.extend(ids(due))
            nodes.told(due)
            if last and due.empty:
                return

    with ThreadPoolExecutor(9) as threads:
        teller = threads.submit(tell)
        for one in [threads.submit(change, worker) for worker in range(8)]:
            one.result()
        done.set()
        teller.result()
    kept = [step for step in range(25) if step % 5 != 4]
    assert sorted(told) == sorted(f"{w}-{step}{x}" for w in range(8) for step in kept for x in "ab")


def test_a_position_never_goes_backwards(nodes: Store, sql: Sql, other: Callable[[], Sql]) -> None:
    running = other()
    add(running, "running")
    add(sql, "7001")
    early = nodes.due("pbx1")
    running.commit()
    late = nodes.due("pbx1")
    assert ids(late) == ["7001", "running"]
    nodes.told(late)
    nodes.told(early)
    assert nodes.due("pbx1").empty
    add(sql, "7002")
    latest = nodes.due("pbx1")
    nodes.told(latest)
    nodes.told(late)
    assert nodes.due("pbx1").empty


def test_two_tellers_at_once_end_with_nothing_left(nodes: Store, sql: Sql) -> None:
    for step in range(20):
        add(sql, *(f"{step}-{id}" for id in range(20)))
        dues = [nodes.due(node) for node in ("pbx1", "pbx2", "pbx1", "pbx2")]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(nodes.told, dues))
        assert left(sql) == []


def test_the_states_of_the_nodes_say_how_far_behind_they_are(nodes: Store, sql: Sql) -> None:
    add(sql, "7001", "7002")
    nodes.note_error("pbx2", "nobody answers")
    nodes.note_error("nobody", "x")
    told = nodes.due("pbx1")
    nodes.told(told)
    first, second = nodes.states()
    assert (first.node, first.changes, first.oldest, first.whole, first.error) == (
        "pbx1",
        0,
        None,
        False,
        None,
    )
    assert first.told_at is not None
    assert (second.node, second.changes, second.whole, second.error) == ("pbx2", 2, False, "nobody answers")
    assert second.oldest == told.oldest
    nodes.told(nodes.due("pbx2"))
    assert state(nodes, "pbx2").error is None
    nodes.know(["pbx0"])
    assert state(nodes, "pbx0") == NodeState("pbx0", 0, None, True, None, None)


def test_a_transaction_of_ours_can_be_waited_for(nodes: Store) -> None:
    with nodes.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", "7001"))
        tx.write(plan(rows("7001")))
    assert tx.xid is not None
    every = ["pbx1", "pbx2", "pbx9"]
    assert nodes.is_told(tx.xid, every) == frozenset()
    nodes.told(nodes.due("pbx2"))
    assert nodes.is_told(tx.xid, every) == {"pbx2"}
    nodes.told(nodes.due("pbx1"))
    assert {"pbx1", "pbx2"} <= nodes.is_told(tx.xid, every)


def test_a_transaction_that_told_nobody_anything_needs_not_be_waited_for(nodes: Store) -> None:
    with nodes.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", "7001"))
    assert tx.xid is not None
    assert nodes.is_told(tx.xid, ["pbx1", "pbx2"]) == {"pbx1", "pbx2"}
    with nodes.transaction(actor="tester", command="x") as tx:
        tx.rows(["7001"])
    assert tx.xid is None
    with nodes.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx2", [NodeOrder("7001", frozenset({"aor"}))])
    assert tx.xid is not None
    assert nodes.is_told(tx.xid, ["pbx1", "pbx2"]) == {"pbx1"}


def test_told_and_due_leave_no_transaction_open_behind_them(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    nodes.told(nodes.due("pbx1"))
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state LIKE 'idle in transaction%'"
    )
    assert sql.execute(query).fetchone() == (0,)


def test_a_database_that_was_not_upgraded_is_named(empty_database: URL) -> None:
    with Store(empty_database) as store:
        for use in (store.states, store.watched, lambda: store.due("pbx1"), lambda: store.know(["pbx1"])):
            if use == store.watched:
                assert store.watched() is False
                continue
            with pytest.raises(StoreError, match="provisioner db upgrade"):
                use()


def test_what_came_since_a_position_is_read_alone(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    first = nodes.due("pbx1")
    add(sql, "7002")
    second = nodes.due("pbx1", first.position)
    assert ids(second) == ["7002"]
    assert ids(nodes.due("pbx1", FUTURE)) == ["7001", "7002"]
    nodes.told(second)
    assert nodes.due("pbx1").empty
