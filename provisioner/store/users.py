"""Users and their extensions as our own tables hold them: read one, some, or all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from provisioner.errors import NotFound
from provisioner.records import Credentials, Extension, Kind, User, login_key, parse_login
from provisioner.records.text import show
from provisioner.secret import Secret

# A deleted user has the extensions that were deleted with it; those it lost before have another time.
_SELECT: Final = """
    SELECT u.id, u.login, u.name, u.email, u.active, u.source, u.webrtc, u.version,
        u.created_at, u.updated_at, u.deleted_at,
        e.number, e.kind, e.lines, e.label, e.md5, e.sha256, e.realm, e.secret_plain, e.secret_length
    FROM provisioner.users u LEFT JOIN provisioner.extensions e
        ON e.user_id = u.id AND e.deleted_at IS NOT DISTINCT FROM u.deleted_at
    WHERE {where} ORDER BY {order}, e.position
"""
# SQLAlchemy's Row is a tuple, but has no types for the columns of a text.
_Row = Sequence[Any]
_KINDS: Final = {kind.value: kind for kind in Kind}
_FETCHED: Final = 2_000
"""Rows fetched at once where users are streamed."""

_LIVE: Final = "u.deleted_at IS NULL"
_OF_LOGIN: Final = "u.login_key = ANY (CAST(:keys AS text[]))"
_OF_ID: Final = "u.id = ANY (CAST(:ids AS bigint[]))"
_LOCK: Final = f"SELECT id FROM provisioner.users u WHERE {_OF_ID} ORDER BY id FOR UPDATE"  # noqa: S608

_LAST_DELETED: Final = """
    u.id IN (SELECT DISTINCT ON (login_key) id FROM provisioner.users AS gone
             WHERE login_key = ANY (CAST(:keys AS text[])) AND deleted_at IS NOT NULL
             ORDER BY login_key, deleted_at DESC, id DESC)
