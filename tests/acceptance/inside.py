"""The command line within this process: hundreds of commands in the time that a few processes take."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from click.testing import CliRunner

from provisioner.cli import main
from provisioner.lab import CommandResult, Lab
from provisioner.lab.lab import NODE


@dataclass(frozen=True, slots=True)
class Ran(CommandResult):
    """What a command did, how long it took, and what escaped from it, which nothing should."""

    seconds: float
    escaped: BaseException | None


class Inside:
    """Runs commands on a lab's settings: its database, its Asterisk, or a port in front of that one's AMI."""

    def __init__(self, lab: Lab, ami_port: int | None = None) -> None:
        self.environment = {
            "PROVISIONER_HOME": str(lab.home),
            "PROVISIONER_CONFIG": str(lab.config),
            **({f"PROVISIONER_NODES_{NODE.upper()}_PORT": str(ami_port)} if ami_port else {}),
        }

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        started = time.monotonic()
        done = CliRunner().invoke(main, list(arguments), input=stdin, env=self.environment)
        escaped = None if isinstance(done.exception, SystemExit) else done.exception
        return Ran(done.exit_code, done.stdout, done.stderr, time.monotonic() - started, escaped)


class Wiretap:
    """A port that passes everything on to an AMI and keeps what was sent to it, one mapping an action.

    A line that is no header makes a header of the empty name, so nothing that was sent is lost.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sent: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, name="wiretap", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._sockets):
            # This wakes the thread that waits for it; close() alone would leave it there.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @property
    def actions(self) -> list[list[tuple[str, str]]]:
        """The headers of every action so far, in their order."""
        frames = [frame for sent in self._sent for frame in bytes(sent).split(b"\r\n\r\n") if frame]
        return [[_header(line) for line in frame.decode().split("\r\n")] for frame in frames]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            server.settimeout(None)
            self._sockets += [client, server]
            sent = bytearray()
            self._sent.append(sent)
            for source, sink, keep in ((client, server, sent.extend), (server, client, _forget)):
                threading.Thread(target=_pass_on, args=(source, sink, keep), daemon=True).start()


def _header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(": ")
    return (name, value) if separator else ("", line)


def _forget(_: bytes) -> None:
    """What Asterisk answers is not kept."""


def _pass_on(source: socket.socket, sink: socket.socket, keep: Callable[[bytes], None]) -> None:
    try:
        while chunk := source.recv(65536):
            keep(chunk)
            sink.sendall(chunk)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Database:
    """A lab's database, seen by its owner."""

    lab: Lab
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.lab.must("db", "url").strip()

    def ask(self, query: str, arguments: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows that a query finds."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, arguments).fetchall()

    def do(self, statement: str) -> None:
        """Run a statement of its owner's."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def flush(self) -> None:
        """Have everything written into the files."""
        self.do("CHECKPOINT")

    def tables(self) -> list[str]:
        """Every table of every schema but PostgreSQL's own, quoted."""
        return [
            name
            for (name,) in self.ask(
                "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables "
                "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
            )
        ]

    def shape(self) -> list[tuple[Any, ...]]:
        """What only a statement of somebody else's could change: columns, functions, triggers, roles.

        Views get a column when somebody fills it.
        """
        return self.ask(
            """
            SELECT 'column', table_schema, table_name, column_name, data_type FROM information_schema.columns
            WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'provisioner_nodes')
            UNION ALL
            SELECT 'function', nspname, proname, prosrc, '' FROM pg_proc
            JOIN pg_namespace ON pg_namespace.oid = pronamespace
            WHERE nspname NOT IN ('pg_catalog', 'information_schema')
            UNION ALL
            SELECT 'trigger', '', tgname, tgrelid::regclass::text, '' FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL
            SELECT 'role', '', rolname, rolsuper::text, rolcanlogin::text FROM pg_roles
            ORDER BY 1, 2, 3, 4, 5
            """
        )
