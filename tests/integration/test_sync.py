"""The daemon on a real PostgreSQL with scripted nodes: whoever changes a row, every node is told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.lab.waiting import free_port
from tests.integration.conftest import address
from tests.integration.daemons import (
    Daemon,
    Site,
    Sql,
    all_is_told,
    change,
    endpoints,
    expired,
    site,
    until,
)
from tests.unit.ami.fake import FakeNode
from tests.unit.sync.parts import obedient

pytestmark = pytest.mark.integration

Run = Callable[..., FakeNode]


@pytest.fixture
def where(tmp_path: Path, database: URL) -> Iterator[Site]:
    with site(tmp_path, database) as made:
        yield made


@pytest.fixture
def nodes() -> Iterator[Run]:
    """Makes nodes that run until the test ends."""
    with ExitStack() as stack:
        yield lambda fake=None: stack.enter_context((fake or obedient()).running())


@pytest.fixture
def tables(sql: Sql) -> Sql:
    """A database with endpoints 7000 to 7019."""
    endpoints(sql, [str(number) for number in range(7000, 7020)])
    return sql


def leading(where: Site, *nodes: FakeNode, port: int = 0, **parts: str) -> Daemon:
    """A daemon that leads, with nodes that it has told."""
    where.write([(f"pbx{place}", node.port) for place, node in enumerate(nodes, 1)], **parts)
    daemon = where.start(port)
    daemon.until("leads")
    for place in range(1, len(nodes) + 1):
        daemon.until("node is told", node=f"pbx{place}")
    return daemon


def test_what_another_program_changes_is_told_to_every_node(where: Site, tables: Sql, nodes: Run) -> None:
    one, two = nodes(), nodes()
    daemon = leading(where, one, two)
    change(tables, "7001")
    tables.execute("UPDATE ps_auths SET password = 'another-not-real' WHERE id = '7002'")
    tables.execute("DELETE FROM ps_endpoints WHERE id = '7003'")
    until(lambda: all_is_told(tables), "both nodes to be told")
    wanted = {("endpoint", "7001"), ("auth", "7002"), ("endpoint", "7003")}
    assert expired(one) == expired(two) == wanted
    assert {one.connections, two.connections} == {1}
    told = daemon.until("told", node="pbx2")
    assert {"changes", "endpoints", "expired", "seconds", "lag_seconds"} <= told.keys()


def test_what_is_rolled_back_is_not_told_and_what_commits_late_is(
    where: Site, tables: Sql, nodes: Run, database: URL
) -> None:
    node = nodes()
    leading(where, node)
    with psycopg.connect(address(database)) as late:
        change(late, "7001")
        with psycopg.connect(address(database)) as never:
            change(never, "7002")
            never.rollback()
        change(tables, "7003")
        until(lambda: ("endpoint", "7003") in expired(node), "the change that commits first")
        late.commit()
    until(lambda: all_is_told(tables), "the change that began first")
    assert expired(node) == {("endpoint", "7001"), ("endpoint", "7003")}


def test_a_truncate_and_a_copy_are_told(where: Site, tables: Sql, nodes: Run) -> None:
    node = nodes()
    leading(where, node)
    tables.execute("TRUNCATE ps_endpoints")
    with tables.cursor().copy("COPY ps_aors (id, max_contacts) FROM STDIN") as copy:
        copy.write("8000\t1\n8001\t1\n")
    until(lambda: all_is_told(tables), "the node to be told")
    every = {("endpoint", str(number)) for number in range(7000, 7020)}
    assert expired(node) == every | {("aor", "8000"), ("aor", "8001")}


def test_a_node_that_is_away_holds_up_no_other_and_hears_everything_when_it_is_back(
    where: Site, tables: Sql, nodes: Run
) -> None:
    here, there = nodes(), obedient()
    with there.running():
        daemon = leading(where, here, there, port=free_port())
    for number in range(7000, 7005):
        change(tables, str(number))
    until(lambda: len(expired(here)) == 5, "the node that is there")
    status, health = daemon.health()
    assert status == 200, "it may be back within a minute"
    assert health["state"] == "leading"
    assert health["nodes"]["pbx1"]["up"]
    daemon.until("node is not told", node="pbx2")
    until(lambda: daemon.health()[1]["nodes"]["pbx2"]["changes"] == 5, "its backlog")
    assert "no AMI on 127.0.0.1" in daemon.health()[1]["nodes"]["pbx2"]["error"]
    assert 'node_up{node="pbx2"} 0.0' in daemon.page("/metrics")[1]
    with there.running():
        daemon.until("node is back", node="pbx2")
        until(lambda: all_is_told(tables), "the node that is back")
    assert expired(there) == {("endpoint", str(number)) for number in range(7000, 7005)}
    assert len(daemon.logged("node is not told")) <= 2, "once, and each minute"


def test_of_two_daemons_one_leads_and_the_other_takes_over_when_it_is_killed(
    where: Site, tables: Sql, nodes: Run
) -> None:
    node = nodes()
    first = leading(where, node)
    second = where.start(free_port())
    second.until("stands by")
    assert second.health() == (200, {**second.health()[1], "state": "standby", "nodes": {}})
    change(tables, "7001")
    until(lambda: all_is_told(tables), "the one that leads")
    first.stop(signal.SIGKILL)
    change(tables, "7002")
    second.until("leads")
    until(lambda: all_is_told(tables), "the one that took over")
    assert ("endpoint", "7002") in expired(node)
    assert not second.logged("no database")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_it_is_told_to(
    where: Site, tables: Sql, nodes: Run, number: signal.Signals
) -> None:
    daemon = leading(where, nodes())
    code, seconds = daemon.stop(number)
    assert code == 0
    assert seconds < 30
    assert daemon.lines[-1]["event"] == "ended"
    row = tables.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row == (0,)


def test_it_ends_also_while_the_database_owes_an_answer(
    where: Site, tables: Sql, nodes: Run, database: URL
) -> None:
    where.database = database.update_query_dict({"options": "-c lock_timeout=300s -c statement_timeout=300s"})
    daemon = leading(where, nodes())
    with psycopg.connect(address(database)) as holder:
        holder.execute("LOCK TABLE provisioner.nodes, provisioner.outbox IN ACCESS EXCLUSIVE MODE")
        waits = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        tables.execute("SELECT pg_notify('provisioner', '')")
        until(lambda: tables.execute(waits).fetchone() != (0,), "the daemon to ask")
        code, seconds = daemon.stop()
    assert code == 0
    assert seconds < 100, "the answer would take 300"


def test_it_ends_while_there_is_no_database(where: Site, tmp_path: Path) -> None:
    where.database = where.database.set(port=free_port())
    where.write([])
    daemon = where.start(free_port())
    daemon.until("no database")
    status, health = daemon.health()
    assert (status, health["state"]) == (503, "no database")
    assert daemon.stop()[0] == 0
    assert len(daemon.logged("no database")) == 1


def test_sighup_takes_new_nodes_and_leaves_the_others_undisturbed(
    where: Site, tables: Sql, nodes: Run
) -> None:
    stays, goes, comes = nodes(), nodes(), nodes()
    daemon = leading(where, stays, goes, port=free_port())
    where.write([("pbx1", stays.port), ("pbx3", comes.port)])
    daemon.say(signal.SIGHUP)
    daemon.until("node is told", node="pbx3")
    change(tables, "7001")
    until(lambda: expired(stays) == expired(comes) == {("endpoint", "7001")}, "the nodes of now")
    assert expired(goes) == set()
    assert stays.connections == 1
    assert "pbx2" not in daemon.page("/metrics")[1]
    assert list(daemon.health()[1]["nodes"]) == ["pbx1", "pbx3"]


def test_sighup_with_wrong_settings_changes_nothing_and_names_every_error(
    where: Site, tables: Sql, nodes: Run
) -> None:
    node = nodes()
    daemon = leading(where, node)
    where.write([("pbx1", 0)], sync="pol = 3")
    daemon.say(signal.SIGHUP)
    daemon.until("settings not taken", times=2)
    errors = " ".join(line["error"] for line in daemon.logged("settings not taken"))
    assert "sync.pol" in errors
    assert "nodes.pbx1.port" in errors
    change(tables, "7001")
    until(lambda: all_is_told(tables), "the node of before")


def test_sighup_goes_to_another_database(
    where: Site, nodes: Run, make_database: Callable[[str], URL]
) -> None:
    node = nodes()
    daemon = leading(where, node)
    where.database = make_database("migrated")
    where.write([("pbx1", node.port)])
    daemon.say(signal.SIGHUP)
    daemon.until("leads", times=2)
    with psycopg.connect(address(where.database), autocommit=True) as sql:
        daemon.until("node is told", times=2)
        endpoints(sql, ["7500"])
        until(lambda: all_is_told(sql), "the node, of the other database")
    assert ("endpoint", "7500") in expired(node)
    assert not daemon.logged("no database")


def test_an_adopted_database_without_our_tables_is_waited_for(
    where: Site, nodes: Run, empty_database: URL
) -> None:
    node = nodes()
    where.database = empty_database
    where.write([("pbx1", node.port)])
    daemon = where.start()
    error = daemon.until("no database")["error"]
    assert "provisioner db upgrade" in error


def test_a_node_that_left_the_settings_long_ago_is_forgotten(where: Site, tables: Sql, nodes: Run) -> None:
    tables.execute(
        "INSERT INTO provisioner.nodes (name, position, told_at) "
        "VALUES ('gone', pg_current_snapshot(), now() - interval '2 days'), "
        "('resting', pg_current_snapshot(), now() - interval '1 hour')"
    )
    daemon = leading(where, nodes())
    assert daemon.until("nodes forgotten")["nodes"] == ["gone"]
    known = tables.execute("SELECT name FROM provisioner.nodes ORDER BY 1").fetchall()
    assert known == [("pbx1",), ("resting",)]


def test_contacts_in_the_database_are_let_expire(where: Site, tables: Sql, nodes: Run) -> None:
    node = nodes()
    leading(where, node, asterisk='contacts = "realtime"')
    tables.execute(
        "INSERT INTO ps_contacts (id, uri, expiration_time, reg_server) "
        "VALUES ('7001^3B@abc', 'sip:x', 2000000000, 'pbx1'), ('7002^3B@abc', 'sip:x', 2000000000, 'pbx1')"
    )
    tables.execute("UPDATE ps_auths SET password = 'another-not-real' WHERE id = '7001'")
    until(lambda: all_is_told(tables), "the node to be told")
    left: list[tuple[Any, ...]] = tables.execute(
        "SELECT id, expiration_time::text FROM ps_contacts ORDER BY id"
    ).fetchall()
    assert left == [("7001^3B@abc", "1"), ("7002^3B@abc", "2000000000")]


def test_no_secret_is_in_the_log(where: Site, tables: Sql, nodes: Run) -> None:
    daemon = leading(where, nodes())
    tables.execute("UPDATE ps_auths SET password = 'another-not-real' WHERE id = '7001'")
    until(lambda: all_is_told(tables), "the node to be told")
    daemon.stop()
    said = repr(daemon.lines)
    assert "not-a-real-one" not in said
    assert "another-not-real" not in said
    assert str(where.database.password) not in said
