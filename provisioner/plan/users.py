"""What happens to users: the changes from the records there are to the records there should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from provisioner.records import Credentials, IssuedSecret, User, login_key


class Verb(StrEnum):
    """What happens to a user."""

    CREATE = "create"
    UPDATE = "change"
    DELETE = "delete"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class UserChange:
    """One user created, changed, deleted or restored.

    ``before`` is None of a created user, and of a restored one the record as it was deleted; ``after`` is
    None of a deleted user. ``id`` is what the store calls the user, None of a created one. ``issued`` are the
    new secrets. ``line`` is where the input asks for it. ``returns_to`` is the version that an undo brings
    back.
    """

    verb: Verb
    before: User | None
    after: User | None
    id: int | None = None
    issued: tuple[IssuedSecret, ...] = ()
    line: int | None = None
    returns_to: int | None = None

    @property
    def user(self) -> User:
        """The record afterwards, or the last one of a deleted user."""
        found = self.after or self.before
        assert found is not None, "a change without a record"
        return found

    @property
    def key(self) -> str:
        """Its login, in the form in which logins are the same."""
        return login_key((self.before or self.user).login)

    @property
    def lost(self) -> frozenset[str]:
        """The endpoint ids that the user has before and not afterwards."""
        if self.before is None or self.verb is Verb.RESTORE:
            return frozenset()
        return frozenset(self.before.endpoint_ids) - frozenset(self.after.endpoint_ids if self.after else ())

    @property
    def new_secrets(self) -> tuple[str, ...]:
        """The endpoint ids that get another secret than they had, or their first one."""
        return tuple(id for id, held in _held(self.after) if _held_before(self.before, id) != held)


@dataclass(frozen=True, slots=True)
class UserPlan:
    """Every change of users, sorted by login, and what they are judged by.

    ``source`` is whose users these are (None: an undo's), ``of_source`` how many it has before,
    ``unchanged`` how many the input asks for as they are.
    """

    changes: tuple[UserChange, ...] = ()
    source: str | None = None
    unchanged: int = 0
    of_source: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=lambda change: change.key)))

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[UserChange]:
        return iter(self.changes)

    def count(self, verb: Verb) -> int:
        """How many users this happens to."""
        return sum(change.verb is verb for change in self.changes)


def _held(user: User | None) -> Iterator[tuple[str, Credentials]]:
    if user is not None:
        yield from ((part.endpoint_id, part.credentials) for part in user.extensions)


def _held_before(user: User | None, id: str) -> Credentials | None:
    return next((held for its, held in _held(user) if its == id), None)
