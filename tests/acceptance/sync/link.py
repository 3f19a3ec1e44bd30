"""A TCP link on loopback with the weather of a bad network: delay, loss, silence, cuts, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, TypeVar

from provisioner.sync.http import stop_listening, turns

T = TypeVar("T")

RETRANSMISSION_SECONDS = 0.3
"""What TCP waits at least before it sends a lost segment again, beyond the way there and back."""
_CHUNK = 65536


class Link:
    """Relays 127.0.0.1:``port`` to ``upstream`` on the same address, in a thread of its own.

    ``delay`` (seconds, each way) and ``loss`` (share of chunks) hold from the moment they are set, also for
    connections that are open. A lost chunk comes later, and whatever follows it too, as TCP makes of a loss.
    While ``silent`` nothing passes and nothing is closed, as behind a firewall that forgot. ``cut_at`` is a
    text in what is answered: the next time it comes, the connection is reset in its middle.
    """

    def __init__(self, upstream: int = 0) -> None:
        self.upstream = upstream
        self.delay = 0.0
        self.loss = 0.0
        self.silent = False
        self.cut_at = b""
        self._open: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fair(self) -> None:
        """Good weather again; what was held back by silence or delay still arrives."""
        self.delay, self.loss, self.silent, self.cut_at = 0.0, 0.0, False, b""

    def cut(self) -> int:
        """Reset every open connection; new ones are relayed. Returns how many there were."""

        async def abort() -> int:
            writers = list(self._open)
            for writer in writers:
                _reset(writer)
            return len(writers)

        return self._run(abort())

    def close(self) -> None:
        """Stop listening, and reset what is open."""

        async def end() -> None:
            await stop_listening(self._server)
            for writer in list(self._open):
                _reset(writer)
            for relay in self._relays:
                relay.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)
            await turns()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Awaitable[T]) -> T:
        async def await_it() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(await_it(), self._loop).result(10)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = self._loop.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            self._forget(writer)
            return
        self._open.add(there[1])
        ways = [self._way(reader, there[1]), self._way(there[0], writer, answers=True)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._forget(writer)
            self._forget(there[1])

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()

    async def _way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool = False
    ) -> None:
        """One direction: chunks leave in their order, each no sooner than its time."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)

        async def read() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(_CHUNK)
                except ConnectionError:
                    data = b""
                late = RETRANSMISSION_SECONDS + 2 * self.delay if random.random() < self.loss else 0.0
                await queue.put((self._loop.time() + self.delay + late, data))

        reading = asyncio.create_task(read())
        try:
            while True:
                at, data = await queue.get()
                while self.silent or self._loop.time() < at:
                    await asyncio.sleep(0.05 if self.silent else max(at - self._loop.time(), 0))
                if not data:
                    return
                if answers and self.cut_at and self.cut_at in data:
                    writer.write(data[: data.index(self.cut_at) + len(self.cut_at)])
                    self.cut_at = b""
                    _reset(writer)
                    return
                try:
                    writer.write(data)
                    await writer.drain()
                except ConnectionError:
                    return
        finally:
            reading.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a cable that is pulled does: the other side gets a reset, not an end."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.transport.abort()
