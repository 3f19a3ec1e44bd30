"""Users and their extensions in our own tables. Everything here takes many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from provisioner.errors import Conflict, NotFound
from provisioner.records import Credentials, Extension, Kind, User, login_key, parse_login
from provisioner.records.text import show
from provisioner.secret import Secret
from provisioner.store.tables import extensions, users

_KEPT: Final = ("md5", "sha256", "realm", "secret_plain", "secret_length")
_EXTENSION: Final = tuple(extensions.c[name] for name in ("kind", "number", "label", "lines", *_KEPT))


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user with what only the database knows. Times are aware."""

    id: int
    user: User
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def load(
    connection: Connection, *conditions: ColumnElement[bool], lock: bool = False
) -> tuple[StoredUser, ...]:
    """Users that meet all conditions, sorted by login; a deleted one with the extensions it had at the end.

    With ``lock`` nobody else changes them before the transaction ends.
    """
    if lock:
        ids = connection.scalars(
            select(users.c.id).where(*conditions).order_by(users.c.id).with_for_update()
        ).all()
        conditions = (users.c.id == func.any(list(ids)),)
    query = (
        select(users, extensions.c.id.label("extension_id"), *_EXTENSION)
        .join_from(users, extensions, isouter=True, onclause=_its_extensions())
        .where(*conditions)
        .order_by(users.c.login, users.c.id, extensions.c.position)
    )
    return tuple(_stored(connection.execute(query)))


def by_login(logins: Iterable[str]) -> ColumnElement[bool]:
    """Those of these logins, without regard to case and Unicode form; what can be no login finds nobody."""
    return users.c.login_key == func.any([login_key(login) for login in logins if _possible(login)])


def by_endpoint(endpoint_ids: Iterable[str]) -> ColumnElement[bool]:
    """Those who have one of these extensions now."""
    owners = select(extensions.c.user_id).where(
        extensions.c.endpoint_id == func.any(list(endpoint_ids)), extensions.c.deleted_at.is_(None)
    )
    return users.c.id.in_(owners)


def live() -> ColumnElement[bool]:
    """Not deleted."""
    return users.c.deleted_at.is_(None)


def get(connection: Connection, login: str, *, deleted: bool, lock: bool) -> StoredUser:
    """The user of this login, or the one of this login deleted last. Raises NotFound."""
    found = newest_deleted(connection, login, lock=lock) if deleted else current(connection, login, lock=lock)
    if found is None:
        raise NotFound(f"There is no {'deleted ' if deleted else ''}user {show(login)}.")
    return found


def get_any(connection: Connection, login: str) -> StoredUser:
    """The user of this login, or where there is none the one of this login deleted last. Raises NotFound."""
    found = current(connection, login) or newest_deleted(connection, login)
    if found is None:
        raise NotFound(f"There is no user {show(login)}.")
    return found


def current(connection: Connection, login: str, *, lock: bool = False) -> StoredUser | None:
    """The user of this login, not a deleted one."""
    return next(iter(load(connection, by_login([login]), live(), lock=lock)), None)


def newest_deleted(connection: Connection, login: str, *, lock: bool = False) -> StoredUser | None:
    """Of the deleted users of this login the one deleted last."""
    newest = connection.scalar(
        select(users.c.id)
        .where(by_login([login]), users.c.deleted_at.is_not(None))
        .order_by(users.c.deleted_at.desc(), users.c.id.desc())
        .limit(1)
    )
    return None if newest is None else load(connection, users.c.id == newest, lock=lock)[0]


def create(connection: Connection, records: Sequence[User]) -> None:
    """Add new users. Raises Conflict when a login or an endpoint id is taken."""
    if not records:
        return
    keys = [login_key(record.login) for record in records]
    taken = load(connection, users.c.login_key == func.any(keys), live())
    if taken:
        raise Conflict(f"There is a user {taken[0].user.login!r} already.")
    rows = [_user_values(record) for record in records]
    ids = connection.execute(
        insert(users).returning(users.c.id, sort_by_parameter_order=True), rows
    ).scalars()
    _insert_extensions(connection, dict(zip(ids, records, strict=True)))


