"""A scripted Asterisk manager on a real loopback socket, for faults that a real one does not produce."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from provisioner.secret import Secret
from provisioner.settings import NodeSettings
from provisioner.sync.http import stop_listening, turns

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
RECORDED = Path(__file__).parent / "recorded"

Headers = Mapping[str, str]


class Drop:
    """Close the connection here."""


@dataclass(frozen=True)
class Pause:
    """Say nothing for so many seconds."""

    seconds: float


Step = bytes | Drop | Pause
Answer = Callable[[Headers], Sequence[Step]]


def recorded(name: str) -> bytes:
    """A real answer of Asterisk 22.10.1, with @ID@ in the place of the ActionID."""
    return (RECORDED / f"{name}.txt").read_bytes()


def answer(name: str) -> Answer:
    """Answer with a recording."""
    return lambda headers: [recorded(name).replace(b"@ID@", headers["ActionID"].encode())]


def says(*lines: str) -> Answer:
    """Answer with one frame of these lines."""

    def reply(headers: Headers) -> Sequence[Step]:
        first, *rest = lines
        return ["\r\n".join([first, f"ActionID: {headers['ActionID']}", *rest, "", ""]).encode()]

    return reply


def silent(headers: Headers) -> Sequence[Step]:
    """Never answer."""
    return []


def hangs_up(headers: Headers) -> Sequence[Step]:
    """Close the connection instead of an answer."""
    return [Drop()]


LOGIN_OK = says("Response: Success", "Message: Authentication accepted")


@dataclass
class FakeNode:
    """``answers`` by action name, where ``Login`` succeeds unless told otherwise; ``received`` has all.

    With a ``certificate`` it speaks TLS.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    banner: bytes = BANNER
    received: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    certificate: trustme.LeafCert | None = None

    def actions(self) -> list[str]:
        """The names of the actions that came, without logins."""
        return [headers["Action"] for headers in self.received if headers["Action"] != "Login"]

    def node(self, **changes: object) -> NodeSettings:
        """Settings that reach this node."""
        values: dict[str, object] = {"name": "pbx1", "port": self.port or 1, "secret": Secret("ami-secret")}
        return NodeSettings.model_validate({**values, "connect_timeout": 2, "action_timeout": 2, **changes})

    @contextmanager
    def running(self) -> Iterator[FakeNode]:
        """Serve on 127.0.0.1 in a thread with a loop of its own, until the block ends."""
        started = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        thread.start()
        started.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        context = None
        if self.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.certificate.configure_cert(context)
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        await stop_listening(server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A session that was closed may not be over: its last words wait for somebody to read them.
        for writer in self._writers:
            writer.transport.abort()
        await turns()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.create_task(self._session(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            writer.write(self.banner)
            while True:
                frame = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in frame.strip().split("\r\n"))
                self.received.append(headers)
                default = LOGIN_OK if headers["Action"] == "Login" else answer("unknown_action")
                for step in self.answers.get(headers["Action"], default)(headers):
                    if isinstance(step, Drop):
                        return
                    if isinstance(step, Pause):
                        await asyncio.sleep(step.seconds)
                    else:
                        writer.write(step)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
