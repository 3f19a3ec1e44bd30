"""GET /metrics and GET /health on 127.0.0.1, in a thread of their own that no client can hold up."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST

from provisioner.errors import SettingsError
from provisioner.sync.log import get
from provisioner.sync.metrics import Metrics

ADDRESS: Final = "127.0.0.1"
_PATIENCE: Final = 5.0
"""Seconds a client has for its whole request, and for taking the answer."""
_CLIENTS: Final = 32
"""Most clients at once; one more is turned away."""
_TURNS: Final = 8
"""Of the loop, more than a connection takes from its accept to its client, or from its end to its close."""
_LONGEST: Final = 8192
"""Most bytes of a request."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the daemon does its work (else 503), and what it has to say of it: values that JSON knows."""

    ok: bool
    details: Mapping[str, Any] = field(default_factory=dict)


class Server:
    """Serves until :meth:`close`. ``port`` is the one that it listens on."""

    def __init__(self, listening: socket.socket, metrics: Metrics, health: Callable[[], Health]) -> None:
        self.port: int = listening.getsockname()[1]
        self._metrics = metrics
        self._health = health
        self._clients: set[asyncio.Task[None]] = set()
        # Its own loop: it answers also while the daemon's is busy.
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=[listening], name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut off whoever is connected, and end the thread. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _run(self, listening: socket.socket) -> None:
        # The runner cancels the clients that are left, and closes the loop.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen(listening))

    async def _listen(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._accept, sock=listening, limit=_LONGEST)
        await self._closing.wait()
        await stop_listening(server)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= _CLIENTS:
            writer.transport.abort()
            return
        client = self._loop.create_task(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(head))
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except asyncio.LimitOverrunError:
            writer.write(_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
            writer.close()
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            # Slow, gone, or we are closing; what is not sent by now is not waited for.
            writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        request, *headers = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        path = target.partition("?")[0]
        if path not in ("/metrics", "/health"):
            return _response(HTTPStatus.NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, allow="GET, HEAD")
        if any(_has_body(header) for header in headers):
            return _response(HTTPStatus.BAD_REQUEST)
        try:
            answer = self._metrics_answer() if path == "/metrics" else self._health_answer()
        except Exception as exc:
            get().error("cannot answer", path=path, exc_info=exc)
            return _response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return answer if method == "GET" else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def _metrics_answer(self) -> bytes:
        return _response(HTTPStatus.OK, self._metrics.text(), CONTENT_TYPE_LATEST)

    def _health_answer(self) -> bytes:
        health = self._health()
        status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
        # str for what JSON does not know: a Secret stays ***.
        body = json.dumps({"ok": health.ok, **health.details}, ensure_ascii=False, default=str) + "\n"
        return _response(status, body.encode(), "application/json")


async def stop_listening(server: asyncio.Server) -> None:
    """Close it, once it has let in whom it was just accepting: it would forget them, open."""
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening)
    await turns()
    server.close()


async def turns() -> None:
    """Let the loop carry out what was just begun with a connection."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def serve(port: int, metrics: Metrics, health: Callable[[], Health]) -> Server:
    """Listen on this port of 127.0.0.1 (0: any that is free). ``health`` is called in the server's thread.

    Raises SettingsError where the port is in use or not ours to take.
    """
    try:
        listening = socket.create_server((ADDRESS, port))
    except OSError as exc:
        raise SettingsError(_cannot_listen(port, exc)) from None
    return Server(listening, metrics, health)


def _cannot_listen(port: int, exc: OSError) -> str:
    why = "is in use" if exc.errno == errno.EADDRINUSE else f"cannot be listened on: {exc.strerror}"
    return f"sync.port: {port} of {ADDRESS} {why}; name another port, or 0 to serve no metrics"


def _has_body(header: str) -> bool:
    name, _, value = header.partition(":")
    return name.lower() in ("content-length", "transfer-encoding") and value.strip() != "0"


def _response(
    status: HTTPStatus, body: bytes = b"", type: str = "text/plain; charset=utf-8", **headers: str
) -> bytes:
    said = {
        "Content-Type": type,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **{name.title(): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body
