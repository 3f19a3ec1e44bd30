"""panoramisk, disarmed: its manager, protocol and action classes with every surprise taken out.

As shipped (1.4) they answer a refused login with silence and a new try every two seconds, wait without a
deadline, send unanswered actions again after a reconnect, never end a list that got an error, drop
characters cut between two reads, and write secrets to the debug log. Nothing here reconnects, repeats or
logs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from provisioner.ami.wire import Frame, FrameSplitter, Reply, check_headers


class Broken(Exception):
    """The connection is gone; the text says why, for the error that names the node."""


class Exchange(Action):  # type: ignore[misc]  # panoramisk has no types
    """One action and the answer it waits for; a list ends at its ``EventList: Complete`` or with an error."""

    def __init__(
        self, headers: Mapping[str, str], read_event: Callable[[Frame], object] | None = None
    ) -> None:
        check_headers(headers)
        super().__init__(headers)
        self.read_event = read_event
        self.head: dict[str, str] | None = None
        self.events: list[object] = []
        self.heard_at = asyncio.get_running_loop().time()

    def add(self, frame: dict[str, str]) -> bool:
        """Take one frame; True when it was the last one."""
        if self.head is None:
            self.head = frame
            if frame.get("EventList") == "start":
                return False
            return self._finish()
        ending = frame.get("EventList")
        if ending is None:
            self.events.append(frame if self.read_event is None else self.read_event(frame))
            return False
        if ending.lower() != "complete":
            self.head = {**self.head, "Response": "Error", "Message": "the list was cancelled"}
        return self._finish()

    def _finish(self) -> bool:
        assert self.head is not None
        if not self.future.done():
            self.future.set_result(Reply(self.head, self.events))
        return True


class NodeProtocol(AMIProtocol):  # type: ignore[misc]
    """One connection: frames to the exchange that their ActionID names; anything else is ignored."""

    responses: dict[str, Exchange]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._splitter = FrameSplitter()
        self._why = "it was closed by the node"
        self._unsent: list[str] = []

    def send(self, data: Exchange, as_list: bool | None = None) -> asyncio.Future[Reply]:
        """Write one action. Raises Broken on a connection that is gone."""
        # A transport that lost its connection says so to us in the loop's next round; what is written to it
        # meanwhile makes asyncio complain on standard error.
        if self.closed or self.transport.is_closing():
            raise Broken(self._why)
        self.responses[data.id] = data
        # What is asked for in one round of the loop leaves in one piece, with one system call.
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(str(data))
        future: asyncio.Future[Reply] = data.future
        return future

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.closed and not self.transport.is_closing():
            self.transport.write("".join(unsent).encode())

    def forget(self, exchange: Exchange) -> None:
        """Stop waiting for it; a late answer is ignored."""
        self.responses.pop(exchange.id, None)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._splitter.feed(data)
        except ValueError as exc:
            self.fail(str(exc))
            return
        now = asyncio.get_running_loop().time()
        responses = self.responses
        for frame in frames:
            exchange = responses.get(frame.get("ActionID", ""))
            if exchange is not None:
                exchange.heard_at = now
                if exchange.add(frame):
                    responses.pop(exchange.id, None)

    def fail(self, why: str) -> None:
        """End the connection and everything that waits for an answer on it."""
        self._why = why
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed and exc is not None:
            self._why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        self.close()

    def close(self) -> None:
        """Final: whoever still waits gets Broken, and nothing is kept to be sent again."""
        self.closed = True
        waiting, self.responses = self.responses, {}
        for exchange in waiting.values():
            if not exchange.future.done():
                exchange.future.set_exception(Broken(self._why))
                # Of many that wait only the first is heard; asyncio would print the others.
                exchange.future.exception()
        self.transport.abort()


class NodeManager(Manager):  # type: ignore[misc]
    """panoramisk's manager without its login, its pings and its reconnects: those are the client's."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, name: str | None) -> None:
        """``context`` speaks TLS with whoever is ``name`` by its certificate."""
        super().__init__(
            host=host,
            port=port,
            ssl=context or False,
            loop=asyncio.get_running_loop(),
            protocol_factory=NodeProtocol,
        )
        self._name = name
        self.protocol: NodeProtocol | None = None
        """None before the first :meth:`open`."""

    async def open(self) -> None:
        """Connect; raises OSError (ssl.SSLError among them)."""
        # panoramisk's own connect checks a certificate for no other name than the host's, plans the next
        # connect where it failed, and pings.
        config = self.config
        _, self.protocol = await asyncio.get_running_loop().create_connection(
            NodeProtocol, config["host"], config["port"], ssl=config["ssl"], server_hostname=self._name
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """panoramisk would plan the next connect here."""

    @property
    def connected(self) -> bool:
        return self.protocol is not None and not self.protocol.closed
