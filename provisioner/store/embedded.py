"""The embedded PostgreSQL: made, started on demand, and stopped, under ``<home>/postgres/``.

It listens on 127.0.0.1 only, with scram-sha-256 and a generated password, so that a node reaches it over
TCP like any other server. Commands leave it running; two commands at once start one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from provisioner.errors import EmbeddedError
from provisioner.secret import Secret
from provisioner.store.locks import file_lock
from provisioner.store.postmaster import (
    Postmaster,
    clear_remains,
    find_postmaster,
    is_alive,
    kill_remains,
    stop_postmaster,
    wait_until,
)
from provisioner.store.programs import Programs, find_programs, run, unprivileged

ROLE: Final = "provisioner"
DATABASE: Final = "provisioner"
HOST: Final = "127.0.0.1"
# Below the ports that the kernel hands to outgoing connections (32768 up), so that a kept one stays free.
PORTS: Final = range(15432, 16432)

_START: Final = 60.0
# PostgreSQL 16 told to stop while it recovers from a crash may wait for ever; then it is told to stop at
# once, which loses nothing.
_STOP: Final = 15.0
_LOG_LIMIT: Final = 16 * 1024 * 1024
_ATTEMPTS: Final = 5

_SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Neither statements nor the values of rows get into the log: they may hold secrets.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What there is of the embedded server."""

    folder: Path
    log: Path
    made: bool
    """Whether its data folder exists."""
    running: bool
    pid: int | None
    port: int | None


