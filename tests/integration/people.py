"""Users for the tests of the store."""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.plan import Plan, diff
from provisioner.plan.users import UserChange, Verb
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Rows, Value
from provisioner.records import Extension, Kind, User, digest, login_key
from provisioner.secret import Secret
from provisioner.store import Store, Transaction

SECRET = Secret("not-in-any-message-4711")


@dataclass(frozen=True)
class Numbers:
    first: str
    last: str


def extension(
    number: str, kind: Kind = Kind.PRIMARY, label: str | None = None, lines: int = 2, plain: bool = False
) -> Extension:
    credentials = digest(SECRET, number, "asterisk", keep_plain=plain)
    return Extension(number=number, kind=kind, lines=lines, label=label, credentials=credentials)


def user(login: str, *numbers: str, name: str = "Anna Nowak", active: bool = True) -> User:
    kinds = [Kind.PRIMARY, *[Kind.ADDITIONAL] * (len(numbers) - 1)]
    return User(
        login=login,
        name=name,
        email=f"{login.split('@')[0]}@example.org",
        active=active,
        extensions=tuple(extension(number, kind) for number, kind in zip(numbers, kinds, strict=True)),
    )


def create(tx: Transaction, *users: User) -> None:
    tx.write_users([UserChange(Verb.CREATE, None, one) for one in users])


def change(tx: Transaction, login: str, after: User) -> None:
    stored = tx.stored_for_change(login)
    tx.write_users([UserChange(Verb.UPDATE, stored.user, after, stored.id)])


def delete(tx: Transaction, login: str) -> None:
    stored = tx.stored_for_change(login)
    tx.write_users([UserChange(Verb.DELETE, stored.user, None, stored.id)])


def restore(tx: Transaction, login: str) -> None:
    stored = tx.stored_for_change(login, deleted=True)
    tx.write_users([UserChange(Verb.RESTORE, stored.user, stored.user, stored.id)])


def add(store: Store, *users: User) -> None:
    with store.transaction(actor="tester", command="user add") as tx:
        create(tx, *users)


def rows(*ids: str, **endpoint: Value) -> Rows:
    """Rows of endpoints that are complete enough for the database."""
    return Rows(
        {
            AUTHS: {id: {"auth_type": "userpass", "username": id, "password": SECRET.reveal()} for id in ids},
            AORS: {id: {"max_contacts": 2, "remove_existing": "yes"} for id in ids},
            ENDPOINTS: {id: {"auth": id, "aors": id, "context": "users", **endpoint} for id in ids},
        }
    )


def plan(wanted: Rows, actual: Rows | None = None) -> Plan:
    return diff(wanted, actual or Rows())


def delete_now(store: Store, login: str) -> None:
    """Delete a user in a transaction of its own."""
    with store.transaction(actor="tester", command="user delete") as tx:
        delete(tx, login)


def restore_now(store: Store, login: str) -> None:
    """Restore a user in a transaction of its own."""
    with store.transaction(actor="tester", command="user restore") as tx:
        restore(tx, login)


def found(store: Store, login: str) -> User | None:
    """The user of this login, None where there is none."""
    with store.transaction(actor="tester", command="user show") as tx:
        return next((one.user for one in tx.users_for([login_key(login)])), None)
