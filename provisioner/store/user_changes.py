"""Changes of users, written: records, extensions, and what the history keeps of them.

Every function takes many, with a number of statements that does not depend on how many.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from provisioner.errors import Conflict
from provisioner.plan.users import UserChange, Verb
from provisioner.records import Extension, User, login_key
from provisioner.records.text import show
from provisioner.store import history
from provisioner.store.copy import copy_rows

_USER: Final = ("id", "login", "login_key", "name", "email", "active", "webrtc", "source", "version")
_EXTENSION: Final = (
    "user_id",
    "position",
    "kind",
    "number",
    "label",
    "endpoint_id",
    "lines",
    "md5",
    "sha256",
    "realm",
    "secret_plain",
    "secret_length",
)
_SHOWN: Final = 5

_POLL: Final = 0.05
"""Seconds between two looks whether another change of many users is done."""

_HOLD: Final = "SELECT pg_try_advisory_xact_lock(1886547830, 3)"

_NEW_IDS: Final = """
    SELECT array_agg(nextval('provisioner.users_id_seq')) FROM generate_series(1, :count)
"""

_UPDATE: Final = """
    UPDATE provisioner.users AS u SET login = new.login, login_key = new.login_key, name = new.name,
        email = new.email, active = new.active, webrtc = new.webrtc, source = new.source,
        version = new.version, updated_at = now(), deleted_at = CASE WHEN new.deleted THEN now() END
    FROM json_to_recordset(CAST(:users AS json)) AS new (id bigint, login text, login_key text, name text,
            email text, active boolean, webrtc boolean, source text, version bigint, was_deleted boolean,
            deleted boolean)
        JOIN provisioner.users AS old ON old.id = new.id
    WHERE u.id = new.id AND (u.deleted_at IS NOT NULL) = new.was_deleted
    RETURNING u.id, old.version
"""

# The rows of extensions that stay are written anew, so that positions and kinds can change places.
_TAKE_OUT: Final = """
    DELETE FROM provisioner.extensions AS e
    USING json_to_recordset(CAST(:kept AS json)) AS kept (user_id bigint, endpoint_id text)
        JOIN provisioner.users AS u ON u.id = kept.user_id
    WHERE e.user_id = kept.user_id AND e.endpoint_id = kept.endpoint_id
    AND e.deleted_at IS NOT DISTINCT FROM u.deleted_at
"""

_REST: Final = """
    UPDATE provisioner.extensions SET deleted_at = now()
    WHERE user_id = ANY (CAST(:ids AS bigint[])) AND deleted_at IS NULL
"""

_RELEASE: Final = """
    UPDATE provisioner.extensions SET deleted_at = now()
    WHERE endpoint_id = ANY (CAST(:endpoint_ids AS text[])) AND deleted_at IS NULL