class Embedded:
    """The embedded server of one home folder. Making one touches nothing.

    ``ports`` are those it may choose from when it is first started; the chosen one is kept, until somebody
    else listens there when it is started again.
    """

    def __init__(self, home: Path, ports: Sequence[int] = PORTS) -> None:
        self._folder = home.expanduser().resolve() / "postgres"
        self._data = self._folder / "data"
        self._ports = ports

    @property
    def log(self) -> Path:
        """The server's log: errors, never statements or values."""
        return self._folder / "server.log"

    def ensure_running(self) -> URL:
        """Make and start the server where needed; its URL, which shows no password when printed.

        Some milliseconds when it runs, about a second the first time. Raises EmbeddedError.
        """
        running = self._running()
        if running is None or not running.ready:
            with self._changing():
                running = self._started()
        return self._url(running)

    def stop(self) -> bool:
        """Stop the server cleanly; False where none ran. Raises EmbeddedError when it does not end."""
        if self._running() is None:
            return False
        with self._changing():
            if find_postmaster(self._data) is None:
                return False
            if not stop_postmaster(self._data, _STOP):
                raise EmbeddedError(f"The embedded PostgreSQL does not stop; its log is {self.log}.")
            return clear_remains(self._data)

    def status(self) -> EmbeddedStatus:
        """What there is, without starting anything."""
        running = self._running()
        return EmbeddedStatus(
            folder=self._folder,
            log=self.log,
            made=self._data.is_dir(),
            running=running is not None and running.ready,
            pid=running.pid if running else None,
            port=running.port if running else self._kept_port(),
        )

    def write_passfile(self) -> Path:
        """A passfile of the running server for libpq (its ``passfile`` parameter), for its owner alone.

        Raises EmbeddedError. Source: PostgreSQL's manual, "The Password File".
        """
        url = self.ensure_running()
        path = self._folder / "passfile"
        _write_private(path, f"{url.host}:{url.port}:{url.database}:{url.username}:{url.password}\n")
        return path

    def _running(self) -> Postmaster | None:
        try:
            return find_postmaster(self._data)
        except OSError as exc:
            raise EmbeddedError(f"The embedded PostgreSQL in {self._folder} cannot be used: {exc}") from exc

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Make, start and stop one at a time, also between processes; foreign errors become EmbeddedError."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with file_lock(self._folder / "lock", 2 * _START):
                yield
        except TimeoutError:
            raise EmbeddedError(
                f"Another command has been starting or stopping the embedded PostgreSQL in {self._folder} "
                f"for {2 * _START:.0f} s; end it and try again."
            ) from None
        except (OSError, subprocess.SubprocessError) as exc:
            raise EmbeddedError(f"The embedded PostgreSQL in {self._folder} cannot be set up: {exc}") from exc

    def _started(self) -> Postmaster:
        running = self._settled()
        if running is not None:
            return running
        if not self._data.is_dir():
            self._make()
        programs = find_programs(self._major())
        if not clear_remains(self._data):
            raise EmbeddedError(
                f"Processes of a killed PostgreSQL still work in {self._data}; end them first."
            )
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        port = self._kept_port()
        for _ in range(_ATTEMPTS):
            if port is None or not _is_free(port):
                port = self._choose_port()
            if (running := self._launch(programs, port)) is not None:
                return running
            if _is_free(port):
                break
        raise EmbeddedError(
            f"The embedded PostgreSQL does not start; the end of {self.log}:\n{self._log_end()}"
        )

    def _settled(self) -> Postmaster | None:
        """The running server, once it has finished starting or stopping."""

        def among(*states: str) -> bool:
            running = find_postmaster(self._data)
            return running is None or running.status in states

        if not wait_until(lambda: among("", "starting", "ready"), _STOP):
            stop_postmaster(self._data, 0)
        if not wait_until(lambda: among("ready"), _START):
            raise EmbeddedError(f"The embedded PostgreSQL neither starts nor ends; its log is {self.log}.")
        return find_postmaster(self._data)

    def _make(self) -> None:
        """A new data folder: built beside its place, then moved there whole."""
        programs = find_programs()
        for left in self._folder.glob("new-*"):  # of a command that was killed here
            kill_remains(left)
            shutil.rmtree(left, ignore_errors=True)
        secret = self._folder / "password"
        _write_private(secret, secrets.token_urlsafe(24))
        new = self._folder / f"new-{secrets.token_hex(4)}"
        options = [f"--username={ROLE}", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
        options += ["--locale=C", "--data-checksums", "--no-instructions"]
        run([*unprivileged(), programs["initdb"], "-D", str(new), *options])
        _write_private(new / "pg_hba.conf", f"host all all {HOST}/32 scram-sha-256\n")
        run(
            [*unprivileged(), programs["postgres"], "--single", "-D", str(new), "postgres"],
            f"CREATE DATABASE {DATABASE}\n",
        )
        new.rename(self._data)
        _sync_folder(self._folder)

    def _launch(self, programs: Programs, port: int) -> Postmaster | None:
        """Start the server, detached from this process; None when it ended at once."""
        _write_private(self._folder / "port", f"{port}\n")
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.rename(self.log.with_suffix(".log.1"))
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT, 0o600))
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        server = [*unprivileged(), programs["postgres"], "-D", str(self._data), "-p", str(port), *settings]
        # The shell ends at once, so the server becomes a child of init, which reaps it whenever it dies.
        shell = [
            "/bin/sh",
            "-c",
            'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!',
            "sh",
            str(self.log),
        ]
        pid = int(run([*shell, *server]))

        def settled() -> bool:
            running = find_postmaster(self._data)
            return running.ready if running is not None else not is_alive(pid)

        wait_until(settled, _START)
        running = find_postmaster(self._data)
        return running if running is not None and running.ready else None

    def _url(self, running: Postmaster) -> URL:
        try:
            password = Secret((self._folder / "password").read_text("utf-8").strip())
        except OSError as exc:
            raise EmbeddedError(
                f"The password of the embedded PostgreSQL cannot be read: {exc}; put the file back."
            ) from exc
        return URL.create("postgresql+psycopg", ROLE, password.reveal(), HOST, running.port, DATABASE)

    def _major(self) -> int:
        text = (self._data / "PG_VERSION").read_text("utf-8").strip()
        return int(text.split(".")[0])

    def _kept_port(self) -> int | None:
        try:
            text = (self._folder / "port").read_text("utf-8").strip()
        except OSError:
            return None
        return int(text) if text.isdigit() and 0 < int(text) < 65536 else None

    def _choose_port(self) -> int:
        # Each home starts looking at another place, so that two of them seldom meet.
        start = zlib.crc32(str(self._folder).encode()) % len(self._ports)
        for offset in range(len(self._ports)):
            port = self._ports[(start + offset) % len(self._ports)]
            if _is_free(port):
                return port
        raise EmbeddedError(
            f"No port from {self._ports[0]} to {self._ports[-1]} is free for the embedded PostgreSQL."
        )

    def _log_end(self) -> str:
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-5:])
        except OSError:
            return "(no log)"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
