"""All nodes at once, from code that is not asynchronous. A node that fails is a result, not an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from provisioner.ami.actions import CACHED_TYPES, ExpireObject
from provisioner.ami.client import Backoff, Client
from provisioner.ami.delivery import Delivery, deliver
from provisioner.ami.registrations import ShowEndpoint
from provisioner.ami.reload import reload
from provisioner.ami.results import NodeCheck, NodeResult, NodeStatus, ReadBack, ReloadResult
from provisioner.ami.rights import examine
from provisioner.ami.running import run
from provisioner.ami.status import status
from provisioner.errors import ProvisionerError
from provisioner.plan import NodeOrder
from provisioner.settings import NodeSettings

R = TypeVar("R")


class Fleet:
    """The nodes of the settings, each reached anew for every call and left afterwards.

    ``sweep_seconds`` is their contact_expiration_check_interval. No method raises for a node: what went wrong
    is the ``error`` of its result, one sentence that names it. Not for use inside a running event loop.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSettings],
        sweep_seconds: float = 30,
        backoff: Backoff | None = None,
    ) -> None:
        self.nodes = tuple(nodes)
        self._sweep_seconds = sweep_seconds
        self._backoff = backoff

    def deliver(
        self,
        orders: Mapping[str, Sequence[NodeOrder]],
        whole: Collection[str] = (),
        expire_contacts: Callable[[str, Mapping[str, int]], int] | None = None,
        database_answers: Callable[[], bool] = lambda: True,
    ) -> tuple[NodeResult, ...]:
        """Carry out each node's orders; a result for every node of the fleet, in its order.

        Of the nodes in ``whole`` the whole caches are expired. Where contacts are in the database,
        ``expire_contacts`` leaves a node of this name only so many of them. No module is reloaded while
        ``database_answers`` says that it does not. Both are called in threads. A node
        with nothing to do is not contacted. After an error nothing is known to be done: deliver the same
        orders again.
        """

        async def one(client: Client) -> NodeResult:
            name = client.node.name
            done = await deliver(
                client,
                orders.get(name, ()),
                database_answers=database_answers,
                whole=name in whole,
                expire_contacts=partial(expire_contacts, name) if expire_contacts else None,
                sweep_seconds=self._sweep_seconds,
            )
            return NodeResult(name, details=done)

        def idle(node: NodeSettings) -> NodeResult | None:
            busy = orders.get(node.name) or node.name in whole
            return None if busy else NodeResult(node.name, details=Delivery())

        return self._on_all(one, lambda node, error: NodeResult(node.name, error), idle)

    def reload(self, endpoint_ids: Collection[str] | None = None) -> tuple[ReloadResult, ...]:
        """Have every node read these endpoints again, or all of them; a result says what was done and why."""

        async def one(client: Client) -> ReloadResult:
            return await reload(client, endpoint_ids)

        return self._on_all(one, lambda node, error: ReloadResult(node.name, error=error))

    def read_back(self, endpoint_ids: Iterable[str]) -> dict[str, ReadBack]:
        """Each node's view of these endpoints, by node name; an id that it cannot load is None there."""
        ids = tuple(dict.fromkeys(endpoint_ids))

        async def one(client: Client) -> ReadBack:
            found = await client.call_all(map(ShowEndpoint, ids))
            return ReadBack(client.node.name, dict(zip(ids, found, strict=True)))

        results = self._on_all(one, lambda node, error: ReadBack(node.name, error=error))
        return {result.node: result for result in results}

    def forget(self, endpoint_ids: Mapping[str, Collection[str]]) -> tuple[NodeResult, ...]:
        """Have each node drop these endpoints from its caches, once: for what only a look put there."""

        async def one(client: Client) -> NodeResult:
            ids = endpoint_ids[client.node.name]
            await client.call_all([ExpireObject(type, id) for id in ids for type in CACHED_TYPES])
            return NodeResult(client.node.name)

        def idle(node: NodeSettings) -> NodeResult | None:
            return None if endpoint_ids.get(node.name) else NodeResult(node.name)

        return self._on_all(one, lambda node, error: NodeResult(node.name, error), idle)

    def status(self, endpoint_ids: Collection[str] | None = None) -> tuple[NodeStatus, ...]:
        """Contacts and device states of these endpoints, or of all that a node knows."""

        async def one(client: Client) -> NodeStatus:
            return await status(client, endpoint_ids)

        return self._on_all(one, lambda node, error: NodeStatus(node.name, error=error))

    def check(self, modules: Collection[str] = ()) -> tuple[NodeCheck, ...]:
        """Version, caches, rights of the AMI user, and whether these modules are loaded; changes nothing."""

        async def one(client: Client) -> NodeCheck:
            return await examine(client, modules)

        return self._on_all(one, lambda node, error: NodeCheck(node.name, error=error))

    def _on_all(
        self,
        work: Callable[[Client], Awaitable[R]],
        failed: Callable[[NodeSettings, str], R],
        idle: Callable[[NodeSettings], R | None] = lambda node: None,
    ) -> tuple[R, ...]:
        async def one(node: NodeSettings) -> R:
            nothing = idle(node)
            if nothing is not None:
                return nothing
            try:
                async with Client(node, self._backoff) as client:
                    return await work(client)
            except ProvisionerError as exc:
                return failed(node, str(exc))

        async def everyone() -> list[R]:
            return await asyncio.gather(*(one(node) for node in self.nodes))

        return tuple(run(everyone()))
