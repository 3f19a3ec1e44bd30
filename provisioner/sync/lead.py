"""What the daemon does while it leads: a worker for every node, and keeping house in the database."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from provisioner.service.tell import contact_expiry
from provisioner.settings import Settings
from provisioner.store import NodeState, Store
from provisioner.sync import log
from provisioner.sync.session import Means
from provisioner.sync.worker import Worker

if TYPE_CHECKING:
    from provisioner.store.listen import Listener
    from provisioner.sync.metrics import Metrics

LOOK: Final = 5.0
"""Seconds between two looks at what absent nodes were not told."""
TRIM: Final = 60.0
"""Seconds between two times that the outbox is trimmed."""
STUCK: Final = 300.0
"""Seconds beyond the database's own limit for an answer after which something is wrong with ourselves."""


class Lead:
    """The workers of all nodes. Made when the lead was won; over when :meth:`run` ends."""

    def __init__(self, store: Store, settings: Settings, metrics: Metrics) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._workers: dict[str, tuple[Worker, asyncio.Task[NoReturn]]] = {}
        self._since = time.monotonic()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those there are now; any thread may ask."""
        return tuple(worker for worker, _ in self._workers.copy().values())

    async def run(self, listener: Listener) -> NoReturn:
        """Until it is cancelled, or the lead's connection is lost (StoreError): then nothing here goes on."""
        house = asyncio.create_task(self._keep_house())
        try:
            await self.adopt(self._settings)
            while True:
                if await listener.hear(self._settings.sync.poll):
                    for worker in self.workers:
                        worker.wake()
        finally:
            house.cancel()
            await self._stop(list(self._workers))
            await asyncio.gather(house, return_exceptions=True)

    async def adopt(self, settings: Settings) -> None:
        """Work by these settings from now on; workers for which nothing changed go on undisturbed."""
        nodes = {node.name: node for node in settings.nodes}
        changed = _alike(settings) != _alike(self._settings)
        self._settings = settings
        old = [
            name for name, (worker, _) in self._workers.items() if changed or worker.node != nodes.get(name)
        ]
        await self._stop(old)
        for name in old:
            if name not in nodes:
                self._metrics.forget_node(name)
        means = self._means()
        for name, node in nodes.items():
            if name not in self._workers:
                worker = Worker(node, means)
                self._workers[name] = worker, asyncio.create_task(worker.run())

    def is_stuck(self) -> bool:
        """Whether a worker ended, or waits for what should have come or failed long ago: a fault of ours."""
        limit = self._settings.database.statement_timeout + STUCK
        return any(task.done() or worker.asking_for() > limit for worker, task in self._workers.values())

    def _means(self) -> Means:
        settings = self._settings
        return Means(
            self._store,
            self._metrics,
            contact_expiry(self._store, settings),
            settings.asterisk.contact_sweep,
            settings.sync.poll,
        )

    async def _stop(self, names: list[str]) -> None:
        tasks = [self._workers.pop(name)[1] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_house(self) -> NoReturn:
        trimmed = -TRIM
        while True:
            now = time.monotonic()
            try:
                if now - trimmed >= TRIM:
                    trimmed = now
                    await self._forget()
                    gone = await asyncio.to_thread(self._store.trim, self._settings.sync.away)
                    if gone:
                        log.get().info("trimmed", rows=gone)
                if not all(worker.up for worker in self.workers):
                    await self._look()
            except Exception as exc:
                log.get().warning("cannot keep house", error=exc)
            await asyncio.sleep(LOOK)

    async def _forget(self) -> None:
        """Nodes that are no more in the settings, and were not told by anybody for so long."""
        named = {node.name for node in self._settings.nodes}
        states = await asyncio.to_thread(self._store.states)
        lost = [state.node for state in states if state.node not in named and self._is_silent(state)]
        if lost:
            await asyncio.to_thread(self._store.forget, lost)
            log.get().info("nodes forgotten", nodes=lost, why="not in the settings, and away for long")

    def _is_silent(self, state: NodeState) -> bool:
        away = self._settings.sync.away
        if state.told_at is None:  # since when it is known is not known here
            return time.monotonic() - self._since > away
        return datetime.now(UTC) - state.told_at > timedelta(seconds=away)

    async def _look(self) -> None:
        states = {state.node: state for state in await asyncio.to_thread(self._store.states)}
        for worker in self.workers:
            if not worker.up and (state := states.get(worker.node.name)):
                worker.left_behind(state)


def _alike(settings: Settings) -> tuple[object, ...]:
    """What all workers work by."""
    asterisk = settings.asterisk
    known = {node.name for node in settings.nodes} if asterisk.contacts == "realtime" else None
    return settings.sync.poll, asterisk.contact_sweep, asterisk.contacts, known
