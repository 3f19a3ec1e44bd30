"""The process: signals, settings, the lead among several daemons, and what it says of itself."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NoReturn

from provisioner import __version__
from provisioner.errors import ProvisionerError, SettingsError
from provisioner.service import App
from provisioner.settings import Settings
from provisioner.store import Store
from provisioner.sync import http, log, systemd
from provisioner.sync.lead import Lead
from provisioner.sync.metrics import Metrics
from provisioner.sync.outage import Outage
from provisioner.sync.threads import Threads
from provisioner.sync.worker import BACKOFF

COMMAND: Final = "provisioner sync"
TRY_TO_LEAD: Final = 1.0
"""Seconds between two tries of a daemon that stands by."""
STEADY: Final = 10.0
"""Seconds after which a connection counts as good: the next one that is lost is tried again soon."""
UNWELL: Final = 60.0
"""Seconds that a node may be away, or the database owe a node's answer, until the daemon is unhealthy."""
SAY: Final = 1.0
"""Seconds between two looks at what systemd is to be told."""
GRACE: Final = 1.0
"""Seconds for everything to end in."""


class State(StrEnum):
    """What the daemon is, in the words of its health page."""

    NO_DATABASE = "no database"
    STANDBY = "standby"
    LEADING = "leading"


def run(load: Callable[[], Settings], form: log.Form | None = None, debug: bool = False) -> None:
    """Keep every node of the settings told until SIGTERM or SIGINT; SIGHUP calls ``load`` again.

    ``form`` of the log wins over that of the settings; ``debug`` logs tracebacks. Raises SettingsError for
    settings that cannot be used at the start; later ones are only logged.
    """
    asyncio.run(Daemon(load, form, debug).run())


