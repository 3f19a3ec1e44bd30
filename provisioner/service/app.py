"""The one place where settings, store, nodes and configuration meet."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from provisioner.errors import SettingsError
from provisioner.plan import Plan, diff, orders
from provisioner.realtime import compile_user, merge
from provisioner.records import User
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, Settings, read_secret_file

if TYPE_CHECKING:
    from provisioner.ami import Fleet
    from provisioner.store import Store, Transaction


class App:
    """Settings with what is made of them on first use; nothing connects before it is needed.

    ``actor`` and ``command`` are what the audit says of every change.
    """

    def __init__(self, settings: Settings, actor: str, command: str) -> None:
        self.settings = settings
        self.actor = actor
        self.command = command

    @cached_property
    def store(self) -> Store:
        """The database of the settings; starts the embedded server where there is no URL.

        Raises EmbeddedError, StoreUnavailable or SettingsError.
        """
        from provisioner.store import Embedded, Store

        database = self.settings.database
        if database.url is None:
            return Store(Embedded(self.settings.home).ensure_running(), database.asterisk_schema)
        password = None
        if database.password_file is not None:
            password = read_secret_file(database.password_file, "database.password_file")
        return Store(database.url.reveal(), database.asterisk_schema, password=password)

    @cached_property
    def fleet(self) -> Fleet:
        """The AMI clients of all nodes."""
        return self.fleet_of(self.settings.nodes)

    def fleet_of(self, nodes: Iterable[NodeSettings]) -> Fleet:
        """The AMI clients of some nodes."""
        from provisioner.ami import Fleet

        options = self.settings.asterisk
        return Fleet(tuple(nodes), contacts=options.contacts, sweep_seconds=options.contact_sweep)

    def nodes(self, name: str | None) -> tuple[NodeSettings, ...]:
        """The node of that name, or all; raises SettingsError where there is none of it."""
        return self.settings.nodes if name is None else (self.settings.node(name),)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction of this command: all of it or nothing."""
        with self.store.transaction(actor=self.actor, command=self.command) as tx:
            yield tx

    def write(self, tx: Transaction, before: Sequence[User], after: Sequence[User]) -> Plan:
        """Make the rows of these users what their records say, and queue what every node has to do.

        The one path from records to rows: ``before`` are the users as they were, ``after`` as they
        are to be, both only those that the change touches.
        """
        columns = self.store.columns()
        ids = frozenset(id for user in (*before, *after) for id in user.endpoint_ids)
        wanted = merge(compile_user(user, self.settings.asterisk, columns) for user in after)
        plan = diff(wanted, tx.rows(ids))
        tx.write_rows(plan)
        told = orders(plan)
        tx.queue([node.name for node in self.settings.nodes], told)
        if self.settings.asterisk.contacts == "realtime":
            for order in told:
                if order.keep_contacts is not None:
                    tx.expire_contacts(order.endpoint_id, order.keep_contacts)
        return plan

    def asterisk_password(self) -> Secret:
        """The password of Asterisk's database role: from the settings, else made once and kept in ``home``."""
        database = self.settings.database
        if database.asterisk_password is not None:
            return database.asterisk_password
        if database.asterisk_password_file is not None:
            return read_secret_file(database.asterisk_password_file, "database.asterisk_password_file")
        return kept_secret(self.settings, "asterisk-role.secret")


def kept_secret(settings: Settings, name: str) -> Secret:
    """A secret that is made on first use and kept under ``home``, readable by its owner alone."""
    import os

    path = settings.home / name
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_secret_file(path, name)
    except OSError as exc:
        raise SettingsError(f"cannot write {path}: {exc.strerror}; set PROVISIONER_HOME to a folder of yours") from exc
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    return read_secret_file(path, name)
