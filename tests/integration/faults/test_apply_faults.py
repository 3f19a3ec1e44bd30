"""An `apply` that is killed at a certain point, or loses its database: all of it is there, or nothing."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress

import psycopg
import pytest

from tests.integration.commands import (
    PATIENCE,
    Machine,
    Sql,
    gate,
    people,
    until,
)
from tests.integration.state import state


@pytest.mark.parametrize("sign", ["port", "data/postmaster.pid"])
def test_killed_while_it_starts_the_server_the_next_one_starts_it_and_ends_the_work(
    machine: Machine, sign: str
) -> None:
    file = machine.csv("office.csv", people(20))
    machine.embedded.stop()
    folder = machine.embedded.log.parent
    (folder / "port").unlink()
    child = machine.start("apply", file, "--yes", "--quiet")
    until(lambda: (folder / sign).exists(), f"no {sign}")
    child.kill()
    machine.run("apply", file, "--yes", "--quiet")
    with machine.connect() as sql:
        assert state(sql).changes == {1: 20}


@pytest.mark.parametrize("place", ["writing users", "before the commit"])
def test_killed_once_the_secrets_are_on_disk_the_same_command_ends_it(
    machine: Machine, sql: Sql, place: str
) -> None:
    file = machine.csv("office.csv", people(20))
    words = ("apply", file, "--yes", "--quiet", "--secrets-out", machine.folder / "secrets.csv")
    with gate(machine, place) as stop:
        child = machine.start(*words)
        stop.until_reached()
        child.kill()
    machine.run(*words)
    assert (machine.folder / "secrets.csv").read_text().count("\n") == 21
    assert list(state(sql).changes.values()) == [20]


def test_killed_after_the_commit_the_secrets_in_force_are_kept_from_the_next_one(
    machine: Machine, sql: Sql
) -> None:
    secrets = machine.folder / "secrets.csv"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        machine.node(silent.getsockname()[1])
        file = machine.csv("office.csv", people(20))
        child = machine.start("apply", file, "--yes", "--secrets-out", secrets)
        connection, _ = silent.accept()
        with connection:
            child.kill()
    kept = secrets.read_text()
    more = machine.csv("office.csv", people(30))
    ended = machine.run("apply", more, "--yes", "--secrets-out", secrets, code=1)
    assert "may hold the only copy of secrets" in ended.err
    assert secrets.read_text() == kept
    assert state(sql).changes == {1: 20}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("amid a copy", "error: Nothing was written: "),
        ("writing endpoints", "error: Nothing was written: "),
        ("before the commit", "error: Nothing was written: "),
        ("during the commit", "whether the change was written is unknown"),
    ],
)
def test_a_server_killed_meanwhile_is_one_sentence_and_the_next_one_starts_it_and_ends_the_work(
    machine: Machine, place: str, said: str
) -> None:
    file, secrets = machine.csv("office.csv", people(300)), machine.folder / "secrets.csv"
    server = machine.embedded.status().pid
    assert server is not None
    with suppress(psycopg.OperationalError), gate(machine, place) as stop:  # it dies with the server
        child = machine.start("apply", file, "--yes", "--secrets-out", secrets)
        stop.until_reached()
        os.kill(server, signal.SIGKILL)
        ended = child.end()
    assert (ended.code, len(ended.errors)) == (1, 1), ended
    assert said in ended.errors[0]
    assert secrets.exists() == ("unknown" in said), "only in doubt are secrets kept"
    assert (str(secrets) in ended.errors[0]) == secrets.exists()
    machine.run("plan", file, "--exit-code", "--quiet", code=3)
    machine.run("apply", file, "--yes", "--secrets-out", machine.folder / "others.csv")
    with machine.connect() as sql:
        assert list(state(sql).changes.values()) == [300]


def test_a_statement_that_takes_too_long_is_one_sentence_and_nothing_is_written(
    machine: Machine, sql: Sql
) -> None:
    machine.environment["PROVISIONER_DATABASE_STATEMENT_TIMEOUT"] = "1"
    try:
        with gate(machine, "writing endpoints"):
            ended = machine.run("apply", machine.csv("office.csv", people(300)), "--yes", code=1)
    finally:
        del machine.environment["PROVISIONER_DATABASE_STATEMENT_TIMEOUT"]
    assert len(ended.errors) == 1
    assert ended.errors[0].startswith("error: Nothing was written: ")
    assert "took too long" in ended.errors[0]
    assert state(sql).changes == {}


def test_a_full_disk_is_one_sentence_and_nothing_is_written(machine: Machine, sql: Sql) -> None:
    # What PostgreSQL raises when it is full, at the place where it would.
    sql.execute(
        """
        CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device'
            USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON public.ps_endpoints FOR EACH STATEMENT
            EXECUTE FUNCTION public.full();
        """
    )
    file = machine.csv("office.csv", people(300))
    ended = machine.run("apply", file, "--yes", code=1)
    assert len(ended.errors) == 1
    assert ended.errors[0].startswith("error: Nothing was written: ")
    assert "No space left on device" in ended.errors[0]
    assert state(sql).changes == {}
    sql.execute("DROP FUNCTION public.full CASCADE")
    machine.run("apply", file, "--yes", "--quiet")
    assert list(state(sql).changes.values()) == [300]


def test_one_bad_row_among_100_000_is_named_and_nothing_is_written(machine: Machine, sql: Sql) -> None:
    rows = people(100_000, first=100_000)
    rows[77_777] = rows[77_777].replace(",177777,", ",17x777,")
    file = machine.csv("office.csv", rows)
    before = state(sql)
    started = time.monotonic()
    ended = machine.run("apply", file, "--yes", code=1)
    print(f"\n{time.monotonic() - started:.1f} s")
    assert len(ended.errors) == 2
    assert ended.errors[0].startswith(f"error: {file}:77779: number: ")
    assert ended.errors[1] == f"error: 1 problem in 1 line of {file}; nothing was written"
    assert state(sql) == before
