"""Rows of the outbox go when nobody needs them any more, and no sooner."""

from __future__ import annotations

from provisioner.plan import NodeOrder
from provisioner.store import Store
from tests.integration.positions import FUTURE, Sql, add, ids, left, state


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
