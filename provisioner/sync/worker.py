"""One node: a session with it, and where that fails the next one, after a wait that grows."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from provisioner.ami import Backoff, Client
from provisioner.errors import NodeError, ProvisionerError, SettingsError, StoreError
from provisioner.settings import NodeSettings
from provisioner.store import NodeState
from provisioner.sync import log
from provisioner.sync.outage import Outage
from provisioner.sync.session import Means, Session, committed_at

BACKOFF: Final = Backoff(attempts=sys.maxsize)
"""The waits after each failure; the first one again after a success."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What an absent node was not told of: so many changes, the oldest committed at ``since``."""

    changes: int = 0
    since: float | None = None


class Worker:
    """Keeps one node told, whatever becomes of others."""

    def __init__(self, node: NodeSettings, means: Means) -> None:
        self.node = node
        self.means = means
        self._log = log.get().bind(node=node.name)
        self._outage = Outage()
        self._waits = BACKOFF.waits()
        self._session: Session | None = None
        self._behind = Behind()
        self._known = False
        self._noted: str | None = None

    @property
    def up(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._session is not None

    def wake(self) -> None:
        """Something changed in the database."""
        if self._session is not None:
            self._session.stir()

    async def run(self) -> NoReturn:
        """Never ends by itself; whatever fails is logged, and tried again."""
        while True:
            try:
                # One attempt: how often to try again is said here.
                async with Client(self.node, Backoff(attempts=1)) as client:
                    self._session = Session(client, self.means, self._well)
                    self.means.metrics.node_up(self.node.name, True)
                    await self._session.run()
            except Exception as exc:
                error = _cause(exc)
            finally:
                self._session = None
                self.means.metrics.node_up(self.node.name, False)
            if (task := asyncio.current_task()) and task.cancelling():
                # A task group that fails just then hides it, before Python 3.13.
                raise asyncio.CancelledError
            await self._failed(error)
            await asyncio.sleep(next(self._waits))

    def _well(self) -> None:
        """The node knows all that it should."""
        if self._outage.error is not None:
            self._log.info("node is back", away_seconds=round(self._outage.lasted(time.monotonic()), 1))
        elif not self._known:
            self._log.info("node is told")
        self._known = True
        self._noted = None  # Store.told has removed it
        self._outage.over()
        self._behind = Behind()
        self._waits = BACKOFF.waits()

    async def _failed(self, error: Exception) -> None:
        name = self.node.name
        ours = isinstance(error, ProvisionerError)
        sentence = str(error) if ours else f"node {name}: unexpected {type(error).__name__}"
        self.means.metrics.node_failed(name, type(error).__name__)
        if not ours:
            self._log.error("unexpected", exc_info=error)
        now = time.monotonic()
        if self._outage.failed(sentence, now):
            self._log.warning(
                "node is not told", error=sentence, away_seconds=round(self._outage.lasted(now), 1)
            )
        if sentence != self._noted and isinstance(error, NodeError | SettingsError):
            with suppress(StoreError):
                await asyncio.to_thread(self.means.store.note_error, name, sentence)
                self._noted = sentence

    def left_behind(self, state: NodeState) -> None:
        """What the database says of this node while it is away."""
        since = None if state.oldest is None else committed_at(state.oldest)
        self._behind = Behind(state.changes, since)
        lag = 0.0 if since is None else time.monotonic() - since
        self.means.metrics.backlog(self.node.name, state.changes, lag)

    def standing(self) -> dict[str, Any]:
        """How the node stands, for the health page; any thread may ask."""
        session = self._session
        behind = session.backlog if session else self._behind
        since = behind.since
        return {
            "up": session is not None,
            "lag_seconds": 0.0 if since is None else round(time.monotonic() - since, 3),
            "changes": behind.changes,
            "error": self._outage.error,
        }

    def asking_for(self) -> float:
        """Seconds for which the database has owed an answer."""
        since = self._session.asking_since if self._session else None
        return 0.0 if since is None else time.monotonic() - since

    def ill_for(self) -> float:
        """Seconds for which the node, or the database for its sake, has not answered."""
        return max(self._outage.lasted(time.monotonic()), self.asking_for())


def _cause(exc: Exception) -> Exception:
    """The first error of a group."""
    while isinstance(exc, ExceptionGroup):
        exc = exc.exceptions[0]
    return exc
