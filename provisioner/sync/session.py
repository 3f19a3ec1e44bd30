"""One connection to one node: reading what is due, telling it in rounds that may overlap, noting how far.

A round takes a while after the node forgot what changed, because it forgets it once more and looks after
contacts; what is committed meanwhile is told beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, ParamSpec, TypeVar

from provisioner.ami import Client, Delivery, Ping, deliver, sayable
from provisioner.ami.renew import renew
from provisioner.errors import ConnectionLost
from provisioner.store import Due, Store
from provisioner.sync import log
from provisioner.sync.coalesce import Backlog, Batch

if TYPE_CHECKING:
    from provisioner.sync.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")

GATHER: Final = 0.02
"""Seconds between two reads while the node is being told: what changes one by one is told some at a time."""
ROUNDS: Final = 8
"""Rounds at once."""
NOTE_IDLE: Final = 60.0
"""Seconds between two notes for a node that nothing was due for; each is a write in the database."""
PING: Final = 10.0
"""Seconds without a round after which the node is asked whether it is there."""


@dataclass(frozen=True, slots=True)
class Means:
    """What every node is told with. ``expire_contacts`` takes the node's name first; None: they are in astdb.

    ``poll`` and ``sweep_seconds`` as in the settings.
    """

    store: Store
    metrics: Metrics
    expire_contacts: Callable[[str, Mapping[str, int]], int] | None
    sweep_seconds: float
    poll: float


class Session:
    """Keeps a node told until something fails; ``well`` is called whenever it knows all that it should."""

    def __init__(self, client: Client, means: Means, well: Callable[[], None]) -> None:
        self.node = client.node.name
        self.backlog = Backlog()
        self._client = client
        self._means = means
        self._well = well
        self._log = log.get().bind(node=self.node)
        self._stirred = asyncio.Event()
        self._ended = asyncio.Event()
        self._noting = asyncio.Lock()
        self._rounds: set[asyncio.Task[None]] = set()
        self._noted_at = -NOTE_IDLE
        self._read_at = 0.0
        self._heard_at = time.monotonic()
        self._asked: list[float] = []

    def stir(self) -> None:
        """Something changed: read it."""
        self._stirred.set()

    @property
    def asking_since(self) -> float | None:
        """Since when the database owes an answer; None where it does not."""
        return min(self._asked, default=None)

    async def run(self) -> NoReturn:
        """Raises an ExceptionGroup of what failed: NodeError, SettingsError, StoreError."""
        await self._ask(self._means.store.know, [self.node])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note_after_rounds())
            tasks.create_task(self._watch_connection())
            while True:
                await self._read()
                await self._start(tasks)
                await self._rest()

    async def _read(self) -> None:
        self._stirred.clear()
        self._read_at = time.monotonic()
        due = await self._ask(self._means.store.due, self.node, self.backlog.position)
        since = None if due.oldest is None else committed_at(due.oldest)
        self._tell_of_unsayable(due)
        self.backlog.add(due, since)
        if due.changes:
            self._report()

    def _tell_of_unsayable(self, due: Due) -> None:
        """An id that nodes cannot be told of comes from elsewhere: no phone can use it."""
        left_out = [order.endpoint_id for order in due.orders if not sayable(order.endpoint_id)]
        if left_out:
            self._log.warning("passed over", ids=left_out, why="no AMI message can hold such an id")

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        batch = self.backlog.take(time.monotonic())
        if batch is None:
            if not self.backlog:
                if time.monotonic() - self._noted_at >= NOTE_IDLE:
                    await self._note()
                self._well()
        elif batch.whole:
            # Noted before the next read, which else finds that the caches are to be expired once more.
            if self._rounds:
                await asyncio.wait(self._rounds)
            await self._round(batch)
            await self._note()
        else:
            task = tasks.create_task(self._round(batch))
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
            if len(self._rounds) >= ROUNDS:
                await asyncio.wait(self._rounds, return_when=asyncio.FIRST_COMPLETED)

    async def _rest(self) -> None:
        """Until there is something to read, or an object's second is over."""
        until = self.backlog.next_at()
        seconds = self._means.poll if until is None else min(until - time.monotonic(), self._means.poll)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._stirred.wait()
        except TimeoutError:
            pass
        if self._rounds:
            await asyncio.sleep(self._read_at + GATHER - time.monotonic())

    async def _round(self, batch: Batch) -> None:
        started = time.monotonic()
        expire = self._means.expire_contacts
        did = await deliver(
            self._client,
            batch.orders,
            database_answers=self._means.store.answers,
            whole=batch.whole,
            expire_contacts=partial(expire, self.node) if expire else None,
            sweep_seconds=self._means.sweep_seconds,
            patience=0,
        )
        self._heard_at = now = time.monotonic()
        self.backlog.finish(batch)
        self._ended.set()
        if self.backlog.next_at() is not None:
            self.stir()  # what changed again while it was being told
        self._tell_of(batch, did, now - started, now - batch.since if batch.since is not None else None)

    def _tell_of(self, batch: Batch, did: Delivery, seconds: float, lag: float | None) -> None:
        self._means.metrics.round_done(
            self.node,
            seconds=seconds,
            changes=batch.changes,
            expired=did.expired,
            whole=did.whole,
            evicted=did.evicted,
            renewed=len(did.renewed),
            lag=lag,
        )
        told = {
            "changes": batch.changes,
            "endpoints": len(batch.orders),
            "expired": did.expired,
            "not_cached": did.not_cached,
            "whole": did.whole,
            "no_cache": did.no_cache,
            "cut_off": did.evicted,
            "left_to_sweep": did.unswept,
            "came_back": did.over,
        }
        times = {"seconds": round(seconds, 4), "lag_seconds": None if lag is None else round(lag, 4)}
        self._log.info("told", **{key: value for key, value in told.items() if value}, **times)
        self._renewed(did.renewed)

    def _renewed(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._log.info("renewed", what=sentence)

    async def _note_after_rounds(self) -> NoReturn:
        while True:
            await self._ended.wait()
            self._ended.clear()
            await self._note()
            if not self.backlog:
                self._well()

    async def _note(self) -> None:
        async with self._noting:
            due = self.backlog.reached()
            if due is not None:
                await self._ask(self._means.store.told, due)
                self.backlog.note()
                self._noted_at = time.monotonic()
                self._report()

    async def _watch_connection(self) -> NoReturn:
        while True:
            await asyncio.sleep(1)
            if not self._client.connected:
                node = self._client.node
                raise ConnectionLost(self.node, f"it closed the connection to {node.host}:{node.port}")
            if not self._rounds and time.monotonic() - self._heard_at >= PING:
                await self._client.call(Ping())
                self._heard_at = time.monotonic()
            # What an earlier round began may have come to its end meanwhile.
            self._renewed(await renew(self._client, (), self._means.store.answers))

    def _report(self) -> None:
        since = self.backlog.since
        lag = 0.0 if since is None else time.monotonic() - since
        self._means.metrics.backlog(self.node, self.backlog.changes, lag)

    async def _ask(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """A call of the store, in a thread."""
        started = time.monotonic()
        self._asked.append(started)
        try:
            return await asyncio.to_thread(call, *args, **named)
        finally:
            self._asked.remove(started)


def committed_at(moment: datetime) -> float:
    """A time of the database on the monotonic clock; not after now, whatever the clocks say."""
    return time.monotonic() - max((datetime.now(UTC) - moment).total_seconds(), 0.0)
