"""The store: PostgreSQL, as the rest of the product sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from provisioner.errors import CommitUnknown
from provisioner.realtime import ColumnSet
from provisioner.secret import Secret
from provisioner.store import outbox, roles, rows
from provisioner.store.engine import STATEMENT_TIMEOUT, make_engine, parse_url, place
from provisioner.store.findings import Finding
from provisioner.store.history import Origin
from provisioner.store.names import Tables
from provisioner.store.outbox import Pending
from provisioner.store.transaction import Transaction
from provisioner.store.translate import translated


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is."""

    host: str
    port: int
    dbname: str
    sslmode: str | None = None
    sslrootcert: str | None = None


class Store:
    """One database. Nothing connects before the first use; every wait has a deadline.

    Whatever goes wrong comes out as a StoreError: StoreUnavailable (nobody answers, or the connection was
    lost), SchemaOutdated (run ``provisioner db upgrade``), Conflict, NotFound. None holds a value of a row.
    """

    def __init__(
        self,
        url: str | URL | Secret,
        asterisk_schema: str = "public",
        password: Secret | None = None,
        statement_timeout: float = STATEMENT_TIMEOUT,
        tls: Mapping[str, str] | None = None,
    ) -> None:
        """``password`` and ``tls`` are taken where the URL has none; ``statement_timeout`` is in seconds."""
        self._url = parse_url(url, password, tls)
        self._names = Tables(asterisk_schema)
        self._where = place(self._url)
        self._engine = make_engine(self._url, statement_timeout)

    @property
    def url(self) -> URL:
        """Where it is; printing it shows no password."""
        return self._url

    def address(self) -> Address:
        """Where it is, as we reach it."""
        url = self._url
        tls = [url.query.get(name) for name in ("sslmode", "sslrootcert")]
        mode, ca = (value if isinstance(value, str) else None for value in tls)
        return Address(url.host or "127.0.0.1", url.port or 5432, url.database or "", mode, ca)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(
        self,
        *,
        actor: str,
        command: str,
        file: str | None = None,
        file_sha256: str | None = None,
        undoes: int | None = None,
    ) -> Iterator[Transaction]:
        """Do everything in the block or nothing; the arguments say in the history where it came from.

        ``file`` asked for it, ``undoes`` is the change that it takes back.
        """
        origin = Origin(actor, command, file, file_sha256, undoes)
        with self._connected() as connection:
            yield Transaction(connection, self._names, origin)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """The same for a block that only reads: PostgreSQL refuses writes, and nothing is committed."""
        with self._connected(reading=True) as connection:
            yield Transaction(connection, self._names, Origin("", ""))

    def columns(self) -> ColumnSet:
        """Which columns Asterisk's tables have here, and how many characters each holds."""
        with self._connected(reading=True) as connection:
            return rows.reflect(connection, self._names)

    def pending(self, node: str) -> tuple[Pending, ...]:
        """What this node is still to be told, oldest first."""
        with self._connected(reading=True) as connection:
            return outbox.pending(connection, node)

    def delivered(self, ids: Iterable[int]) -> None:
        """The node was told these."""
        with self._connected() as connection:
            outbox.delivered(connection, ids)

    def expire_contacts(self, endpoint_id: str, keep: int) -> int:
        """Let all but the newest ``keep`` contacts in ps_contacts expire; returns how many those are.

        Only where contacts are kept in the database (``contacts = "realtime"``).
        """
        with self._connected() as connection:
            return outbox.expire_contacts(connection, self._names, {endpoint_id: keep})

    def check(self, asterisk_role: str | None = None) -> tuple[Finding, ...]:
        """Everything that is wrong with the database; empty when all is well."""
        from provisioner.store.check import check  # Alembic takes long to load

        with self._connected(reading=True) as connection:
            return check(connection, self._names, asterisk_role)

    def upgrade(self, asterisk_tables: bool = False) -> None:
        """Bring the database up to date, in one transaction; two at once are safe.

        With ``asterisk_tables`` tables of Asterisk's that were there before get what they lack.
        """
        from provisioner.store import migrate  # Alembic takes long to load

        with self._connected() as connection:
            migrate.upgrade(connection, self._names, asterisk_tables)

    def grant_asterisk(self, role: str, password: Secret) -> None:
        """Make the role Asterisk logs in with, or set its password and rights anew.

        Raises Conflict for a role that cannot be restricted: a superuser, our own, an owner of tables.
        """
        with self._connected() as connection:
            roles.grant(connection, self._names, role, password)

    @contextmanager
    def _connected(self, *, reading: bool = False) -> Iterator[Connection]:
        with translated(self._where), self._engine.connect() as connection:
            connection.execution_options(postgresql_readonly=reading)
            work = connection.begin()
            try:
                yield connection
            except BaseException:
                work.rollback()
                raise
            if reading:
                work.rollback()
            else:
                self._commit(connection)

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            raise CommitUnknown(
                f"{self._where} was lost during the commit: whether the change was written is unknown; "
                "look with `provisioner user show LOGIN`, or try again, which does no harm."
            ) from exc
