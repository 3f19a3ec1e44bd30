"""The store: PostgreSQL, as the rest of the product sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from provisioner.errors import CommitUnknown, StoreError
from provisioner.realtime import ColumnSet
from provisioner.secret import Secret
from provisioner.store import contacts, outbox, positions, roles, rows
from provisioner.store.engine import STATEMENT_TIMEOUT, make_engine, parse_url, place
from provisioner.store.findings import Finding
from provisioner.store.history import Origin
from provisioner.store.leading import is_led
from provisioner.store.names import Tables
from provisioner.store.outbox import Due
from provisioner.store.positions import NodeState
from provisioner.store.transaction import Transaction
from provisioner.store.translate import translated
from provisioner.store.watch import is_watched

if TYPE_CHECKING:
    from provisioner.store.listen import Listener


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
            work = Transaction(connection, self._names, origin)
            yield work
            work.note_xid()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """The same for a block that only reads: PostgreSQL refuses writes, and nothing is committed."""
        with self._connected(reading=True) as connection:
            yield Transaction(connection, self._names, Origin("", ""))

    def columns(self) -> ColumnSet:
        """Which columns Asterisk's tables have here, and how many characters each holds."""
        with self._connected(reading=True) as connection:
            return rows.reflect(connection, self._names)

    # -- what the nodes are told

    def due(self, node: str, since: str | None = None) -> Due:
        """What this node is still to be told. One that is not known yet is to expire its whole caches.

        ``since`` is the position of a :class:`Due` that was read before, though not noted as told: then only
        what came after it.
        """
        with self._at_once() as connection:
            return outbox.due(connection, node, since)

    def told(self, due: Due) -> None:
        """The node did all of it; what every node was told is removed.

        Two who tell the same node at once are safe: its position never goes backwards.
        """
        with self._at_once() as connection:
            outbox.told(connection, due)

    def know(self, nodes: Sequence[str]) -> None:
        """Keep changes for these nodes from now on; those that are new are to expire their whole caches."""
        with self._connected() as connection:
            positions.know(connection, nodes)

    def forget(self, nodes: Sequence[str]) -> None:
        """These nodes are gone for good: nothing is kept for them."""
        with self._connected() as connection:
            positions.forget(connection, nodes)

    def states(self) -> tuple[NodeState, ...]:
        """How far behind every known node is, by name."""
        with self._at_once() as connection:
            return positions.states(connection)

    def note_error(self, node: str, error: str | None) -> None:
        """Say in its state why the node could not be told."""
        with self._at_once() as connection:
            positions.note_error(connection, node, error)

    def is_told(self, xid: str, nodes: Sequence[str]) -> frozenset[str]:
        """Those of these nodes that were told all that a transaction changed (:attr:`Transaction.xid`).

        All of them where it changed nothing that they have to know.
        """
        with self._at_once() as connection:
            return positions.is_told(connection, xid, nodes)

    def trim(self, away: float) -> int:
        """Remove what every node was told, and what is older than ``away`` seconds; returns how many went.

        A node that was not told of something removed is to expire its whole caches. What cuts phones off
        stays until every node was told.
        """
        with self._connected() as connection:
            return outbox.trim(connection, away)

    def daemon_runs(self) -> bool:
        """Whether a daemon leads: it keeps the nodes told."""
        with self._at_once() as connection:
            return is_led(connection)

    def answers(self) -> bool:
        """Whether the database can be read just now."""
        try:
            with self._at_once() as connection:
                connection.execute(text("SELECT 1"))
        except StoreError:
            return False
        return True

    def listener(self) -> Listener:
        """A connection that hears of changes, for asyncio."""
        from provisioner.store.listen import Listener  # asyncio takes long to load

        return Listener(self._url)

    def expire_contacts(self, keep: Mapping[str, int], node: str, known: Collection[str]) -> int:
        """Let contacts in ps_contacts expire (``contacts = "realtime"``); returns how many those are.

        ``keep`` says how many of each AOR stay. Of an AOR that keeps none, contacts registered at ``node``
        go, and those at none of the ``known`` nodes; of another all but the newest, wherever those are.
        """
        with self._connected() as connection:
            return contacts.expire(connection, self._names, keep, node, known)

    def registered_at(self, contact_ids: Collection[str]) -> dict[str, str]:
        """Contact id to the node that its phone registered at, of contacts in ps_contacts; reads only."""
        with self._connected(reading=True) as connection:
            return contacts.registered_at(connection, self._names, contact_ids)

    def check(self, asterisk_role: str | None = None) -> tuple[Finding, ...]:
        """Everything that is wrong with the database; empty when all is well."""
        from provisioner.store.check import check  # Alembic takes long to load

        with self._connected(reading=True) as connection:
            return check(connection, self._names, asterisk_role)

    def upgrade(self, asterisk_tables: bool = False, triggers: bool = False, views: bool = False) -> None:
        """Bring the database up to date, in one transaction; two at once are safe.

        With ``asterisk_tables`` tables of Asterisk's that were there before get what they lack; with
        ``triggers`` whatever anybody changes in them is noted for the nodes. Raises StoreError where they are
        views, which have no such triggers. With ``views`` nodes read views of the columns in use of them too.
        """
        from provisioner.store import migrate  # Alembic takes long to load

        with self._connected() as connection:
            migrate.upgrade(connection, self._names, asterisk_tables, triggers, views)

    def watched(self) -> bool:
        """Whether triggers note every change of endpoints, auths and AORs, whoever makes it."""
        with self._at_once() as connection:
            return is_watched(connection, self._names)

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

    @contextmanager
    def _at_once(self) -> Iterator[Connection]:
        """Every statement commits for itself: no lock waits for another answer of ours."""
        with translated(self._where), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

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
