"""What goes wrong with a database comes out as one sentence that says where, what to do, and no secret."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import Conflict, SchemaOutdated, StoreError, StoreUnavailable
from provisioner.records import User
from provisioner.secret import Secret
from provisioner.store import Embedded, Store
from provisioner.store.postmaster import is_alive, wait_until
from tests.integration.conftest import address
from tests.integration.people import SECRET, create, extension, user


def ask(store: Store) -> object:
    with store.transaction(actor="tester", command="x") as tx:
        return next(tx.users_for(["anna"]), None)


def add(store: Store, users: Iterable[User]) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        for one in users:
            create(tx, one)


def pid_of(embedded: Embedded) -> int:
    embedded.ensure_running()
    pid = embedded.status().pid
    assert pid is not None
    return pid


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    Embedded(tmp_path).stop()


def test_nothing_connects_before_the_first_use() -> None:
    with Store("postgresql://nobody:pw@127.0.0.1:1/none") as store:
        assert store.address().port == 1


def test_whether_the_database_answers_is_told_and_no_error(store: Store) -> None:
    assert store.answers()
    with Store("postgresql://nobody:pw@127.0.0.1:1/none") as away:
        assert not away.answers()


def test_nobody_listening_is_told_with_host_and_port() -> None:
    where = r"127\.0\.0\.1:1/none does not answer: Connection refused"
    with (
        Store("postgresql://nobody:geheim@127.0.0.1:1/none") as store,
        pytest.raises(StoreUnavailable, match=where) as refused,
    ):
        ask(store)
    assert "geheim" not in "".join(traceback.format_exception(refused.value))


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    start = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Store(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none") as store,
        pytest.raises(StoreUnavailable, match="does not answer"),
    ):
        ask(store)
    assert time.monotonic() - start < 12


def test_a_wrong_password_and_a_missing_database_are_told_apart(server: URL) -> None:
    with (
        Store(server.set(password="wrong")) as store,
        pytest.raises(StoreUnavailable, match="refuses the login"),
    ):
        ask(store)
    with Store(server.set(database="none")) as store, pytest.raises(StoreUnavailable, match="does not exist"):
        ask(store)


@pytest.mark.parametrize("url", ["mysql://root@localhost/x", "no url at all", "", "postgresql://[::1"])
def test_a_url_of_anything_but_postgresql_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"database\.url"):
        Store(url)


def test_a_password_given_apart_is_used_and_not_shown(server: URL) -> None:
    bare = URL.create("postgres", server.username, None, server.host, server.port, "migrated")
    with Store(bare, password=Secret(server.password or "")) as store:
        assert ask(store) is None
        assert str(server.password) not in repr(store.url)


def test_a_database_without_our_tables_says_to_upgrade(empty_database: URL) -> None:
    with Store(empty_database) as store, pytest.raises(SchemaOutdated, match="provisioner db upgrade"):
        ask(store)


def test_a_refused_row_never_shows_its_values_in_message_or_traceback(store: Store) -> None:
    add(store, [user("anna", "7001")])
    plain = extension("7001", plain=True)
    with pytest.raises(StoreError, match="users_name_form") as refused:
        add(store, [User("bob", "x\ny", None, True, (plain,))])
    with pytest.raises(Conflict, match="held by another user") as conflict:
        add(store, [User("bob", "Bob", None, True, (plain,))])
    told = "".join(traceback.format_exception(refused.value) + traceback.format_exception(conflict.value))
    for value in (SECRET.reveal(), plain.credentials.md5, plain.credentials.sha256):
        assert value not in told


def test_a_lock_that_is_held_too_long_ends_in_an_error(store: Store, sql: psycopg.Connection[object]) -> None:
    impatient = store.url.update_query_dict({"options": "-c lock_timeout=100ms"})
    with sql.transaction(), Store(impatient) as other:
        sql.execute("LOCK provisioner.users")
        with pytest.raises(StoreUnavailable, match="took too long"):
            ask(other)


def test_a_connection_that_was_cut_while_idle_is_replaced_unnoticed(
    store: Store, sql: psycopg.Connection[object]
) -> None:
    ask(store)
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'provisioner'"
    )
    assert ask(store) is None


def test_a_statement_of_a_command_that_was_killed_ends_soon(
    store: Store, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    program = """
        import sys
        from sqlalchemy import text
        from provisioner.store import Store
        with Store(sys.stdin.readline().strip()).transaction(actor="tester", command="x") as tx:
            tx._connection.execute(text("SELECT pg_sleep(60)"))
    """
    busy = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        process.stdin.write(store.url.render_as_string(hide_password=False) + "\n")
        process.stdin.flush()
        try:
            assert wait_until(lambda: bool(sql.execute(busy).fetchall()), 20)
        finally:
            process.kill()
    assert wait_until(lambda: not sql.execute(busy).fetchall(), 10)


def test_a_server_killed_within_a_transaction_is_one_error_and_nothing_is_half_written(home: Path) -> None:
    embedded = Embedded(home)
    pid = pid_of(embedded)

    def users() -> Iterator[User]:
        yield user("anna", "7001")
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not is_alive(pid), 10)
        time.sleep(0.3)  # the backends notice, and end
        yield user("bob", "7002")

    with Store(embedded.ensure_running()) as store:
        store.upgrade()
        with pytest.raises(StoreUnavailable, match=r"(does not answer|ended the connection)"):
            add(store, users())
    with Store(embedded.ensure_running()) as store:
        assert ask(store) is None


def test_a_server_that_recovers_from_a_crash_is_waited_for(home: Path) -> None:
    url = Embedded(home).ensure_running()
    with Store(url) as store:
        store.upgrade()
    with psycopg.connect(address(url), autocommit=True) as busy:
        row = busy.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        # One backend killed: the server throws all others out and recovers.
        os.kill(row[0], signal.SIGKILL)
        assert wait_until(lambda: "reinitializing" in Embedded(home).log.read_text(), 10)
    with Store(url) as store:
        assert ask(store) is None


def test_a_connection_lost_during_the_commit_says_that_the_outcome_is_unknown(
    store: Store, sql: psycopg.Connection[object]
) -> None:
    sql.execute(
        "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$"
    )
    sql.execute(
        "CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON provisioner.users DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION stall()"
    )
    cut = threading.Timer(
        1.0,
        lambda: sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'provisioner'"
        ),
    )
    cut.start()
    with pytest.raises(StoreUnavailable, match="whether the change was written is unknown"):
        add(store, [user("anna", "7001")])
    cut.join()
