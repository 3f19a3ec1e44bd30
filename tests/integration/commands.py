"""The real command line in child processes, on a database of its own, and places where a test can stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from provisioner.lab import CommandResult
from provisioner.store import Embedded
from tests import warm
from tests.integration.conftest import address

Sql = psycopg.Connection[tuple[Any, ...]]

PATIENCE: Final = 60.0
_GATE: Final = 4711
_CHILD: Final = "application_name = 'provisioner' AND datname = current_database()"

# Where a gate can stand: the trigger that stops a command there until the test lets it go on.
GATES: Final[Mapping[str, str]] = {
    "writing users": "BEFORE INSERT OR UPDATE ON provisioner.users FOR EACH STATEMENT",
    "writing endpoints": "BEFORE INSERT OR UPDATE ON public.ps_endpoints FOR EACH STATEMENT",
    "amid a copy": "BEFORE INSERT ON provisioner.history FOR EACH ROW",
    "before the commit": "BEFORE DELETE ON provisioner.changes FOR EACH STATEMENT",
    "during the commit": "AFTER INSERT ON provisioner.changes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
}


def until(done: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until it is so; what it came to."""
    deadline = time.monotonic() + seconds
    while not (came := done()):
        assert time.monotonic() < deadline, what
        time.sleep(0.002)
    return came


class Ended(CommandResult):
    """What a command came to."""

    @property
    def errors(self) -> list[str]:
        """What it says went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


class Child:
    """A command in a process group of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        self.process.kill()
        if self.process.returncode is None:
            self.process.communicate(timeout=PATIENCE)

    def interrupt(self, number: signal.Signals) -> None:
        """Ctrl-C goes to the whole process group, as a terminal sends it; SIGTERM to the process."""
        if number == signal.SIGINT:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)

    def read_until(self, words: str) -> None:
        """Read what it says on stderr up to these words."""
        assert self.process.stderr is not None
        while words not in self.seen:
            more = os.read(self.process.stderr.fileno(), 65536).decode()
            assert more, f"it ended without {words!r}: {self.seen}"
            self.seen += more

    def end(self, say: str | None = None) -> Ended:
        """Wait for its end."""
        out, err = self.process.communicate(say, timeout=PATIENCE)
        return Ended(self.process.returncode, out, self.seen + (err or ""))


