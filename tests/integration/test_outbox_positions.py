"""How far each node was told: whatever order transactions commit in, nothing is skipped and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import StoreError, StoreUnavailable
from provisioner.lab.waiting import wait_for
from provisioner.plan import NodeOrder
from provisioner.store import Due, NodeState, Store, positions
from tests.integration.conftest import address
from tests.integration.people import create, plan, rows, user

Sql = psycopg.Connection[Any]

FUTURE = "900000000:900000000:"


@pytest.fixture
def nodes(store: Store) -> Store:
    """A store with two nodes that were told everything."""
    store.know(["pbx1", "pbx2"])
    for node in ("pbx1", "pbx2"):
        store.told(store.due(node))
    return store


@pytest.fixture
def other(database: URL) -> Iterator[Callable[[], Sql]]:
    """Makes connections of other programs; what they do is committed when they say so."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(psycopg.connect(address(database)))


def add(sql: Sql, *ids: str) -> None:
    sql.execute("INSERT INTO ps_aors (id) SELECT unnest(%s::text[])", [list(ids)])


def ids(due: Due) -> list[str]:
    return [order.endpoint_id for order in due.orders]


def left(sql: Sql) -> list[str]:
    return [id for (id,) in sql.execute("SELECT object_id FROM provisioner.outbox ORDER BY object_id")]


def state(store: Store, node: str) -> NodeState:
    (found,) = [one for one in store.states() if one.node == node]
    return found


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


def test_a_node_that_is_new_expires_its_whole_caches_once(nodes: Store, sql: Sql) -> None:
    unknown = nodes.due("pbx3")
    assert (unknown.whole, unknown.empty, unknown.orders) == (True, False, ())
    nodes.know(["pbx3", "pbx1"])
    add(sql, "7001")
    due = nodes.due("pbx3")
    assert (due.whole, ids(due)) == (True, ["7001"])
    nodes.told(replace(due, whole=False))
    assert nodes.due("pbx3").whole, "it was not done"
    nodes.told(due)
    assert nodes.due("pbx3").empty
    nodes.told(replace(due, node="nobody"))
    assert [one.node for one in nodes.states()] == ["pbx1", "pbx2", "pbx3"]


def test_the_first_node_waits_for_those_who_note_nothing_yet(
    store: Store, sql: Sql, other: Callable[[], Sql]
) -> None:
    writer = other()
    add(writer, "before")
    with ThreadPoolExecutor(1) as threads:
        known = threads.submit(store.know, ["pbx1"])
        wait_for("the first node to wait", lambda: waits(sql), 30)
        assert not known.done()
        add(writer, "before-too")
        writer.commit()
        known.result(30)
    assert sql.execute("SELECT count(*) FROM ps_aors").fetchone() == (2,)
    assert store.due("pbx1").whole, "and so it reads them anew"
    add(writer, "after")
    writer.commit()
    assert ids(store.due("pbx1")) == ["after"]


def waits(sql: Sql) -> bool:
    query = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    return sql.execute(query).fetchone() == (True,)


def test_a_writer_with_an_older_snapshot_is_not_missed_by_the_first_node(
    store: Store, other: Callable[[], Sql]
) -> None:
    writer = other()
    writer.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    writer.execute("SELECT count(*) FROM ps_aors")
    store.know(["pbx1"])
    store.told(store.due("pbx1"))
    add(writer, "7001")
    writer.commit()
    assert ids(store.due("pbx1")) == ["7001"]