"""
_RESTS: Final = """
    u.deleted_at > now() - make_interval(days => :rest) AND NOT EXISTS (
        SELECT FROM provisioner.users now WHERE now.login_key = u.login_key AND now.deleted_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user with what only the database knows. Times are aware.

    ``version`` is the change (of the history) that made the user what it is; 0: from before there was one.
    """

    id: int
    user: User
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def of_logins(connection: Connection, logins: Iterable[str]) -> tuple[StoredUser, ...]:
    """Those of these logins, without regard to case and Unicode form; what can be no login finds nobody."""
    return _load(connection, f"{_LIVE} AND {_OF_LOGIN}", {"keys": _keys(logins)})


def of_ids(connection: Connection, ids: Iterable[int]) -> dict[int, StoredUser]:
    """Those of these ids, live or deleted."""
    return {stored.id: stored for stored in _load(connection, _OF_ID, {"ids": list(ids)})}


def lock(connection: Connection, ids: Iterable[int]) -> dict[int, StoredUser]:
    """The same, as they are now; from here to the end of the transaction nobody else changes them."""
    locked = connection.execute(text(_LOCK), {"ids": list(ids)}).scalars()
    return of_ids(connection, locked)


def listed(connection: Connection, active: bool | None, deleted: bool) -> tuple[StoredUser, ...]:
    """All users by login, or only active or inactive ones, or the deleted ones."""
    where = "u.deleted_at IS NOT NULL" if deleted else _LIVE
    if active is not None:
        where += " AND u.active" if active else " AND NOT u.active"
    return _load(connection, where, {})


def stream(connection: Connection, keys: Collection[str] | None, source: str | None) -> Iterator[StoredUser]:
    """Users whose login key is among these, or who are of that source; all, where neither is said.

    In the order of their ids, some at a time; other statements may run meanwhile.
    """
    wanted = {"keys": None if keys is None else list(keys), "source": source}
    asked = [_OF_LOGIN] * (keys is not None) + ["u.source = :source"] * (source is not None)
    where = f"{_LIVE} AND ({' OR '.join(asked)})" if asked else _LIVE
    # PostgreSQL plans a cursor as if only its first rows were wanted.
    connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")
    result = connection.execute(
        text(_SELECT.format(where=where, order="u.id")),
        {name: value for name, value in wanted.items() if value is not None},
        execution_options={"stream_results": True, "max_row_buffer": _FETCHED, "yield_per": _FETCHED},
    )
    with result:
        yield from _stored(result)


def get_locked(connection: Connection, login: str, *, deleted: bool) -> StoredUser:
    """The user of this login, or the one of this login deleted last; locked. Raises NotFound."""
    found = newest_deleted(connection, login) if deleted else current(connection, login)
    if found is not None:
        found = _locked(connection, found)
    if found is None:
        raise NotFound(f"There is no {'deleted ' if deleted else ''}user {show(login)}.")
    return found


def get_any(connection: Connection, login: str) -> StoredUser:
    """The user of this login, or where there is none the one of this login deleted last. Raises NotFound."""
    found = current(connection, login) or newest_deleted(connection, login)
    if found is None:
        raise NotFound(f"There is no user {show(login)}.")
    return found


def current(connection: Connection, login: str) -> StoredUser | None:
    """The user of this login, not a deleted one."""
    return next(iter(of_logins(connection, [login])), None)


def newest_deleted(connection: Connection, login: str) -> StoredUser | None:
    """Of the deleted users of this login the one deleted last."""
    return next(iter(_load(connection, _LAST_DELETED, {"keys": _keys([login])})), None)


def resting(connection: Connection, keys: Collection[str], rest_days: int) -> dict[str, StoredUser]:
    """Login key to the user of it who was deleted last: where that is no longer ago, and no live one is."""
    found = _load(connection, f"{_LAST_DELETED} AND {_RESTS}", {"keys": list(keys), "rest": rest_days})
    return {login_key(stored.user.login): stored for stored in found}


def count_of(connection: Connection, source: str) -> int:
    """How many users the source speaks for."""
    query = "SELECT count(*) FROM provisioner.users WHERE source = :source AND deleted_at IS NULL"
    return int(connection.execute(text(query), {"source": source}).scalar_one())


def _locked(connection: Connection, found: StoredUser) -> StoredUser | None:
    """The user as it is under the lock; None where it was deleted or restored meanwhile."""
    now = lock(connection, [found.id]).get(found.id)
    return now if now is not None and now.deleted_at == found.deleted_at else None


def _load(connection: Connection, where: str, values: Mapping[str, object]) -> tuple[StoredUser, ...]:
    query = text(_SELECT.format(where=where, order="u.login, u.id"))
    return tuple(_stored(connection.execute(query, values)))


def _keys(logins: Iterable[str]) -> list[str]:
    return [login_key(login) for login in logins if is_login(login)]


def is_login(login: str) -> bool:
    """Whether PostgreSQL can be asked for it: NUL and halves of surrogate pairs are no text there."""
    try:
        parse_login(login)
    except ValueError:
        return False
    return True


def _stored(rows: Iterable[_Row]) -> Iterator[StoredUser]:
    """One user for each run of rows of the same id."""
    realms: dict[str, str] = {}
    last: Any = None
    extensions: list[Extension] = []
    for row in rows:
        if last is None or row[0] != last[0]:
            if last is not None:
                yield _user(last, extensions)
            last, extensions = row, []
        if row[11] is not None:
            extensions.append(_extension(row, realms))
    if last is not None:
        yield _user(last, extensions)


def _user(row: _Row, extensions: list[Extension]) -> StoredUser:
    id, login, name, email, active, source, webrtc, version, created_at, updated_at, deleted_at = row[:11]
    user = User(login, name, email, active, tuple(extensions), source, webrtc)
    return StoredUser(id, user, version, created_at, updated_at, deleted_at)


def _extension(row: _Row, realms: dict[str, str]) -> Extension:
    number, kind, lines, label, md5, sha256, realm, plain, length = row[11:]
    kept = None if plain is None else Secret(plain)
    credentials = Credentials(md5, sha256, realms.setdefault(realm, realm), kept, length)
    return Extension(number, _KINDS[kind], lines, credentials, label)