"""


def write(connection: Connection, change_id: int, changes: Sequence[UserChange]) -> None:
    """Carry out the changes and note them in the history under ``change_id``.

    Those who go come first, so that others can have their logins and numbers. Raises Conflict where a user
    is not, or no longer, what its change rests on, and where a login or a number is taken.
    """
    gone = [change for change in changes if change.verb is Verb.DELETE]
    kept = [change for change in changes if change.verb in (Verb.UPDATE, Verb.RESTORE)]
    made = [change for change in changes if change.verb is Verb.CREATE]
    ids = _new_ids(connection, len(made))
    versions = {**_delete(connection, change_id, gone), **_update(connection, change_id, kept)}
    _create(connection, change_id, dict(zip(ids, made, strict=True)))
    known = [(_id(change), change) for change in (*gone, *kept)] + list(zip(ids, made, strict=True))
    extensions = [(id, change.user) for id, change in known if _has_new_extensions(change)]
    copy_rows(connection, "provisioner.extensions", _EXTENSION, _extension_rows(extensions))
    history.note(connection, change_id, known, versions)


def hold(connection: Connection, seconds: float) -> None:
    """Let nobody else change many users from here to the end; Conflict where somebody does for so long."""
    deadline = time.monotonic() + seconds
    while not connection.execute(text(_HOLD)).scalar_one():
        if time.monotonic() > deadline:
            raise Conflict(
                "Nothing was written: another apply, undo or drift --fix has been under way "
                f"for {seconds:g} s; try again when it is done."
            )
        time.sleep(_POLL)


def release(connection: Connection, endpoint_ids: Collection[str]) -> None:
    """Take these extensions away from whoever has them: their numbers rest, until somebody gets them."""
    connection.execute(text(_RELEASE), {"endpoint_ids": list(endpoint_ids)})


def _new_ids(connection: Connection, count: int) -> Sequence[int]:
    ids: Sequence[int] = connection.execute(text(_NEW_IDS), {"count": count}).scalar_one() if count else ()
    return ids


def _delete(connection: Connection, change_id: int, changes: Sequence[UserChange]) -> Mapping[int, int]:
    """Users and extensions stay, marked: numbers rest, and a restore can follow."""
    if not changes:
        return {}
    connection.execute(text(_REST), {"ids": [change.id for change in changes]})
    return _write_users(connection, change_id, changes)


def _update(connection: Connection, change_id: int, changes: Sequence[UserChange]) -> Mapping[int, int]:
    """Restored users too; extensions that are lost begin to rest, or go on resting."""
    if not changes:
        return {}
    anew = [change for change in changes if _has_new_extensions(change)]
    if anew:
        kept = [{"user_id": one.id, "endpoint_id": id} for one in anew for id in one.user.endpoint_ids]
        connection.execute(text(_TAKE_OUT), {"kept": json.dumps(kept)})
        connection.execute(text(_REST), {"ids": [change.id for change in anew]})
    return _write_users(connection, change_id, changes)


def _create(connection: Connection, change_id: int, changes: Mapping[int, UserChange]) -> None:
    if changes:
        rows = (_user_row(id, change, change_id) for id, change in changes.items())
        copy_rows(connection, "provisioner.users", _USER, rows)


def _write_users(connection: Connection, change_id: int, changes: Sequence[UserChange]) -> Mapping[int, int]:
    """Make the users what their changes say; returns the version that each had."""
    users = [
        dict(zip(_USER, _user_row(_id(change), change, change_id), strict=True))
        | {"was_deleted": change.verb is Verb.RESTORE, "deleted": change.verb is Verb.DELETE}
        for change in changes
    ]
    result = connection.execute(text(_UPDATE), {"users": json.dumps(users)})
    versions = {row.id: row.version for row in result}
    lost = [change.user.login for change in changes if change.id not in versions]
    if lost:
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        who = ", ".join(show(login) for login in lost[:_SHOWN]) + more
        raise Conflict(
            f"Nothing was written: somebody else deleted or restored {who} at the same time; "
            "look and try again."
        )
    return versions


def _has_new_extensions(change: UserChange) -> bool:
    """Whether its rows of extensions have to be written."""
    if change.verb is Verb.UPDATE:
        assert change.before is not None
        return change.before.extensions != change.user.extensions
    return change.verb is not Verb.DELETE


def _id(change: UserChange) -> int:
    assert change.id is not None, "only a created user has no id yet"
    return change.id


def _user_row(id: int, change: UserChange, change_id: int) -> tuple[Any, ...]:
    user = change.user
    version = change_id if change.returns_to is None else change.returns_to
    return (
        id,
        user.login,
        login_key(user.login),
        user.name,
        user.email,
        user.active,
        user.webrtc,
        user.source,
        version,
    )


def _extension_rows(users: Iterable[tuple[int, User]]) -> Iterator[tuple[Any, ...]]:
    for id, user in users:
        for position, extension in enumerate(user.extensions):
            yield _extension_row(id, position, extension)


def _extension_row(user_id: int, position: int, extension: Extension) -> tuple[Any, ...]:
    return (
        user_id,
        position,
        extension.kind.value,
        extension.number,
        extension.label,
        extension.endpoint_id,
        extension.lines,
        *history.kept_of(extension.credentials),
    )
