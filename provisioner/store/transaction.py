"""One transaction: what a command reads and writes, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert

from provisioner.errors import Conflict
from provisioner.plan import NodeOrder, Plan, merge_orders
from provisioner.realtime import ColumnSet, Rows
from provisioner.records import User, login_key
from provisioner.store import numbers, outbox, rows, tables, users
from provisioner.store.names import Tables
from provisioner.store.numbers import NumberState, Range, Use
from provisioner.store.users import StoredUser


class Transaction:
    """What can be done between begin and commit. Made by :meth:`Store.transaction`, valid in its block only.

    A method that takes many does so with a fixed number of statements.
    """

    def __init__(self, connection: Connection, names: Tables, actor: str, command: str) -> None:
        self._connection = connection
        self._names = names
        self._actor = actor
        self._command = command
        self._given: set[str] = set()
        self._locked = False

    # -- users

    def find_user(self, login: str) -> User | None:
        """The user of this login, without regard to case and Unicode form; not a deleted one."""
        return self.find_users([login]).get(login_key(login))

    def find_users(self, logins: Iterable[str]) -> dict[str, User]:
        """Those of these logins that exist, by their login key."""
        found = users.load(self._connection, users.by_login(logins), users.live())
        return {login_key(stored.user.login): stored.user for stored in found}

    def get_user(self, login: str, deleted: bool = False) -> User:
        """The user of this login, locked until the end: nobody else changes it meanwhile.

        With ``deleted`` the one of this login that was deleted last. Raises NotFound.
        """
        return self._get(login, deleted).user

    def list_users(self, active: bool | None = None, deleted: bool = False) -> tuple[User, ...]:
        """All users, or only active or inactive ones, or the deleted ones; sorted by login."""
        return tuple(stored.user for stored in self.stored_users(active, deleted))

    def stored_users(self, active: bool | None = None, deleted: bool = False) -> tuple[StoredUser, ...]:
        """Like :meth:`list_users`, with the times of each."""
        conditions = [tables.users.c.deleted_at.is_not(None) if deleted else users.live()]
        if active is not None:
            conditions.append(tables.users.c.active.is_(active))
        return users.load(self._connection, *conditions)

    def stored_user(self, login: str) -> StoredUser:
        """The user of this login with its times, or the one deleted last. Raises NotFound."""
        return users.get_any(self._connection, login)

    def users_of(self, endpoint_ids: Iterable[str]) -> dict[str, User]:
        """Endpoint id to the user who has it now; ids that nobody has are left out."""
        wanted = frozenset(endpoint_ids)
        found = users.load(self._connection, users.by_endpoint(wanted), users.live())
        return {id: stored.user for stored in found for id in stored.user.endpoint_ids if id in wanted}

    def insert_user(self, user: User) -> None:
        """Add a user. Raises Conflict when its login or one of its endpoint ids is taken."""
        self.insert_users([user])

    def insert_users(self, records: Sequence[User]) -> None:
        """Add users. Raises Conflict when a login or an endpoint id is taken."""
        users.create(self._connection, records)

    def update_user(self, login: str, user: User) -> None:
        """Make the user of this login what the record says, its login included.

        Extensions that the record lacks are deleted: their numbers begin to rest. Raises NotFound, Conflict.
        """
        users.replace(self._connection, self._get(login), user)

    def mark_deleted(self, login: str) -> User:
        """Delete a user; the numbers begin to rest. Returns it as it was. Raises NotFound."""
        stored = self._get(login)
        users.mark_deleted(self._connection, [stored])
        return stored.user

    def restore_user(self, login: str, rest_days: int) -> User:
        """Undo the last deletion of this login.

        Raises NotFound, and Conflict when the login or one of the numbers is somebody else's by now.
        """
        stored = self._get(login, deleted=True)
        wanted = [extension.number for extension in stored.user.extensions]
        self._check(wanted, rest_days, {stored.id})
        users.unmark_deleted(self._connection, stored)
        return stored.user

    # -- numbers

    def lock_numbers(self) -> None:
        """From here to the end nobody else gives out numbers; the methods below do it themselves."""
        if not self._locked:
            numbers.lock(self._connection)
            self._locked = True

    def allocate_number(self, ranges: Sequence[Range], rest_days: int) -> str:
        """The lowest free number of the first range that has one.

        Raises Conflict when none has.
        """
        return self.allocate_numbers(ranges, 1, rest_days)[0]

    def allocate_numbers(self, ranges: Sequence[Range], count: int, rest_days: int) -> tuple[str, ...]:
        """The lowest free numbers, none twice in this transaction. Raises Conflict when there are fewer."""
        self.lock_numbers()
        found = numbers.allocate(self._connection, self._names, ranges, count, rest_days, self._given)
        self._given.update(found)
        return found

    def number_state(self, number: str, rest_days: int) -> NumberState:
        """What a number is used for."""
        return self.number_states([number], rest_days)[number]

    def number_states(self, wanted: Sequence[str], rest_days: int) -> Mapping[str, NumberState]:
        """What each number is used for."""
        return numbers.states(self._connection, self._names, wanted, rest_days)

    def check_number(self, number: str, rest_days: int, login: str | None = None) -> None:
        """Raise Conflict, naming who holds the number or until when it rests, unless it can be given.

        What the user ``login`` holds, or held before, is no obstacle to itself.
        """
        self.check_numbers([number], rest_days, login)

    def check_numbers(self, wanted: Sequence[str], rest_days: int, login: str | None = None) -> None:
        """The same for many; the error names every one."""
        own = users.load(self._connection, users.by_login([login])) if login is not None else ()
        self._check(wanted, rest_days, {stored.id for stored in own})

    # -- Asterisk's rows

    def columns(self) -> ColumnSet:
        """Which columns this database has."""
        return rows.reflect(self._connection, self._names)

    def rows(self, endpoint_ids: Iterable[str]) -> Rows:
        """The rows of these ids, without columns that are NULL."""
        return rows.read(self._connection, self._names, endpoint_ids)

    def write(self, plan: Plan) -> None:
        """Carry out a plan. Raises Conflict when rows are not ours, or are not what the plan rests on."""
        if plan.changes:
            rows.write(self._connection, self._names, plan)

    # -- what is told

    def audit(self, login: str | None, changes: Mapping[str, Any]) -> None:
        """Note what was changed. ``changes`` must be fit for JSON, which a Secret is not."""
        self._connection.execute(
            insert(tables.audit).values(
                actor=self._actor, command=self._command, login=login, changes=dict(changes)
            )
        )

    def queue(self, nodes: Sequence[str], orders: Sequence[NodeOrder]) -> None:
        """Every node is to be told every order once this transaction is committed."""
        outbox.queue(self._connection, nodes, orders)

    def expire_contacts(self, orders: Iterable[NodeOrder]) -> None:
        """Let the contacts in ps_contacts that these orders do not keep expire; the nodes remove them."""
        keep = {order.endpoint_id: order.keep_contacts for order in merge_orders(orders)}
        outbox.expire_contacts(
            self._connection, self._names, {aor: kept for aor, kept in keep.items() if kept is not None}
        )

    def _get(self, login: str, deleted: bool = False) -> StoredUser:
        return users.get(self._connection, login, deleted=deleted, lock=True)

    def _check(self, wanted: Sequence[str], rest_days: int, besides: set[int]) -> None:
        self.lock_numbers()
        states = numbers.states(self._connection, self._names, wanted, rest_days, besides)
        busy = [str(state) for state in states.values() if state.use is not Use.FREE]
        busy += [f"{number} was just given to somebody else" for number in wanted if number in self._given]
        if busy:
            raise Conflict("; ".join(busy) + ".")
