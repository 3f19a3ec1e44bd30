"""COPY: many rows in one go, with the deadline and the errors of every other statement."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Connection, text

from provisioner.errors import StoreError, StoreUnavailable
from provisioner.store import Store
from provisioner.store.copy import copy_rows
from provisioner.store.engine import make_engine

Sql = psycopg.Connection[tuple[object, ...]]

COLUMNS = ("id", "word", "number", "yes", "at", "list", "enum", "json", 'odd "name"')


@pytest.fixture
def table(sql: Sql) -> str:
    sql.execute("CREATE TYPE public.colour AS ENUM ('red', 'green')")
    sql.execute(
        "CREATE TABLE public.things (id text PRIMARY KEY, word text, number integer, yes boolean, "
        'at timestamptz, list text[], enum public.colour, json jsonb, "odd ""name""" text)'
    )
    return '"public"."things"'


@pytest.fixture
def connection(store: Store, table: str) -> Iterator[Connection]:
    engine = make_engine(store.url)
    with engine.connect() as connected:
        connected.begin()
        yield connected
    engine.dispose()


def test_every_kind_of_value_arrives_as_it_was(connection: Connection) -> None:
    at = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    rows = [
        (
            "1",
            "tab\tline\nend\r back\\slash \\N \\. Łódź 😀",
            7,
            True,
            at,
            ["a,b", '"', ""],
            "red",
            '{"a": 1}',
            "x",
        ),
        ("2", "", -1, False, at, [], "green", "null", "\\."),
        ("3", *[None] * 8),
    ]
    assert copy_rows(connection, '"public"."things"', COLUMNS, iter(rows)) == 3
    found = connection.execute(text("SELECT * FROM public.things ORDER BY id")).fetchall()
    assert [tuple(row) for row in found] == [
        (*rows[0][:7], {"a": 1}, "x"),
        (*rows[1][:7], None, "\\."),
        rows[2],
    ]


def test_no_rows_are_no_rows(connection: Connection) -> None:
    assert copy_rows(connection, '"public"."things"', ["id"], []) == 0


def test_what_was_copied_goes_with_the_transaction(connection: Connection, sql: Sql) -> None:
    copy_rows(connection, '"public"."things"', ["id"], [("1",)])
    connection.rollback()
    connection.begin()
    copy_rows(connection, '"public"."things"', ["id"], [("2",)])
    connection.commit()
    assert sql.execute("SELECT id FROM public.things").fetchall() == [("2",)]


def test_an_error_among_the_rows_leaves_a_connection_that_works(connection: Connection) -> None:
    def broken() -> Iterator[tuple[str]]:
        yield ("1",)
        raise LookupError("not a row")

    with pytest.raises(LookupError):
        copy_rows(connection, '"public"."things"', ["id"], broken())
    connection.rollback()
    assert connection.scalar(text("SELECT count(*) FROM public.things")) == 0


def test_a_refused_value_is_not_shown(store: Store) -> None:
    rows = [("7001", "geheim-4711", "1", "1", "a", "r", 2)]
    columns = ["number", "kind", "user_id", "position", "md5", "sha256", "lines"]
    with (
        pytest.raises(StoreError, match="a value was refused") as refused,
        store.transaction(actor="tester", command="x") as tx,
    ):
        copy_rows(tx._connection, '"provisioner"."extensions"', columns, rows)
    assert "geheim" not in "".join(traceback.format_exception(refused.value))


def interrupted() -> Iterator[tuple[str]]:
    yield ("1",)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
    yield ("2",)


def test_ctrl_c_between_two_rows_leaves_nothing_behind_and_a_store_that_works(store: Store, sql: Sql) -> None:
    sql.execute("CREATE TABLE public.things (id text)")
    with pytest.raises(KeyboardInterrupt), store.transaction(actor="tester", command="x") as tx:
        copy_rows(tx._connection, '"public"."things"', ["id"], interrupted())
    assert sql.execute("SELECT count(*) FROM public.things").fetchone() == (0,)
    with store.transaction(actor="tester", command="x") as tx:
        assert tx.count_of("office") == 0


def test_ctrl_c_while_the_server_works_ends_its_work(store: Store, sql: Sql) -> None:
    sql.execute("CREATE TABLE public.things (id text CHECK (pg_sleep(30) IS NOT NULL))")
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt), store.transaction(actor="tester", command="x") as tx:
            copy_rows(tx._connection, '"public"."things"', ["id"], [("1",)])
    finally:
        timer.cancel()
    assert time.monotonic() - began < 10
    with store.transaction(actor="tester", command="x") as tx:
        assert tx.count_of("office") == 0


def test_a_server_that_falls_silent_within_a_copy_is_given_up(
    database: object, store: Store, sql: Sql
) -> None:
    """The backend is stopped, as a frozen machine would be: it neither reads nor answers."""
    sql.execute("CREATE TABLE public.things (id text)")
    backends: list[int] = []

    def rows() -> Iterator[tuple[str]]:
        yield ("1",)
        backends.append(tx._connection.connection.driver_connection.info.backend_pid)  # type: ignore[union-attr]
        os.kill(backends[0], signal.SIGSTOP)
        for _ in range(200_000):
            yield ("x" * 100,)

    try:
        with Store(store.url, statement_timeout=1) as impatient:
            began = time.monotonic()
            with (
                pytest.raises(StoreUnavailable, match="silent"),
                impatient.transaction(actor="tester", command="x") as tx,
            ):
                copy_rows(tx._connection, '"public"."things"', ["id"], rows())
            assert time.monotonic() - began < 15
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
