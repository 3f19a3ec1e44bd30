"""The real daemon in a child process, on a database of the test and on scripted nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL

from provisioner.lab.waiting import wait_for
from tests.integration.conftest import address
from tests.unit.ami.fake import FakeNode

Sql = psycopg.Connection[tuple[Any, ...]]
PATIENCE: Final = 120.0
SECRET: Final = "ami-secret"


class Daemon:
    """One ``provisioner sync``; ``lines`` is what it has logged."""

    def __init__(self, config: Path, home: Path, port: int = 0) -> None:
        self.lines: list[dict[str, Any]] = []
        self.port = port
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROVISIONER_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provisioner.cli", "--config", str(config), "sync"],
            env={
                **inherited,
                "PROVISIONER_HOME": str(home),
                "PROVISIONER_SYNC_PORT": str(port),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            assert SECRET not in line
            self.lines.append(json.loads(line))

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The lines of this event that say so."""
        return [
            line
            for line in self.lines
            if line["event"] == event and all(line.get(key) == value for key, value in fields.items())
        ]

    def until(self, event: str, times: int = 1, **fields: object) -> dict[str, Any]:
        """Wait until it has logged this event so often; the last of them."""

        deadline = time.monotonic() + PATIENCE
        while len(found := self.logged(event, **fields)) < times:
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, f"{event!r} in {self.lines}"
            time.sleep(0.01)
        return found[-1]

    def page(self, path: str) -> tuple[int, str]:
        """What it answers on its port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answered:
                return answered.status, answered.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def health(self) -> tuple[int, dict[str, Any]]:
        status, text = self.page("/health")
        return status, json.loads(text)

    def say(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """End it; its exit code and the seconds that it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.say(number)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code, time.monotonic() - started


class Site:
    """A settings file in a folder, and the daemons that run on it."""

    def __init__(self, folder: Path, database: URL) -> None:
        self.config = folder / "provisioner.toml"
        self.database = database
        self.daemons: list[Daemon] = []

    def write(self, nodes: Iterable[tuple[str, int]], sync: str = "", asterisk: str = "") -> None:
        """Settings with these nodes, by name and port."""
        parts = [
            f'[database]\nurl = "{address(self.database)}"',
            f"[sync]\n{sync}",
            f"[asterisk]\n{asterisk}",
        ]
        parts += [
            f'[nodes.{name}]\nport = {port}\nsecret = "{SECRET}"\nconnect_timeout = 5' for name, port in nodes
        ]
        self.config.write_text("\n".join([*parts, ""]))

    def start(self, port: int = 0) -> Daemon:
        self.daemons.append(Daemon(self.config, self.config.parent / "home", port))
        return self.daemons[-1]

    def end(self) -> None:
        for daemon in self.daemons:
            if daemon.process.returncode is None:
                daemon.stop(signal.SIGKILL)


@contextmanager
def site(folder: Path, database: URL) -> Iterator[Site]:
    """Its daemons end with the block."""
    made = Site(folder, database)
    try:
        yield made
    finally:
        made.end()


def expired(fake: FakeNode) -> set[tuple[str, str]]:
    """Type and id of every object that the node was told to forget by name."""
    return {
        (told["Cache"].removeprefix("res_pjsip/"), told["Object"])
        for told in list(fake.received)
        if told["Action"] == "SorceryMemoryCacheExpireObject"
    }


def until(so: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    wait_for(what, so, PATIENCE, every=0.005)


def endpoints(sql: Sql, ids: Iterable[str]) -> None:
    """Rows of these endpoints, made the way another program would."""
    ids = list(ids)
    sql.execute(
        "INSERT INTO ps_auths (id, auth_type, username, password) "
        "SELECT id, 'userpass', id, 'not-a-real-one' FROM unnest(%s::text[]) AS id",
        [ids],
    )
    sql.execute("INSERT INTO ps_aors (id, max_contacts) SELECT id, 1 FROM unnest(%s::text[]) AS id", [ids])
    sql.execute(
        "INSERT INTO ps_endpoints (id, auth, aors, context) SELECT id, id, id, 'users' "
        "FROM unnest(%s::text[]) AS id",
        [ids],
    )


def change(sql: Sql, id: str, callerid: str = "x") -> None:
    """One change of one endpoint, as psql would make it."""
    sql.execute("UPDATE ps_endpoints SET callerid = %s WHERE id = %s", [callerid, id])


def all_is_told(sql: Sql) -> bool:
    """Whether every node was told all there is; what they all know is gone from the outbox."""
    row = sql.execute(
        "SELECT NOT EXISTS (SELECT FROM provisioner.outbox) "
        "AND NOT EXISTS (SELECT FROM provisioner.nodes WHERE position IS NULL OR whole)"
    ).fetchone()
    return row is not None and bool(row[0])
