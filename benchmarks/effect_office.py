"""A real Asterisk on realtime with an office in its database, a daemon that keeps it told, and phones."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import psycopg

from benchmarks.databases import NUMBERS, Database
from benchmarks.effect_probe import Change
from benchmarks.people import people, write_csv
from provisioner.lab import Lab
from provisioner.lab.sip import Registrant
from provisioner.lab.waiting import free_port, wait_for
from provisioner.records.secrets import digest
from provisioner.secret import Secret

AT_ONCE: Final = 16
"""How many phones make themselves known at the same time."""
_REALM: Final = "asterisk"
_CACHED: Final = re.compile(r"^Number of objects within cache: (\d+)", re.MULTILINE)
_TRANSACTIONS: Final = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Desk:
    """One user of the office."""

    login: str
    endpoint_id: str
    secret: Secret


class Office:
    """So many users by ``provisioner apply``; ``asterisk`` are settings over the lab's.

    Nobody is qualified: with ``qualify_frequency`` Asterisk reads every endpoint there is for the first
    contact of an AOR, which would take 10 s of its processor at 50,000.
    """

    def __init__(self, size: int, **asterisk: Any) -> None:
        self._size = size
        self.lab = Lab(numbers=NUMBERS, asterisk={"qualify_frequency": 0, **asterisk})
        self.commands: list[float] = []
        """What each command of :meth:`by_command` took, from its start to its end, in seconds."""

    def __enter__(self) -> Self:
        self.lab.__enter__()
        try:
            self.environment = {"PROVISIONER_HOME": str(self.lab.home)}
            self.url = self.lab.must("db", "url").strip()
            users = write_csv(people(self._size), self.lab.home / "office.csv")
            shown = self.lab.home / "secrets.csv"
            database = Database("lab", self.url, self.lab.config, self.environment)
            database.provisioner("apply", str(users), "--yes", "--quiet", "--secrets-out", str(shown))
            with shown.open(encoding="utf-8", newline="") as file:
                self.desks = [
                    Desk(row["login"], row["endpoint_id"], Secret(row["secret"]))
                    for row in csv.DictReader(file)
                ]
        except BaseException:
            self.lab.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lab.close()

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """``provisioner sync`` beside the block, from when it leads and the node was told all there is."""
        port = free_port()
        environment = {**self.environment, "PROVISIONER_SYNC_PORT": str(port)}
        command = [sys.executable, "-m", "provisioner.cli", "--config", str(self.lab.config), "sync"]
        said = self.lab.home / "sync.log"
        with said.open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                wait_for("the daemon", lambda: _is_told(port) or process.poll() is not None, 60)
                if process.poll() is not None:
                    raise RuntimeError(f"provisioner sync ended: {said.read_text('utf-8')[-2000:]}")
                yield
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    async def warm(self, phones: Sequence[Registrant]) -> None:
        """Have the node read these from the database; what it caches it keeps."""
        turns = iter(phones)

        async def each() -> None:
            for phone in turns:
                answer = await phone.log_in()
                if answer.status != 200:
                    raise RuntimeError(f"{phone.endpoint_id} is not let in: {answer.status}")

        await asyncio.gather(*(each() for _ in range(AT_ONCE)))

    def cached(self) -> int:
        """How many endpoints the node has in memory."""
        found = _CACHED.search(self.lab.asterisk.rx("sorcery memory cache show res_pjsip/endpoint"))
        return int(found[1]) if found else 0

    async def transactions(self) -> int:
        """How many there were in the database so far; it counts them with a second's delay."""
        await asyncio.sleep(2)
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            row = await (await connection.execute(_TRANSACTIONS)).fetchone()
        return int(row[0]) if row else 0

    @asynccontextmanager
    async def by_hand(self, desk: Desk) -> AsyncIterator[Change]:
        """What anybody with psql does: an UPDATE of ``ps_auths``; from when COMMIT is sent."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:

            async def change(new: Secret) -> float:
                made = digest(new, desk.endpoint_id, _REALM)
                await connection.execute(
                    "UPDATE ps_auths SET password_digest = %s WHERE id = %s",
                    (f"MD5:{made.md5},SHA-256:{made.sha256}", desk.endpoint_id),
                )
                began = time.perf_counter()
                await connection.commit()
                return began

            yield change

    @asynccontextmanager
    async def by_command(self, desk: Desk) -> AsyncIterator[Change]:
        """``provisioner user secret``; from when the database notifies of its commit."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as listening:
            await listening.execute("LISTEN provisioner")
            command = [sys.executable, "-m", "provisioner.cli", "--config", str(self.lab.config)]
            command += ["user", "secret", desk.login, "--secret-stdin"]
            running: list[tuple[asyncio.subprocess.Process, float]] = []

            async def change(new: Secret) -> float:
                began = time.perf_counter()
                pipe, null = subprocess.PIPE, subprocess.DEVNULL
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=pipe, stdout=null, stderr=null, env=self.environment
                )
                running.append((process, began))
                assert process.stdin
                process.stdin.write(f"{new.reveal()}\n".encode())
                process.stdin.close()
                async for _ in listening.notifies(timeout=30, stop_after=1):
                    return time.perf_counter()
                raise RuntimeError("the database notified of nothing")

            yield change
            for process, began in running:
                if await process.wait():
                    raise RuntimeError(f"user secret ended with {process.returncode}")
                self.commands.append(time.perf_counter() - began)


def _is_told(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            said = json.load(answer)
    except (urllib.error.URLError, OSError):
        return False
    nodes = said["nodes"].values()
    return said["state"] == "leading" and all(node["up"] and not node["changes"] for node in nodes)
