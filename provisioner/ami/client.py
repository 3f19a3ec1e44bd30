"""One AMI connection: every wait has a deadline, every error names the node, nothing is sent twice."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from provisioner.ami import tls
from provisioner.ami.action import Action, Refused
from provisioner.ami.protocol import Broken, Exchange, NodeManager, NodeProtocol
from provisioner.ami.wire import Frame, Reply
from provisioner.errors import (
    ActionRefused,
    ActionTimeout,
    ConnectionLost,
    LoginRefused,
    NodeUnavailable,
    PermissionMissing,
)
from provisioner.settings import NodeSettings

T = TypeVar("T")

WINDOW = 64
"""Actions on the way at once; a node answers one session's actions in their order."""
LONGEST_LIST = 12
"""A list may take this many times the action timeout as long as it keeps coming."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and after which waits (seconds) a connection is tried again."""

    attempts: int = 3
    first: float = 0.2
    factor: float = 2.0
    longest: float = 5.0

    def waits(self, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """The waits between attempts, each cut by up to a half so that clients do not return in step."""
        wait = self.first
        for _ in range(self.attempts - 1):
            yield min(wait, self.longest) * (1 - chance() / 2)
            wait *= self.factor


class Client:
    """AMI of one node, as an async context manager or connecting at the first call.

    A call that was on its way when the connection broke raises ConnectionLost and is never repeated: whoever
    asked knows whether that is safe. The next call connects again, with ``backoff`` and at most the node's
    ``connect_timeout`` in all.
    """

    def __init__(self, node: NodeSettings, backoff: Backoff | None = None) -> None:
        self.node = node
        self._backoff = backoff or Backoff()
        self._manager: NodeManager | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether the connection is there, as far as this side knows."""
        return self._manager is not None and self._manager.connected

    def close(self) -> None:
        """Close for good; calls that wait get ConnectionLost."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    # -- connecting ------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect and log in, where that is not so yet.

        Raises NodeUnavailable, LoginRefused, or SettingsError for a secret or CA file that cannot be read.
        """
        async with self._connecting:
            if self._closed:
                raise ConnectionLost(self.node.name, "the client was closed")
            if self.connected:
                return
            self._drop()
            secret = self.node.read_secret()
            try:
                context = tls.context(self.node)
            except tls.Unfit as exc:
                raise self._unavailable(str(exc)) from None
            reason = "no answer"
            try:
                async with asyncio.timeout(self.node.connect_timeout):
                    waits = self._backoff.waits()
                    while True:
                        try:
                            await self._try_once(secret.reveal(), context)
                            return
                        except ssl.SSLError as exc:
                            raise self._unavailable(tls.explained(exc, self.node)) from None
                        except (OSError, Broken) as exc:
                            reason = tls.reason(exc)
                        wait = next(waits, None)
                        if wait is None:
                            raise self._unavailable(reason)
                        await asyncio.sleep(wait)
            except TimeoutError:
                raise self._unavailable(f"{reason} within {self.node.connect_timeout:g} s") from None
            finally:
                if not self.connected:
                    self._drop()

    async def _try_once(self, secret: str, context: ssl.SSLContext | None) -> None:
        manager = NodeManager(self.node.host, self.node.port, context, tls.name(self.node))
        try:
            await manager.open()
            # Events: off, because list events are answers and come all the same; the rest we do not read.
            login = {"Action": "Login", "Username": self.node.username, "Secret": secret, "Events": "off"}
            reply = await manager.send_action(Exchange(login))
            if not reply.ok:
                raise LoginRefused(
                    self.node.name,
                    f"refused the AMI user {self.node.username!r} ({reply.message}): compare its secret, "
                    f"permit and deny in manager.conf with nodes.{self.node.name} of the settings",
                )
        except BaseException:
            manager.close()
            raise
        self._manager = manager

    def _unavailable(self, reason: str) -> NodeUnavailable:
        node = self.node
        return NodeUnavailable(
            node.name,
            f"no AMI on {node.host}:{node.port} ({reason}); check that Asterisk runs, that manager.conf has "
            f"enabled=yes and this address, and nodes.{node.name}.host, port and tls of the settings",
        )

    # -- asking ----------------------------------------------------------------------------------------

    async def call(self, action: Action[T]) -> T:
        """Send one action and return what its answer means.

        Raises ActionRefused (PermissionMissing where the AMI user lacks a class), ActionTimeout,
        ConnectionLost, UnsupportedValue before anything is sent, and what :meth:`connect` raises.
        """
        try:
            reply = await self.send(action.name, action.headers(), action.patience, action.event_reader())
            if reply.message == "Permission denied" and not reply.ok:
                raise self.permission_missing(action)
            return action.parse(reply)
        except Refused as exc:
            raise ActionRefused(self.node.name, f"{action} was refused: {exc}") from None

    def permission_missing(self, action: Action[T] | type[Action[T]]) -> PermissionMissing:
        """The error for an action whose class the AMI user lacks."""
        return PermissionMissing(
            self.node.name,
            f"the AMI user {self.node.username!r} may not use {action.name}: "
            f"add {action.ami_class} to its write= line in manager.conf",
        )

    async def call_all(self, actions: Iterable[Action[T]], window: int = WINDOW) -> list[T]:
        """The results of many actions, in their order, with up to ``window`` of them on their way at once.

        The first error is raised, and what was not sent by then is not sent any more.
        """
        todo = list(actions)
        done: dict[int, T] = {}
        queue = iter(enumerate(todo))

        async def work() -> None:
            for index, action in queue:
                done[index] = await self.call(action)

        if todo and not self.connected:
            await self.connect()
        workers = [asyncio.create_task(work()) for _ in range(min(window, len(todo)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return [done[index] for index in range(len(todo))]

    async def send(
        self,
        name: str,
        headers: Mapping[str, str],
        patience: float = 1.0,
        read_event: Callable[[Frame], object] | None = None,
    ) -> Reply:
        """Send one action; returns its answer, refused or not. ``patience`` stretches its deadline."""
        exchange = Exchange({"Action": name, **headers}, read_event)
        if not self.connected:
            await self.connect()
            exchange.heard_at = asyncio.get_running_loop().time()
        manager = self._manager
        assert manager is not None
        assert manager.protocol is not None
        try:
            manager.send_action(exchange)
            return await self._answer(manager.protocol, exchange, name, self.node.action_timeout * patience)
        except Broken as exc:
            raise ConnectionLost(
                self.node.name,
                f"the connection to {self.node.host}:{self.node.port} broke while {name} was due its answer "
                f"({exc}); whether it was carried out is not known, and it was not sent again",
            ) from None

    async def _answer(self, protocol: NodeProtocol, exchange: Exchange, name: str, silence: float) -> Reply:
        loop = asyncio.get_running_loop()
        end = loop.time() + silence * LONGEST_LIST
        try:
            while True:
                left = min(exchange.heard_at + silence, end) - loop.time()
                if left <= 0:
                    break
                done, _ = await asyncio.wait([exchange.future], timeout=left)
                if done:
                    reply: Reply = exchange.future.result()
                    return reply
        finally:
            if not exchange.future.done():
                protocol.forget(exchange)
                exchange.future.cancel()
        raise ActionTimeout(
            self.node.name,
            f"{name} was not answered within {silence:g} s; the node may be overloaded or waiting for its "
            f"database, else raise nodes.{self.node.name}.action_timeout",
        )