def replace(connection: Connection, stored: StoredUser, record: User) -> None:
    """Make the stored user what the record says; extensions that it lacks begin to rest."""
    connection.execute(
        update(users).where(users.c.id == stored.id).values(**_user_values(record), updated_at=func.now())
    )
    current = (extensions.c.user_id == stored.id, extensions.c.deleted_at.is_(None))
    # The rows that stay are written anew, so that positions and kinds can change places.
    connection.execute(
        delete(extensions).where(*current, extensions.c.endpoint_id == func.any(list(record.endpoint_ids)))
    )
    connection.execute(update(extensions).where(*current).values(deleted_at=func.now()))
    _insert_extensions(connection, {stored.id: record})


def mark_deleted(connection: Connection, stored: Sequence[StoredUser]) -> None:
    """Delete users: they and their extensions stay, marked, so that numbers rest and a restore can follow."""
    ids = [one.id for one in stored]
    now = func.now()
    connection.execute(
        update(extensions)
        .where(extensions.c.user_id == func.any(ids), extensions.c.deleted_at.is_(None))
        .values(deleted_at=now)
    )
    connection.execute(
        update(users).where(users.c.id == func.any(ids)).values(deleted_at=now, updated_at=now)
    )


def unmark_deleted(connection: Connection, stored: StoredUser) -> None:
    """Undo mark_deleted. Raises Conflict when the login is in use again."""
    if load(connection, by_login([stored.user.login]), live()):
        raise Conflict(f"{stored.user.login!r} cannot be restored: there is a new user of that login.")
    connection.execute(
        update(extensions)
        .where(extensions.c.user_id == stored.id, extensions.c.deleted_at == stored.deleted_at)
        .values(deleted_at=None)
    )
    connection.execute(
        update(users).where(users.c.id == stored.id).values(deleted_at=None, updated_at=func.now())
    )


def _possible(login: str) -> bool:
    """Whether PostgreSQL can be asked for it: NUL and halves of surrogate pairs are no text there."""
    try:
        parse_login(login)
    except ValueError:
        return False
    return True


def _its_extensions() -> ColumnElement[bool]:
    return (extensions.c.user_id == users.c.id) & extensions.c.deleted_at.is_not_distinct_from(
        users.c.deleted_at
    )


def _insert_extensions(connection: Connection, records: Mapping[int, User]) -> None:
    rows = [
        _extension_values(user_id, position, extension)
        for user_id, record in records.items()
        for position, extension in enumerate(record.extensions)
    ]
    if rows:
        connection.execute(insert(extensions), rows)


def _user_values(record: User) -> dict[str, Any]:
    return {
        "login": record.login,
        "login_key": login_key(record.login),
        "name": record.name,
        "email": record.email,
        "active": record.active,
    }


def _extension_values(user_id: int, position: int, extension: Extension) -> dict[str, Any]:
    credentials = extension.credentials
    return {
        "user_id": user_id,
        "position": position,
        "kind": extension.kind.value,
        "number": extension.number,
        "label": extension.label,
        "endpoint_id": extension.endpoint_id,
        "lines": extension.lines,
        "md5": credentials.md5,
        "sha256": credentials.sha256,
        "realm": credentials.realm,
        "secret_plain": credentials.plain.reveal() if credentials.plain else None,
        "secret_length": credentials.chosen_length,
    }


def _stored(rows: Iterable[Row[Any]]) -> Iterator[StoredUser]:
    for _, group in groupby(rows, key=lambda row: row.id):
        its = list(group)
        first = its[0]
        yield StoredUser(
            id=first.id,
            user=User(
                login=first.login,
                name=first.name,
                email=first.email,
                active=first.active,
                extensions=tuple(_extension(row) for row in its if row.extension_id is not None),
            ),
            created_at=first.created_at,
            updated_at=first.updated_at,
            deleted_at=first.deleted_at,
        )


def _extension(row: Row[Any]) -> Extension:
    plain = row.secret_plain
    return Extension(
        number=row.number,
        kind=Kind(row.kind),
        lines=row.lines,
        label=row.label,
        credentials=Credentials(
            md5=row.md5,
            sha256=row.sha256,
            realm=row.realm,
            plain=None if plain is None else Secret(plain),
            chosen_length=row.secret_length,
        ),
    )
