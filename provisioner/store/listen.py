"""A connection that hears at once when somebody changed something; for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from provisioner.errors import StoreUnavailable
from provisioner.store.engine import CONNECT_TIMEOUT, place
from provisioner.store.leading import LEAD
from provisioner.store.outbox import CHANNEL
from provisioner.store.translate import translate

# A peer that vanished without a word is noticed within 4 s, by the server too: then another daemon can lead.
_KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 3_000,
}
_SERVER: Final = {
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "3000",
    "idle_session_timeout": "0",
    "statement_timeout": "3000",
}


class Listener:
    """One connection, made by :meth:`Store.listener`. Lost, it raises StoreUnavailable; then connect again.

    Of what was changed while it was not connected it hears nothing: look for yourself after connecting.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._leads = False

    async def connect(self) -> None:
        """Hear from now on. Raises StoreUnavailable."""
        await self.close()
        given = self._url.query.get("options", ())
        options = [given] if isinstance(given, str) else [*given]
        options += [f"-c {name}={value}" for name, value in _SERVER.items()]
        url = self._url.set(drivername="postgresql").difference_update_query(["options"])
        async with self._patient():
            where = make_conninfo(
                url.render_as_string(hide_password=False),
                application_name="provisioner sync",
                connect_timeout=CONNECT_TIMEOUT,
                options=" ".join(options),
                **_KEEPALIVE,
            )
            self._connection = await psycopg.AsyncConnection.connect(where, autocommit=True)
            await self._connection.execute(f"LISTEN {CHANNEL}".encode())

    async def lead(self) -> bool:
        """Try to lead; True while this connection does. Nobody else can until it is closed or lost."""
        if not self._leads:
            async with self._patient():
                cursor = await self._connected().execute(LEAD)
                row = await cursor.fetchone()
                self._leads = row is not None and bool(row[0])
        return self._leads

    async def hear(self, seconds: float) -> bool:
        """Wait until somebody changed something, at most so long; whether it happened since the last call."""
        heard = False
        with self._translated():
            async for _ in self._connected().notifies(timeout=seconds, stop_after=1):
                heard = True
        return heard

    async def close(self) -> None:
        """Hang up, and leave the lead to others."""
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            await connection.close()

    def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            raise StoreUnavailable(f"{place(self._url)} is not connected.")
        return self._connection

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[None]:
        """Statements that a server answers at once; one that is silent counts as lost."""
        try:
            with self._translated():
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    yield
        except TimeoutError:
            await self.close()
            where = place(self._url)
            raise StoreUnavailable(f"{where} has been silent for {CONNECT_TIMEOUT} s.") from None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as exc:
            raise translate(exc, place(self._url)) from None
