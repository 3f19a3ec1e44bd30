"""One transaction: what a command reads and writes, all or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from provisioner.plan import NodeOrder, Plan
from provisioner.plan.users import UserChange
from provisioner.realtime import ColumnSet, Rows
from provisioner.records import Credentials, User
from provisioner.store import history, numbers, outbox, positions, rows, user_changes, users
from provisioner.store.history import HistoryChange, HistoryEntry, Origin
from provisioner.store.names import Tables
from provisioner.store.numbers import NumberState, Range
from provisioner.store.users import StoredUser


class Transaction:
    """What can be done between begin and commit. Made by :meth:`Store.transaction`, valid in its block only.

    A method that takes many does so with a fixed number of statements.
    """

    def __init__(self, connection: Connection, names: Tables, origin: Origin) -> None:
        self._connection = connection
        self._names = names
        self._origin = origin
        self._change_id: int | None = None
        self._given: set[str] = set()
        self._locked = False
        self._columns: ColumnSet | None = None
        self._xid: str | None = None

    # -- users

    def stored_for_change(self, login: str, deleted: bool = False) -> StoredUser:
        """The user of this login, locked until the end: nobody else changes it meanwhile.

        With ``deleted`` the one of this login that was deleted last. Raises NotFound.
        """
        return users.get_locked(self._connection, login, deleted=deleted)

    def list_users(self, active: bool | None = None, deleted: bool = False) -> tuple[User, ...]:
        """All users, or only active or inactive ones, or the deleted ones; sorted by login."""
        return tuple(stored.user for stored in self.stored_users(active, deleted))

    def stored_users(self, active: bool | None = None, deleted: bool = False) -> tuple[StoredUser, ...]:
        """Like :meth:`list_users`, with the times of each."""
        return users.listed(self._connection, active, deleted)

    def stored_user(self, login: str) -> StoredUser:
        """The user of this login with its times, or the one deleted last. Raises NotFound."""
        return users.get_any(self._connection, login)

    def users_for(self, keys: Collection[str] | None, source: str | None = None) -> Iterator[StoredUser]:
        """Users whose login key is among these, or who are of that source; all where neither is said.

        By id, read from the database some at a time and not locked; other methods may be called meanwhile.
        """
        return users.stream(self._connection, keys, source)

    def deleted_for(self, keys: Collection[str], rest_days: int) -> dict[str, StoredUser]:
        """Login key to the user of it who was deleted last, within so many days, where no live one is."""
        return users.resting(self._connection, keys, rest_days)

    def users_by_id(self, ids: Iterable[int]) -> dict[int, StoredUser]:
        """The users of these ids, live or deleted."""
        return users.of_ids(self._connection, ids)

    def lock_users(self, ids: Iterable[int]) -> dict[int, StoredUser]:
        """The same, as they are now: nobody else changes them before this transaction ends."""
        return users.lock(self._connection, ids)

    def count_of(self, source: str) -> int:
        """How many users the source speaks for."""
        return users.count_of(self._connection, source)

    def hold_applies(self, seconds: float) -> None:
        """Wait until no other change of many users is under way, and keep others out until the end.

        Raises Conflict when that takes longer.
        """
        user_changes.hold(self._connection, seconds)

    def write_users(self, changes: Sequence[UserChange]) -> None:
        """Carry out these changes of records and note them in the history; Asterisk's rows are another step.

        Users that lose logins or numbers to others come in the same call or an earlier one; see
        :meth:`release` for those who only exchange numbers. Raises Conflict where a login or number is taken,
        or a user is not any more what its change rests on.
        """
        if changes:
            user_changes.write(self._connection, self._change(), changes)

    def release(self, endpoint_ids: Collection[str]) -> None:
        """Take these extensions from whoever has them, before :meth:`write_users` gives them to others."""
        if endpoint_ids:
            user_changes.release(self._connection, endpoint_ids)

    # -- history

    @property
    def change_id(self) -> int | None:
        """What the history calls this transaction's change; None where nothing was written yet."""
        return self._change_id

    def note_rows(self, plan: Plan, owners: Mapping[str, StoredUser]) -> None:
        """Note what was mended in Asterisk's rows; ``owners`` are the users by their endpoint ids."""
        if plan:
            history.note_rows(self._connection, self._change(), plan, owners)

    def history(
        self, login: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> tuple[HistoryChange, ...]:
        """The changes, newest first: of the users of a login, not older than ``since``, at most so many."""
        return history.changes(self._connection, login, since, limit)

    def history_change(self, id: int) -> HistoryChange:
        """One change. Raises NotFound."""
        return history.change(self._connection, id)

    def history_entries(self, id: int) -> Iterator[HistoryEntry]:
        """What one change did to each user, read some at a time; other methods may be called meanwhile."""
        return history.entries(self._connection, id)

    def past_secrets(self, id: int) -> dict[tuple[int, str], Credentials]:
        """What a change replaced or took away: user id and endpoint id to the credentials before it."""
        return history.past_secrets(self._connection, id)

    def trim_history(self, keep_days: int) -> int:
        """Forget changes that are older than so many days (0 keeps all); returns how many those were."""
        return history.trim(self._connection, keep_days) if keep_days else 0

    def _change(self) -> int:
        if self._change_id is None:
            self._change_id = history.begin(self._connection, self._origin)
        return self._change_id

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

    def allocate_numbers(
        self, ranges: Sequence[Range], count: int, rest_days: int, besides: Collection[str] = ()
    ) -> tuple[str, ...]:
        """The lowest free numbers, none twice in this transaction, and none of ``besides``.

        Raises Conflict when there are fewer.
        """
        if not count:
            return ()
        self.lock_numbers()
        self._given.update(besides)
        found = numbers.allocate(self._connection, self._names, ranges, count, rest_days, self._given)
        self._given.update(found)
        return found

    def forget_numbers(self) -> None:
        """Numbers that were given here and not written are free again, for a plan that is made anew."""
        self._given.clear()

    def number_states(self, wanted: Sequence[str], rest_days: int) -> Mapping[str, NumberState]:
        """What each number is used for."""
        return numbers.states(self._connection, self._names, wanted, rest_days)

    # -- Asterisk's rows

    def columns(self) -> ColumnSet:
        """Which columns this database has; looked up once."""
        if self._columns is None:
            self._columns = rows.reflect(self._connection, self._names)
        return self._columns

    def rows(self, endpoint_ids: Iterable[str]) -> Rows:
        """The rows of these ids: the columns that we write, without those that are NULL."""
        return rows.read(self._connection, self._names, self.columns(), endpoint_ids)

    def foreign_rows(self) -> Mapping[str, Mapping[str, bool]]:
        """Rows like ours that no live extension has: by table, id to whether a deleted one had it."""
        return rows.foreign(self._connection, self._names)

    def write(self, plan: Plan) -> None:
        """Carry out a plan, of which every node is to be told once this transaction is committed.

        Raises Conflict when rows are not ours, or are not what the plan rests on.
        """
        if plan.changes:
            rows.write(self._connection, self._names, plan)
            outbox.note(self._connection, self._names, plan)

    # -- what is told

    def know(self, nodes: Sequence[str]) -> None:
        """Keep changes for these nodes, this one's too; call it first, as it may wait for other writers."""
        positions.know(self._connection, nodes)

    def queue(self, node: str, orders: Sequence[NodeOrder]) -> None:
        """This node alone is to be told these orders once this transaction is committed."""
        if orders:
            outbox.queue(self._connection, node, orders)

    @property
    def xid(self) -> str | None:
        """PostgreSQL's number of this transaction, once its block has ended; None where it wrote nothing."""
        return self._xid

    def note_xid(self) -> None:
        """For :meth:`Store.transaction`, just before the commit."""
        self._xid = self._connection.scalar(text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)"))
