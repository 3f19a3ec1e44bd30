"""Nodes that are new: what they are told first, and whom they wait for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from provisioner.errors import StoreUnavailable
from provisioner.lab.waiting import wait_for
from provisioner.store import Store, positions
from tests.integration.people import create, plan, rows, user
from tests.integration.positions import Sql, add, ids


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
