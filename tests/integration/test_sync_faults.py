"""Faults of the daemon and of its database: each ends by itself, and no change is lost."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.lab.waiting import free_port
from provisioner.store import Embedded, Store
from tests.integration.conftest import address
from tests.integration.daemons import Site, Sql, all_is_told, change, endpoints, expired, site, until
from tests.unit.ami.fake import FakeNode
from tests.unit.sync.parts import obedient

pytestmark = pytest.mark.integration

IDS = [str(number) for number in range(70000, 76000)]


@pytest.fixture
def where(tmp_path: Path, database: URL) -> Iterator[Site]:
    with site(tmp_path, database) as made:
        yield made


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with obedient().running() as made:
        yield made


@contextmanager
def changing(url: URL, ids: list[str]) -> Iterator[list[str]]:
    """Somebody changes one endpoint after the other until the block ends; those that are committed."""
    done: list[str] = []
    end = threading.Event()

    def work() -> None:
        with psycopg.connect(address(url), autocommit=True) as sql:
            for id in ids:
                if end.wait(0.02):
                    return
                change(sql, id)
                done.append(id)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        end.set()
        thread.join()


def told(node: FakeNode) -> set[str]:
    return {id for type, id in expired(node) if type == "endpoint"}


def test_killed_ten_times_at_random_moments_it_loses_nothing(where: Site, sql: Sql, node: FakeNode) -> None:
    endpoints(sql, IDS)
    where.write([("pbx1", node.port)])
    where.start().until("node is told")
    chance = random.Random(4)
    with changing(where.database, IDS) as done:
        for _ in range(10):
            daemon = where.start()
            daemon.until("stands by")
            time.sleep(chance.random() / 4)
            where.daemons[-2].stop(signal.SIGKILL)
            daemon.until("leads")
        assert len(done) < len(IDS), "changes to the end"
    until(lambda: all_is_told(sql), "the last daemon to tell the rest")
    assert told(node) >= set(done)
    whole = [headers for headers in node.received if headers["Action"] == "SorceryMemoryCacheExpire"]
    assert len(whole) == 3 * 2, "once, when the node was new"


def test_a_leader_whose_connection_is_cut_stops_and_the_other_leads(
    where: Site, sql: Sql, node: FakeNode
) -> None:
    endpoints(sql, IDS)
    where.write([("pbx1", node.port)])
    first = where.start()
    first.until("node is told")
    second = where.start()
    second.until("stands by")
    with changing(where.database, IDS) as done:
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted AND objid = 4 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        first.until("no database")
        first.until("database is back")
        until(lambda: len(first.logged("leads")) + len(second.logged("leads")) == 2, "one of them to lead")
        until(lambda: len(done) > 50, "changes")
    until(lambda: all_is_told(sql), "whoever leads now")
    assert told(node) >= set(done)


def test_a_database_that_is_restarted_is_found_again(tmp_path: Path, node: FakeNode) -> None:
    server = Embedded(tmp_path / "server")
    try:
        url = server.ensure_running()
        with Store(url) as store:
            store.upgrade()
        with psycopg.connect(address(url), autocommit=True) as sql:
            endpoints(sql, IDS)
        with site(tmp_path, url) as where:
            where.write([("pbx1", node.port)])
            daemon = where.start(free_port())
            daemon.until("node is told")
            for times in (1, 2):
                server.stop()
                daemon.until("no database", times=times)
                assert daemon.health()[0] == 503
                assert server.ensure_running().port == url.port
                with psycopg.connect(address(url), autocommit=True) as sql:
                    change(sql, IDS[times])
                    daemon.until("database is back", times=times)
                    until(lambda: all_is_told(sql), "the node to be told")
                until(lambda: daemon.health()[0] == 200, "health")
            assert {IDS[1], IDS[2]} <= told(node)
    finally:
        server.stop()
