"""The one place where settings, store, nodes and configuration meet."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import CommitUnknown, SettingsError, StoreUnavailable
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, Settings, read_secret_file

if TYPE_CHECKING:
    from provisioner.ami import Fleet
    from provisioner.store import Embedded, Store, Transaction


class App:
    """Settings with what is made of them on first use; nothing connects before it is needed.

    ``actor`` and ``command`` are what the history says of every change. Where a daemon tells the nodes, a
    change waits for it, or not (``wait``).
    """

    def __init__(self, settings: Settings, actor: str, command: str, wait: bool = True) -> None:
        self.settings = settings
        self.actor = actor
        self.command = command
        self.wait = wait

    @cached_property
    def store(self) -> Store:
        """The database of the settings; starts the embedded server where there is no URL.

        Raises EmbeddedError, StoreUnavailable or SettingsError.
        """
        from provisioner.store import Store

        database = self.settings.database
        if database.url is None:
            url = self.embedded.ensure_running()
            return Store(url, database.asterisk_schema, statement_timeout=database.statement_timeout)
        password = None
        if database.password_file is not None:
            password = read_secret_file(database.password_file, "database.password_file")
        return Store(
            database.url, database.asterisk_schema, password, database.statement_timeout, database.tls()
        )

    def close(self) -> None:
        """Close the connections to the database, where there are any."""
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def embedded(self) -> Embedded:
        """The embedded server under ``home``; not started by looking at it."""
        from provisioner.store import Embedded

        return Embedded(self.settings.home)

    def fleet(self, nodes: Iterable[NodeSettings]) -> Fleet:
        """The AMI clients of these nodes."""
        from provisioner.ami import Fleet

        options = self.settings.asterisk
        return Fleet(tuple(nodes), sweep_seconds=options.contact_sweep)

    def nodes(self, name: str | None) -> tuple[NodeSettings, ...]:
        """The node of that name, or all; raises SettingsError where there is none of it."""
        return self.settings.nodes if name is None else (self.settings.node(name),)

    @contextmanager
    def transaction(
        self, file: str | None = None, sha256: str | None = None, undoes: int | None = None
    ) -> Iterator[Transaction]:
        """One transaction of this command: all of it or nothing.

        The history says what it comes from: a ``file`` with the SHA-256 of its content, or the change that it
        ``undoes``.
        """
        with self.store.transaction(
            actor=self.actor, command=self.command, file=file, file_sha256=sha256, undoes=undoes
        ) as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that only reads."""
        with self.store.reading() as tx:
            yield tx

    @contextmanager
    def change(
        self, file: str | None = None, sha256: str | None = None, undoes: int | None = None
    ) -> Iterator[Transaction]:
        """A transaction of a change, of which every node of the settings is to be told.

        Where the database is lost, the error says that nothing was written. Raises CommitUnknown where nobody
        knows.
        """
        try:
            with self.transaction(file, sha256, undoes) as tx:
                tx.know([node.name for node in self.settings.nodes])
                yield tx
        except CommitUnknown:
            raise
        except StoreUnavailable as exc:
            raise StoreUnavailable(f"Nothing was written: {exc}") from exc

    def asterisk_password(self) -> Secret:
        """The password of Asterisk's database role: from the settings, else made once, kept in ``home``."""
        database = self.settings.database
        if database.asterisk_password is not None:
            return database.asterisk_password
        if database.asterisk_password_file is not None:
            return read_secret_file(database.asterisk_password_file, "database.asterisk_password_file")
        return kept_secret(self.settings, "asterisk-role.secret")


def kept_secret(settings: Settings, name: str) -> Secret:
    """A secret that is made on first use and kept under ``home``, readable by its owner alone."""
    path = settings.home / name
    if not path.exists():
        try:
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_secret(path)
        except OSError as exc:
            raise SettingsError(
                f"cannot write {path}: {exc.strerror}; set PROVISIONER_HOME to a folder of yours"
            ) from exc
    return read_secret_file(path, name)


def _make_secret(path: Path) -> None:
    """Put a new secret at ``path``, whole at once: where somebody else was quicker, theirs stays."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=path.parent) as file:  # its mode is 0600
        file.write(secrets.token_urlsafe(24) + "\n")
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)
