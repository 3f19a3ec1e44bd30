"""Reloading a module of a node: beside everything else it is told, and not too often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from provisioner.ami.actions import ReloadModule
from provisioner.ami.client import Client
from provisioner.errors import ActionRefused, ActionTimeout, NodeError, SettingsError
from provisioner.settings import NodeSettings

GRACE_SECONDS = 0.25
"""So long a reload is waited for; longer ones go on by themselves."""
REST = 19
"""After a reload comes a rest of so many times its length: a node reloads at most a twentieth of the time."""
LEAST_REST_SECONDS = 1.0
PATIENCE_SECONDS = 100.0
"""The action timeout of a reload's own connection; a reload may take several times as long."""

Reasons = Mapping[str, frozenset[str]]
"""Why: a text that goes on after ``3 extensions``, and the ids it is about."""


class PacedReload:
    """The reloads of one module of one node, one at a time.

    Each has a connection of its own, as a session of AMI carries out one action after the other: those behind
    a reload would wait for it. What is asked for during one, or in the rest after it, is done by a single one
    at the rest's end. It belongs to one event loop and ends with it; a reload that was sent by then goes on.

    None is sent while the database does not answer: the node would read nothing, and forget which contacts it
    qualifies until their phones register again.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.seconds: float | None = None
        """How long the last one took; None before the first."""
        self._put_off = False
        self._wanted: dict[str, frozenset[str]] = {}
        self._news: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._due_at = 0.0

    async def ask(
        self, node: NodeSettings, reasons: Reasons, database_answers: Callable[[], bool]
    ) -> tuple[str, ...]:
        """Reload for these reasons, now or after the rest; says what became of it, in one sentence each.

        Returns as soon as the reload is done or refused, GRACE_SECONDS after it was sent at the latest. What
        becomes of it later is told by :meth:`news`. ``database_answers`` is called in threads.
        """
        self._node, self._database_answers = node, database_answers
        self._want(reasons)
        if self._task is not None and not self._task.done():
            wait = max(0.0, self._due_at - time.monotonic())
            return (f"{self.module} is to be reloaded again {_in(wait)}, for {said(reasons)}",)
        self._sent, self._over = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._work())
        await self._sent.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._over.wait()
        return self.news() or (f"reloading {self.module} goes on, for {said(reasons)}",)

    def news(self) -> tuple[str, ...]:
        """What became of reloads since it was last asked."""
        news, self._news = tuple(self._news), []
        return news

    async def _work(self) -> None:
        try:
            while self._wanted:
                reasons, self._wanted = self._wanted, {}
                began = time.monotonic()
                done = await self._reload(reasons)
                rest = max(REST * (time.monotonic() - began) if done else 0, LEAST_REST_SECONDS)
                self._due_at = time.monotonic() + rest
                self._sent.set()
                self._over.set()
                await asyncio.sleep(rest)
        finally:
            self._sent.set()
            self._over.set()

    async def _reload(self, reasons: Reasons) -> bool:
        """Whether that is over, done or refused; otherwise it is still wanted."""
        began = time.monotonic()
        try:
            patient = self._node.model_copy(update={"action_timeout": PATIENCE_SECONDS})
            async with Client(patient) as client:
                if not await asyncio.to_thread(self._database_answers):
                    self._later(reasons)
                    return False
                # Nothing waits between here and the action being written.
                self._sent.set()
                await client.call(ReloadModule(self.module))
        except ActionRefused as exc:
            if "A reload is in progress" in str(exc):
                # Somebody else's, which may have read the rows before ours were there.
                self._want(reasons)
                return False
            self._failed(exc, reasons)
        except ActionTimeout:
            self.seconds = time.monotonic() - began
            self._news.append(f"reloading {self.module} takes over {self.seconds:.0f} s, for {said(reasons)}")
        except (NodeError, SettingsError) as exc:
            self._failed(exc, reasons)
        else:
            self.seconds = time.monotonic() - began
            self._news.append(f"reloaded {self.module} in {self.seconds:.2f} s, for {said(reasons)}")
        self._put_off = False
        return True

    def _want(self, reasons: Reasons) -> None:
        for reason, ids in reasons.items():
            self._wanted[reason] = self._wanted.get(reason, frozenset()) | ids

    def _later(self, reasons: Reasons) -> None:
        self._want(reasons)
        if not self._put_off:
            self._news.append(
                f"{self.module} is to be reloaded once the database answers again, for {said(reasons)}"
            )
        self._put_off = True

    def _failed(self, exc: NodeError | SettingsError, reasons: Reasons) -> None:
        self._news.append(f"{self.module} was not reloaded for {said(reasons)}; reload it by hand: {exc}")


def said(reasons: Reasons) -> str:
    """``3 extensions with changed mailboxes``, for each reason."""
    return "; ".join(f"{counted(ids)} {reason}" for reason, ids in reasons.items())


def counted(ids: frozenset[str]) -> str:
    """``extension 7001``, or ``3 extensions``."""
    return f"extension {next(iter(ids))}" if len(ids) == 1 else f"{len(ids):,} extensions"


def _in(seconds: float) -> str:
    return f"in {seconds:.0f} s" if seconds >= 1 else "soon"