def test_whoever_holds_the_tables_for_long_is_named_when_the_first_node_gives_up(
    store: Store, other: Callable[[], Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "_PATIENCE", 0.5)
    writer = other()
    add(writer, "7001")
    with pytest.raises(StoreUnavailable, match="may hold a lock"):
        store.know(["pbx1"])
    writer.commit()
    store.know(["pbx1"])
    assert store.due("pbx1").whole


def test_other_programs_are_not_ended_as_part_of_a_deadlock_while_the_first_node_waits(
    store: Store, sql: Sql, other: Callable[[], Sql]
) -> None:
    """One that changes something waits for another, who is about to change something."""
    sql.execute("INSERT INTO ps_aors (id) VALUES ('7001')")
    first, second = other(), other()
    add(first, "7002")
    second.execute("SELECT FROM ps_aors WHERE id = '7001' FOR UPDATE")
    with ThreadPoolExecutor(3) as threads:
        changing = threads.submit(first.execute, b"UPDATE ps_aors SET max_contacts = 1 WHERE id = '7001'")
        known = threads.submit(store.know, ["pbx1"])
        wait_for("the first node to wait", lambda: waits(sql), 30)
        threads.submit(add, second, "7003").result(30)
        second.commit()
        changing.result(30)
        first.commit()
        known.result(30)
    assert sql.execute("SELECT count(*) FROM ps_aors").fetchone() == (3,)


def test_more_nodes_wait_for_nobody(nodes: Store, other: Callable[[], Sql]) -> None:
    writer = other()
    add(writer, "7001")
    nodes.know(["pbx3"])
    nodes.told(nodes.due("pbx3"))
    writer.commit()
    assert ids(nodes.due("pbx3")) == ["7001"]


def test_a_transaction_of_ours_may_add_the_first_node_and_is_told_to_it(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        tx.know(["pbx1"])
        create(tx, user("anna", "7001"))
        tx.write(plan(rows("7001")))
    assert ids(store.due("pbx1")) == ["7001"]


def test_rows_that_every_node_was_told_go_and_others_stay(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    nodes.told(nodes.due("pbx1"))
    assert left(sql) == ["7001"]
    add(sql, "7002")
    nodes.told(nodes.due("pbx2"))
    assert left(sql) == ["7002"]
    nodes.told(nodes.due("pbx1"))
    assert left(sql) == []


def test_what_is_for_one_node_is_told_to_it_alone_and_goes_then(nodes: Store, sql: Sql) -> None:
    orders = [
        NodeOrder("7002", frozenset({"aor", "auth"}), 1, frozenset({"qualify"})),
        NodeOrder("7001", frozenset(), 0),
        NodeOrder("7003", frozenset(), None, frozenset({"mwi"})),
        NodeOrder("7004", frozenset()),
    ]
    with nodes.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx2", orders)
    assert nodes.due("pbx1").empty
    due = nodes.due("pbx2")
    assert due.orders == (orders[1], orders[0], orders[2]), "the last asks for nothing"
    assert due.changes == 4
    nodes.told(nodes.due("pbx1"))
    assert len(left(sql)) == 4
    nodes.told(due)
    assert left(sql) == []


def test_orders_for_a_node_that_is_not_known_yet_make_it_known(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx1", [NodeOrder("7001", frozenset({"aor"}))])
    assert (store.due("pbx1").whole, ids(store.due("pbx1"))) == (True, ["7001"])


def test_a_node_that_is_forgotten_holds_nothing_back(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    with nodes.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx2", [NodeOrder("7002", frozenset({"aor"}))])
    nodes.forget(["pbx2", "nobody"])
    assert [one.node for one in nodes.states()] == ["pbx1"]
    assert left(sql) == ["7001"]
    nodes.told(nodes.due("pbx1"))
    assert left(sql) == []
    add(sql, "7003")
    nodes.forget(["pbx1"])
    assert left(sql) == []


def age(sql: Sql, seconds: float) -> None:
    sql.execute("UPDATE provisioner.outbox SET created_at = now() - make_interval(secs => %s)", [seconds])


def test_a_node_that_is_away_for_too_long_expires_its_whole_caches_instead(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    nodes.told(nodes.due("pbx1"))
    age(sql, 100)
    assert nodes.trim(200) == 0
    assert nodes.trim(50) == 1
    assert left(sql) == []
    due = nodes.due("pbx2")
    assert (due.whole, due.orders) == (True, ())
    assert nodes.due("pbx1").empty, "it was told in time"
    nodes.told(due)
    assert nodes.due("pbx2").empty


def test_what_cuts_phones_off_stays_until_every_node_was_told(nodes: Store, sql: Sql) -> None:
    add(sql, "7001", "7002")
    sql.execute("UPDATE ps_aors SET max_contacts = 2; UPDATE ps_aors SET max_contacts = 1 WHERE id = '7002'")
    age(sql, 100)
    assert nodes.trim(50) == 4
    due = nodes.due("pbx1")
    assert due.whole
    assert due.orders == (NodeOrder("7002", frozenset({"aor"}), 1),)
    for node in ("pbx1", "pbx2"):
        nodes.told(nodes.due(node))
    assert left(sql) == []


def test_trimming_removes_what_every_node_was_told(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    sql.execute("UPDATE provisioner.nodes SET position = pg_current_snapshot()")
    assert nodes.trim(3600) == 1
    assert left(sql) == []


def test_orders_of_one_node_that_grow_old_make_that_node_forget(nodes: Store, sql: Sql) -> None:
    with nodes.transaction(actor="tester", command="x") as tx:
        tx.queue("pbx2", [NodeOrder("7001", frozenset({"aor"}))])
    age(sql, 100)
    assert nodes.trim(50) == 1
    assert (nodes.due("pbx1").empty, nodes.due("pbx2").whole) == (True, True)


def test_a_position_that_lies_ahead_of_a_restored_database_counts_as_none(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    sql.execute("UPDATE provisioner.nodes SET position = %s WHERE name = 'pbx1'", [FUTURE])
    due = nodes.due("pbx1")
    assert (due.whole, ids(due)) == (True, ["7001"])
    assert (state(nodes, "pbx1").whole, state(nodes, "pbx1").changes) == (True, 1)
    nodes.told(nodes.due("pbx2"))
    assert left(sql) == ["7001"], "pbx1 was not told"
    nodes.told(due)
    assert nodes.due("pbx1").empty
    assert left(sql) == []


def test_changes_that_lie_ahead_of_a_restored_database_are_told_and_go(nodes: Store, sql: Sql) -> None:
    add(sql, "7001")
    sql.execute("UPDATE provisioner.outbox SET xid = '900000000'")
    for node in ("pbx1", "pbx2", "pbx1"):  # the first time it was not yet as if of now
        due = nodes.due(node)
        assert ids(due) == ["7001"]
        nodes.told(due)
    assert nodes.due("pbx2").empty
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
