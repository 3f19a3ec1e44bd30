"""A PostgreSQL server of the bench alone, and migrated databases on it, each with settings that name it."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg import sql

from benchmarks.measure import Run, child
from benchmarks.people import FIRST_NUMBER, LAST_NUMBER
from provisioner.store import Embedded
from provisioner.store.programs import find_programs

NUMBERS: Final = {"ranges": [f"{FIRST_NUMBER}-{LAST_NUMBER}"]}
"""The settings of numbers that fit the people."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database: psql finds it by ``url`` and ``environment``, provisioner by the settings ``config``."""

    name: str
    url: str
    config: Path
    environment: Mapping[str, str]

    def provisioner(self, *arguments: str, code: int = 0) -> Run:
        """Run the real command line on it; ``code`` is how it has to end."""
        command = [sys.executable, "-m", "provisioner.cli", "--config", str(self.config), *arguments]
        return child(command, environment=self.environment, code=code)

    def python(self, module: str, *arguments: str) -> Run:
        """Run a module of ours as a program that gets the URL first."""
        return child([sys.executable, "-m", module, self.url, *arguments], environment=self.environment)

    def psql(self, *arguments: str) -> Run:
        """Run PostgreSQL's own client on it, of the server's version where that has one; an error ends it."""
        own = Path(find_programs()["psql"])
        program = str(own) if own.is_file() else "psql"
        command = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, self.url]
        return child(command, environment=self.environment)

    def ask(self, statement: sql.Composed | bytes) -> list[tuple[Any, ...]]:
        """What a statement answers, carried out by itself; nothing for one without an answer."""
        passfile = self.environment["PGPASSFILE"]
        with psycopg.connect(self.url, passfile=passfile, autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def settle(self) -> None:
        """Have everything on the disk, so that nobody pays for the one before."""
        self.ask(b"CHECKPOINT")


class Databases:
    """The server, ended with the block. Nobody is measured who starts it: it runs before and after."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="provisioner-bench-"))
        self._embedded = Embedded(self.home)

    def __enter__(self) -> Self:
        try:
            url = self._embedded.ensure_running()
            self._write("passfile", f"{url.host}:{url.port}:*:{url.username}:{url.password}\n")
            self._server = f"postgresql://{url.username}@{url.host}:{url.port}/"
            self._maintenance = self._database("postgres")
            self._maintenance.ask(b"CREATE DATABASE migrated TEMPLATE template0")
            self._database("migrated").provisioner("db", "upgrade")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fresh(self, name: str) -> Database:
        """A migrated database without users; one of that name that there was before is gone."""
        self.drop(name)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE migrated").format(sql.Identifier(name))
        self._maintenance.ask(create)
        made = self._database(name)
        made.settle()
        return made

    def open(self, name: str) -> Database:
        """The database of that name, which was made before."""
        return self._database(name)

    def drop(self, name: str) -> None:
        """Forget a database, where there is one of that name."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        self._maintenance.ask(statement)

    def close(self) -> None:
        """End the server and forget everything."""
        self._embedded.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _database(self, name: str) -> Database:
        url = f"{self._server}{name}"
        settings = f'[database]\nurl = "{url}"\npassword_file = "{self.home}/postgres/password"\n'
        settings += f"[numbers]\nranges = {json.dumps(NUMBERS['ranges'])}\n"
        config = self._write(f"{name}.toml", settings)
        found = {"PROVISIONER_HOME": str(self.home), "PGPASSFILE": str(self.home / "passfile")}
        return Database(name, url, config, {**found, "PGCLIENTENCODING": "UTF8"})

    def _write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path