class Machine:
    """A home with its embedded server, one database in it, and the commands that run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []
        self.embedded = Embedded(folder / "home")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROVISIONER_")},
            "PROVISIONER_HOME": str(folder / "home"),
            "PROVISIONER_NUMBERS_RANGES": "20000-99999",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def start(self, *arguments: object, stdin: int = subprocess.DEVNULL) -> Child:
        process = subprocess.Popen(
            [sys.executable, "-m", "provisioner.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.children.append(Child(process))
        return self.children[-1]

    def fork(self, *arguments: object) -> warm.Forked:
        """The same from a process that has imported everything, its output in files."""
        return warm.Forked([str(argument) for argument in arguments], self.environment, folder=self.folder)

    def start_at_terminal(self, terminal: int, *arguments: object) -> Child:
        """The same as the foreground command of this terminal, where its stderr goes."""
        words = ["setsid", "--ctty", "--wait", sys.executable, "-m", "provisioner.cli", *map(str, arguments)]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment | {"TERM": "xterm"},
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
        )
        self.children.append(Child(process))
        return self.children[-1]

    def end_children(self) -> None:
        """End what a test that failed left running."""
        while self.children:
            process = self.children.pop().process
            if process.poll() is None:
                process.kill()
            with process:
                pass

    def run(self, *arguments: object, code: int | None = 0) -> Ended:
        """A command to its end, which is that exit code (None: whatever it is)."""
        done = self.fork(*arguments).end(PATIENCE)
        ended = Ended(done.code, done.out, done.err)
        assert code is None or ended.code == code, ended
        return ended

    def connect(self, database: str | None = None) -> Sql:
        url = self.embedded.ensure_running()
        return psycopg.connect(address(url.set(database=database or url.database)), autocommit=True)

    def anew(self) -> None:
        """The database as it was made, and no command at work."""
        self.end_children()
        with self.connect("postgres") as sql:
            sql.execute("DROP DATABASE provisioner WITH (FORCE)")
            sql.execute("CREATE DATABASE provisioner TEMPLATE made")

    def node(self, port: int) -> None:
        """Give the settings one node, at this port."""
        (self.folder / "provisioner.toml").write_text(
            f'[nodes.pbx1]\nhost = "127.0.0.1"\nport = {port}\nusername = "x"\nsecret = "not-a-real-one"\n'
        )

    def csv(self, name: str, rows: Sequence[str], header: str = "login,name,email,number,lines") -> Path:
        path = self.folder / name
        path.write_text("\n".join([header, *rows, ""]))
        return path


@contextmanager
def running_machine(folder: Path) -> Iterator[Machine]:
    """A machine whose server ends with the block; nothing of it goes on."""
    made = Machine(folder)
    try:
        made.run("db", "upgrade")
        with made.connect("postgres") as sql:
            sql.execute("CREATE DATABASE made TEMPLATE provisioner")
        yield made
    finally:
        made.end_children()
        made.embedded.stop()


def people(
    count: int, *, name: str = "Anna Nowak", lines: int = 2, prefix: str = "user", first: int = 20000
) -> list[str]:
    """Rows of a CSV: that many users, with numbers from ``first``."""
    return [
        f"{prefix}{i:05d},{name} {i},{prefix}{i:05d}@example.org,{first + i},{lines}" for i in range(count)
    ]


class Gate:
    """A place in the database where commands stop until it is opened."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def until_reached(self) -> None:
        until(lambda: waiting(self._sql), "nobody came to the gate")

    def open(self) -> None:
        self._sql.execute("SELECT pg_advisory_unlock(%s)", [_GATE])


@contextmanager
def gate(machine: Machine, place: str) -> Iterator[Gate]:
    """Stop every command at this place (see GATES), until the gate is opened or the block ends."""
    with machine.connect() as sql:
        sql.execute("SELECT pg_advisory_lock(%s)", [_GATE])
        kind = "CONSTRAINT TRIGGER" if "DEFERRED" in place_of(place) else "TRIGGER"
        sql.execute(
            f"""
            CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock_shared({_GATE}); RETURN NEW; END $$;
            CREATE {kind} gate {place_of(place)} EXECUTE FUNCTION public.gate();
            """.encode()
        )
        try:
            yield Gate(sql)
        finally:
            sql.execute("SELECT pg_advisory_unlock_all()")
            until(lambda: not children(sql), "a command's connection stays behind the gate")
            sql.execute("DROP FUNCTION public.gate CASCADE")


def place_of(place: str) -> str:
    return GATES[place]


@contextmanager
def locked(machine: Machine, table: str) -> Iterator[Gate]:
    """Nobody else reads this table until the block ends."""
    with machine.connect() as sql, machine.connect() as holder, holder.transaction():
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield Gate(sql)


def waiting(sql: Sql) -> int:
    """How many commands wait for a lock."""
    return _count(sql, f"{_CHILD} AND wait_event_type = 'Lock'")


def children(sql: Sql) -> int:
    """How many connections commands have."""
    return _count(sql, _CHILD)


def _count(sql: Sql, which: str) -> int:
    row = sql.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {which}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def nothing_is_left(sql: Sql) -> None:
    """Once a command is gone: no connection of it, and so no lock or temporary table either."""
    until(lambda: not children(sql), "a connection of a command that is gone")
    found = sql.execute(
        "SELECT relname FROM pg_class WHERE relpersistence = 't' UNION ALL SELECT gid FROM pg_prepared_xacts"
    ).fetchall()
    assert found == []
