"""An `apply` of 10,000 users that is killed at any moment: all of it is there, or nothing."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.integration.commands import (
    PATIENCE,
    Machine,
    Sql,
    children,
    gate,
    locked,
    nothing_is_left,
    people,
    until,
)
from tests.integration.state import State, state
from tests.warm import Forked

COUNT: Final = 10_000
KILLS: Final = 50
SEED: Final = 20261101


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

    def words(self, is_b: bool) -> tuple[object, ...]:
        return ("apply", self.files[is_b], "--yes", "--force", "--quiet")

    def start(self, is_b: bool) -> Forked:
        return self.machine.fork(*self.words(is_b))

    def end(self, is_b: bool) -> None:
        """Apply a file to its end; its node is away."""
        self.told()
        ended = self.machine.run(*self.words(is_b), code=1)
        assert len(ended.errors) == 1, ended
        assert ended.errors[0].startswith("error: written, but node pbx1 not told"), ended
        self.is_b, self.now = is_b, None

    def told(self) -> None:
        """As if the node had come back meanwhile, and had carried everything out."""
        if self.sql.execute("DELETE FROM provisioner.outbox").rowcount:
            self.now = None

    def kill(self, when: Callable[[Forked], object]) -> bool:
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


def at(seconds: float) -> Callable[[Forked], object]:
    """So long after the start, or at its end if that comes earlier."""
    return lambda child: child.wait(seconds)


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

        def kill(child: Forked) -> None:
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
