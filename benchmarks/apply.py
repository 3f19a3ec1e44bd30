"""A file of users and the database, through the real command line: first, again, with 1 % changed, and read.

Ours is a whole command from its start to its end: Python's own start, the file read and checked, secrets
made, history kept, the commit. No node is told here; ``reload`` measures that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import psql
from benchmarks.databases import Databases
from benchmarks.measure import Row, Run, child, say, take_turns
from benchmarks.people import changed, people, spoilt, write_csv

ROUNDS: Final = 3

_COPY: Final = "psql \\copy of the same rows"
_ORM: Final = "ORM loop, three tables alone"
_SELECT: Final = "SELECT * of all it filled"
_STATE: Final = "SELECT * less the history"
_PARSE: Final = "Python's csv reads the file"

_PARSER: Final = "import csv, sys\nfor row in csv.reader(open(sys.argv[1], newline='')): pass"
_HISTORY: Final = frozenset({"changes", "history", "past_secrets"})


class Office:
    """The inputs of one size, and databases that they go into."""

    def __init__(self, databases: Databases, folder: Path, size: int) -> None:
        everybody = people(size)
        self.size = size
        self.databases = databases
        self.folder = folder
        self.users = write_csv(everybody, folder / "users.csv")
        self.changed = write_csv(changed(everybody), folder / "changed.csv")
        self.spoilt = write_csv(spoilt(everybody), folder / "spoilt.csv")
        self.fresh = databases.fresh("fresh")
        self.filled = self.fresh
        self.current = self.users
        """What the filled database holds."""

    @property
    def how_many(self) -> str:
        """For the name of a row."""
        return f"{self.size:,} users"

    def target(self, ratio: float) -> float | None:
        """Ratios are aimed at for many users; of few, most of the time is the start of the command."""
        return ratio if self.size >= 100_000 else None

    @property
    def other(self) -> Path:
        """The input that differs from what the database holds in 1 %."""
        return self.changed if self.current == self.users else self.users

    @property
    def tables(self) -> tuple[psql.Table, ...]:
        """Those that an apply fills."""
        return psql.filled(self.filled, self.fresh)

    def first(self) -> Run:
        """Everybody into a new database."""
        self.filled = self.databases.fresh("filled")
        secrets = self.folder / "secrets.csv"
        secrets.unlink(missing_ok=True)
        return self.apply(self.users, "--secrets-out", str(secrets))

    def copied(self) -> Run:
        """The limit: psql loads every row that there is then into a new database of the same making."""
        tables = self.tables
        psql.copy_out(self.filled, tables, self.folder)
        rival = self.databases.fresh("copied")
        taken = psql.copy_in(rival, tables, self.folder)
        if psql.count(rival, tables) != psql.count(self.filled, tables):
            raise RuntimeError("psql loaded other rows than there were")
        return taken

    def looped(self) -> Run:
        """The rival that most projects have written."""
        return self.databases.fresh("looped").python("benchmarks.orm", str(self.users))

    def some(self) -> Run:
        """Apply the input with 1 % changed, there and back."""
        self.current = self.other
        return self.apply(self.current)

    def apply(self, file: Path, *options: str, code: int = 0) -> Run:
        """``provisioner apply`` of a file to the filled database; ``code`` is how it has to end."""
        return self._run("apply", str(file), "--source", "office", "--yes", "--quiet", *options, code=code)

    def plan(self) -> Run:
        """``provisioner plan`` of 1 % changed; 3 says that there is a difference."""
        return self._run("plan", str(self.other), "--source", "office", "--quiet", "--exit-code", code=3)

    def _run(self, *arguments: str, code: int = 0) -> Run:
        self.filled.settle()
        return self.filled.provisioner(*arguments, code=code)

    def export(self) -> Run:
        """Every user as CSV."""
        return self._run("export", "--format", "csv")

    def drift(self) -> Run:
        """Records against rows."""
        return self._run("drift", "--exit-code")

    def parsed(self) -> Run:
        """The limit of refusing a file: Python alone reads it."""
        return child([sys.executable, "-c", _PARSER, str(self.spoilt)])


def run(size: int, rounds: int = ROUNDS) -> Iterator[Row]:
    """The rows of one size. At 100,000 users most of the time is the ORM's: two to three minutes a round."""
    with Databases() as databases, TemporaryDirectory(prefix="provisioner-bench-files-") as folder:
        say(f"{size:,} users: file and database")
        yield from rows(Office(databases, Path(folder), size), rounds)


def rows(office: Office, rounds: int) -> Iterator[Row]:
    """First everybody into new databases, each time another; then what is done with the last of them."""
    yield from _first(office, rounds)
    # As autovacuum leaves it a minute later; it would begin in the middle of a round.
    office.filled.ask(b"VACUUM ANALYZE")
    yield from _again(office, rounds)


def _first(office: Office, rounds: int) -> Iterator[Row]:
    name = f"first apply, {office.how_many}"
    runs = take_turns({name: office.first, _COPY: office.copied, _ORM: office.looped}, rounds)
    yield Row(name, runs[name], _COPY, runs[_COPY], office.target(6.0))
    yield Row(name, runs[name], _ORM, runs[_ORM])


def _again(office: Office, rounds: int) -> Iterator[Row]:
    users = office.how_many
    tables = office.tables
    state = [table for table in tables if table[1] not in _HISTORY]
    nothing, some = f"apply of no change, {users}", f"apply of 1 % changed, {users}"
    reading = {
        f"plan of 1 % changed, {users}": office.plan,
        f"export, {users}": office.export,
        f"drift from records, {users}": office.drift,
    }
    refusal = f"refusing a bad last row, {users}"
    runs = take_turns(
        {
            nothing: lambda: office.apply(office.current),
            some: office.some,
            **reading,
            _SELECT: lambda: psql.select(office.filled, tables),
            _STATE: lambda: psql.select(office.filled, state),
            refusal: lambda: office.apply(office.spoilt, code=1),
            _PARSE: office.parsed,
        },
        rounds,
    )
    for name in (nothing, some):
        yield Row(name, runs[name], _SELECT, runs[_SELECT], office.target(4.0))
        yield Row(name, runs[name], _STATE, runs[_STATE])
    for name in reading:
        yield Row(name, runs[name], _STATE, runs[_STATE])
    yield Row(refusal, runs[refusal], _PARSE, runs[_PARSE])