class Daemon:
    """One daemon. A database that is not there, and nodes that are not there, are waited for."""

    def __init__(self, load: Callable[[], Settings], form: log.Form | None, debug: bool) -> None:
        self._load = load
        self._form = form
        self._debug = debug
        self._settings = load()
        self._metrics = Metrics()
        self._state = State.NO_DATABASE
        self._outage = Outage()
        self._lead: Lead | None = None
        self._ready = False
        self._server: http.Server | None = None

    async def run(self) -> None:
        """Until it is told to end."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads())
        end, again = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        loop.add_signal_handler(signal.SIGHUP, again.set)
        log.configure(self._form or self._settings.sync.log, debug=self._debug)
        self._metrics.leading(False)
        self._metrics.database_up(False)
        self._server = self._serve(self._settings.sync.port)
        log.get().info("started", version=__version__, nodes=[node.name for node in self._settings.nodes])
        self._work = asyncio.create_task(self._always())
        others = [asyncio.create_task(self._say_how_it_is()), asyncio.create_task(self._reload(again))]
        await end.wait()
        systemd.notify("STOPPING=1", "STATUS=ending")
        tasks = [self._work, *others]
        for task in tasks:
            task.cancel()
        # What does not end by then is left to the end of the process; nothing is lost by that.
        await asyncio.wait(tasks, timeout=GRACE)
        if self._server:
            self._server.close()
        log.get().info("ended")

    # -- the lead

    async def _always(self) -> NoReturn:
        waits = BACKOFF.waits()
        while True:
            since = time.monotonic()
            try:
                await self._connected()
            except Exception as exc:
                self._lost(exc)
            if time.monotonic() - since > STEADY:
                waits = BACKOFF.waits()
            await asyncio.sleep(next(waits))

    async def _connected(self) -> NoReturn:
        """Stand by, then lead, until the connection is lost."""
        store = await asyncio.to_thread(self._open_store)
        listener = store.listener()
        try:
            await listener.connect()
            await asyncio.to_thread(store.states)  # a database without our tables is none
            self._found(State.STANDBY)
            while not await listener.lead():
                # Heard and forgotten: what nobody listens to would pile up in memory.
                await asyncio.gather(listener.hear(TRY_TO_LEAD), asyncio.sleep(TRY_TO_LEAD))
            self._found(State.LEADING)
            self._lead = Lead(store, self._settings, self._metrics)
            await self._lead.run(listener)
        finally:
            self._lead = None
            self._metrics.leading(False)
            self._state = State.NO_DATABASE
            await listener.close()
            store.close()

    def _open_store(self) -> Store:
        return App(self._settings, COMMAND, COMMAND).store

    def _found(self, state: State) -> None:
        if self._outage.error is not None:
            lasted = round(self._outage.lasted(time.monotonic()), 1)
            log.get().info("database is back", away_seconds=lasted)
            self._outage.over()
        self._state = state
        self._metrics.database_up(True)
        self._metrics.leading(state is State.LEADING)
        log.get().info("leads" if state is State.LEADING else "stands by")
        if not self._ready:
            self._ready = True
            systemd.notify("READY=1")

    def _lost(self, error: Exception) -> None:
        self._metrics.database_up(False)
        now = time.monotonic()
        ours = isinstance(error, ProvisionerError)
        sentence = str(error) if ours else f"unexpected {type(error).__name__}"
        if self._outage.failed(sentence, now):
            away = round(self._outage.lasted(now), 1)
            log.get().error("no database", error=error, away_seconds=away)

    # -- settings

    async def _reload(self, again: asyncio.Event) -> NoReturn:
        while True:
            await again.wait()
            again.clear()
            systemd.notify("RELOADING=1")
            try:
                await self._adopt(await asyncio.to_thread(self._load))
            except SettingsError as exc:
                for line in str(exc).splitlines():
                    log.get().error("settings not taken", error=line)
            except Exception as exc:
                log.get().error("settings not taken", error=exc)
            systemd.notify("READY=1")

    async def _adopt(self, new: Settings) -> None:
        old = self._settings
        if new.sync.port != old.sync.port:
            server = self._serve(new.sync.port)
            if self._server:
                self._server.close()
            self._server = server
        self._settings = new
        log.configure(self._form or new.sync.log, debug=self._debug)
        log.get().info("settings taken", nodes=[node.name for node in new.nodes])
        if (new.database, new.home) != (old.database, old.home):
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = asyncio.create_task(self._always())
        elif self._lead:
            await self._lead.adopt(new)

    # -- what it says of itself

    def _serve(self, port: int) -> http.Server | None:
        return http.serve(port, self._metrics, self._health) if port else None

    def _health(self) -> http.Health:
        """Well while the database answers, and no node has been away for a minute; any thread may ask.

        One that stands by knows nothing of nodes. Metrics say at once what is wrong: who asks for health
        wants to know whether somebody has to come, and a node that is restarted is back within a minute.
        """
        lead, state = self._lead, self._state
        workers = lead.workers if lead else ()
        ok = state is not State.NO_DATABASE and all(worker.ill_for() < UNWELL for worker in workers)
        said = {
            "state": state,
            "nodes": {worker.node.name: worker.standing() for worker in workers},
            "error": self._outage.error,
            "version": __version__,
        }
        return http.Health(ok, said)

    async def _say_how_it_is(self) -> NoReturn:
        """The watchdog hears of us only while this loop turns and no worker is stuck."""
        watchdog = systemd.watchdog_seconds()
        last = ""
        while True:
            status = self._status()
            if status != last:
                systemd.notify(f"STATUS={status}")
                last = status
            if watchdog and not (self._lead and self._lead.is_stuck()):
                systemd.notify("WATCHDOG=1")
            await asyncio.sleep(min(SAY, watchdog or SAY))

    def _status(self) -> str:
        if self._state is not State.LEADING or not self._lead:
            return self._state
        workers = self._lead.workers
        away = [worker.node.name for worker in workers if not worker.up]
        return f"leading, {len(workers)} nodes" + (f", away: {', '.join(away)}" if away else "")
