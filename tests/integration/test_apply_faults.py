"""An `apply` that is killed, or loses its database, at any moment: all of it is there, or nothing."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg
import pytest

from tests.integration.commands import (
    PATIENCE,
    Child,
    Machine,
    Sql,
    State,
    children,
    gate,
    locked,
    nothing_is_left,
    people,
    state,
    until,
)

COUNT: Final = 10_000
KILLS: Final = 50
SEED: Final = 20261101


@pytest.fixture
def sql(machine: Machine) -> Iterator[Sql]:
    with machine.connect() as connection:
        yield connection


@dataclass
class Office:
    """10,000 users, and two files that differ in every one of them; one of the two is in force."""

    machine: Machine
    sql: Sql
    is_b: bool = False
    meaning: dict[bool, dict[str, str]] = field(default_factory=dict)
    newest: dict[bool, str] = field(default_factory=dict)
    seconds: float = PATIENCE
    now: State | None = None
    """What is in the database since the last kill, where nothing was written meanwhile."""

    def __post_init__(self) -> None:
        (self.machine.folder / "a").mkdir()
        (self.machine.folder / "b").mkdir()
        self.files = {
            False: self.machine.csv("a/office.csv", people(COUNT)),
            True: self.machine.csv("b/office.csv", people(COUNT, name="Ola Kowalska", lines=3)),
        }
        self.end(False)
        for is_b in (True, False):
            started = time.monotonic()
            self.end(is_b)
            # The quicker of two: what else the machine does must not move all moments beyond the end.
            self.seconds = min(self.seconds, time.monotonic() - started)
            now = state(self.sql)
            self.meaning[is_b], self.newest[is_b] = dict(now.meaning), now.newest

    def start(self, is_b: bool) -> Child:
        return self.machine.start("apply", self.files[is_b], "--yes", "--force", "--quiet")

    def end(self, is_b: bool) -> None:
        """Apply a file to its end; its node is away."""
        self.told()
        ended = self.start(is_b).end()
        assert (ended.code, len(ended.errors)) == (1, 1), ended
        assert ended.errors[0].startswith("error: written, but node pbx1 not told"), ended
        self.is_b, self.now = is_b, None

    def told(self) -> None:
        """As if the node had come back meanwhile, and had carried everything out."""
        if self.sql.execute("DELETE FROM provisioner.outbox").rowcount:
            self.now = None

    def kill(self, when: Callable[[Child], None]) -> bool:
        """Kill an apply of the other file at a moment; whether it had been committed.

        Whichever it is, all tables say the same, and nothing of the command is left.
        """
        self.told()
        before, wanted = self.now or state(self.sql), not self.is_b
        child = self.start(wanted)
        when(child)
        child.kill()
        nothing_is_left(self.sql)
        self.now = now = state(self.sql)
        if not now.differing(before):
            assert now == before
            return False
        self.is_after(before, now, wanted)
        self.is_b = wanted
        return True

    def is_after(self, before: State, now: State, wanted: bool) -> None:
        assert now.meaning == self.meaning[wanted], now.differing(before)
        new = set(now.changes) - set(before.changes)
        assert {id: now.changes[id] for id in new} == {max(now.changes): COUNT}
        assert {id: count for id, count in now.changes.items() if id not in new} == before.changes
        assert now.newest == self.newest[wanted]
        assert now.versions == new
        assert now.told == {"pbx1": COUNT}
        assert set(now.differing(before)) == {
            "provisioner.users",
            "provisioner.extensions",
            "provisioner.changes",
            "provisioner.outbox",
            "public.ps_endpoints",
            "public.ps_aors",
        }


def at(seconds: float) -> Callable[[Child], None]:
    """So long after the start, or at its end if that comes earlier."""

    def wait(child: Child) -> None:
        with suppress(Exception):
            child.process.wait(seconds)

    return wait


@pytest.mark.timeout(600)
def test_killed_at_fifty_moments_it_has_done_all_or_nothing_and_the_next_one_ends_it(
    machine: Machine, sql: Sql
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = taken.getsockname()[1]  # nobody will answer there
    machine.node(away)
    office = Office(machine, sql)
    chance = random.Random(SEED)
    placed = _placed_kills(office, away)
    timed = KILLS - len(placed)
    # One moment in each of so many equal parts of a run, and a bit beyond its usual end.
    moments = [(part + chance.random()) / timed * office.seconds * 1.1 for part in range(timed)]
    chance.shuffle(moments)
    outcomes = {name: kill() for name, kill in placed.items()}
    committed = 0
    for number, moment in enumerate(moments):
        committed += office.kill(at(moment))
        if number % 10 == 9:
            office.end(not office.is_b)
            assert state(sql).meaning == office.meaning[office.is_b]
    before = {name for name, done in outcomes.items() if not done}
    assert before == set(placed) - {"once committed", "telling the node"}, outcomes
    assert len(placed) + len(moments) == KILLS
    office.end(not office.is_b)
    assert state(sql).meaning == office.meaning[office.is_b]
    print(f"\na run: {office.seconds:.1f} s; {timed} timed kills, {committed} of them after the commit")


def _placed_kills(office: Office, away: int) -> dict[str, Callable[[], bool]]:
    """Kills at moments that chance may miss, by name; each returns whether the change was committed."""
    machine, sql = office.machine, office.sql

    def gated(place: str) -> Callable[[], bool]:
        def kill() -> bool:
            with gate(machine, place) as stop:
                return office.kill(lambda child: stop.until_reached())

        return kill

    def planning() -> bool:
        with locked(machine, "provisioner.users") as stop:
            child = office.start(not office.is_b)
            stop.until_reached()
            child.kill()
        nothing_is_left(sql)
        assert office.now is None or not state(sql).differing(office.now)
        return False

    def once_committed() -> bool:
        """It is on disk, and the server has not said so yet: it waits for a replica that never comes."""

        def kill(child: Child) -> None:
            until(lambda: _waits_for(sql, "SyncRep"), "nobody waits for a replica")
            child.kill()
            _synchronous(sql, "")

        _synchronous(sql, "nobody")
        return office.kill(kill)

    def telling() -> bool:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(PATIENCE)
            machine.node(silent.getsockname()[1])
            try:
                return office.kill(lambda child: silent.accept()[0].close())
            finally:
                machine.node(away)

    def connected() -> bool:
        return office.kill(lambda child: until(lambda: children(sql), "it never connects"))

    return {
        "at its start": lambda: office.kill(at(0.01)),
        "connected": connected,
        "planning": planning,
        "writing users": gated("writing users"),
        "amid a copy": gated("amid a copy"),
        "writing endpoints": gated("writing endpoints"),
        "before the commit": gated("before the commit"),
        "during the commit": gated("during the commit"),
        "once committed": once_committed,
        "telling the node": telling,
    }


def _synchronous(sql: Sql, names: str) -> None:
    sql.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
    sql.execute("SELECT pg_reload_conf()")
    wanted = "SELECT current_setting('synchronous_standby_names') = %s"
    until(lambda: (row := sql.execute(wanted, [names]).fetchone()) and row[0], "the setting is not taken")


def _waits_for(sql: Sql, event: str) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE application_name = 'provisioner' AND wait_event = %s"
    return sql.execute(query, [event]).fetchone() is not None


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
