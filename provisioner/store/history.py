"""The history: who changed which users when, what they were before, and what an undo needs. Only added to."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from provisioner.errors import NotFound
from provisioner.plan import Plan
from provisioner.plan.users import UserChange
from provisioner.records import Credentials, User, login_key, user_data
from provisioner.secret import Secret
from provisioner.store.copy import copy_rows
from provisioner.store.users import StoredUser, is_login

MEND: Final = "mend"
"""The verb of an entry that speaks of Asterisk's rows alone."""

Data = Mapping[str, Any]

_KEPT: Final = ("md5", "sha256", "realm", "secret_plain", "secret_length")
_ENTRY: Final = (
    "change_id",
    "user_id",
    "login",
    "verb",
    "old",
    "new",
    "secrets",
    "old_version",
    "new_version",
)
_MOST: Final = 2**63 - 1
_FETCHED: Final = 2_000
_encode: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from; see :class:`HistoryChange`."""

    actor: str
    command: str
    file: str | None = None
    file_sha256: str | None = None
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """What one command changed: how many users by verb (create, change, delete, restore, mend), and how.

    ``file`` and ``file_sha256`` are of the file that asked for it, ``undoes`` is the change it took back.
    """

    id: int
    at: datetime
    actor: str
    command: str
    file: str | None
    file_sha256: str | None
    undoes: int | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What happened to one user in a change, without any secret.

    ``old`` and ``new`` are the records as :func:`provisioner.records.user_data` gives them: ``old`` is None
    of a created user, and of a restored one the record as it was deleted; ``new`` is None of a deleted one.
    ``secrets`` are the endpoint ids that got another secret, ``rows`` what was mended in Asterisk's rows.
    ``user_id`` is None of what is older than the history.
    """

    user_id: int | None
    login: str | None
    verb: str
    old: Data | None
    new: Data | None
    rows: Sequence[Data]
    secrets: tuple[str, ...]
    old_version: int | None
    new_version: int | None


def begin(connection: Connection, origin: Origin) -> int:
    """A new change, to which entries are added; returns its id."""
    return int(connection.execute(text(_BEGIN), asdict(origin)).scalar_one())


def note(
    connection: Connection,
    change_id: int,
    changes: Sequence[tuple[int, UserChange]],
    versions: Mapping[int, int],
) -> None:
    """Add what happened to each user (by id); ``versions`` are those that they had."""
    entries = (_entry(change_id, id, change, versions.get(id)) for id, change in changes)
    copy_rows(connection, "provisioner.history", _ENTRY, entries)
    past = [row for id, change in changes for row in _past_secrets(change_id, id, change)]
    if past:
        columns = ("change_id", "user_id", "endpoint_id", *_KEPT)
        copy_rows(connection, "provisioner.past_secrets", columns, past)


def note_rows(connection: Connection, change_id: int, plan: Plan, owners: Mapping[str, StoredUser]) -> None:
    """Add what was mended in Asterisk's rows, by user; the keys of ``owners`` are endpoint ids."""
    rows: dict[tuple[int, str] | tuple[None, None], list[Data]] = defaultdict(list)
    for change in plan:
        owner = owners.get(change.id)
        rows[(owner.id, owner.user.login) if owner else (None, None)].append(change.as_dict())
    entries = ((change_id, *owner, MEND, _encode(mended)) for owner, mended in rows.items())
    copy_rows(connection, "provisioner.history", ("change_id", "user_id", "login", "verb", "rows"), entries)


def changes(
    connection: Connection, login: str | None, since: datetime | None, limit: int | None
) -> tuple[HistoryChange, ...]:
    """The changes, newest first: those of the users of a login, not older than ``since``, at most so many."""
    where = ["true"]
    values: dict[str, object] = {"limit": limit}
    if login is not None:
        if not is_login(login):
            return ()
        where.append(_OF_LOGIN)
        values |= {"key": login_key(login), "login": login}
    if since is not None:
        where.append("at >= :since")
        values["since"] = since
    return _changes(connection, " AND ".join(where), values)


def change(connection: Connection, id: int) -> HistoryChange:
    """One change. Raises NotFound."""
    found = _changes(connection, "id = :id", {"id": id, "limit": 1}) if 0 < id <= _MOST else ()
    if not found:
        raise NotFound(
            f"There is no change {id} in the history: `provisioner history` lists those there are."
        )
    return found[0]


def entries(connection: Connection, id: int) -> Iterator[HistoryEntry]:
    """What happened to each user in one change, some at a time; other statements may run meanwhile."""
    result = connection.execute(
        text(_ENTRIES),
        {"id": id},
        execution_options={"stream_results": True, "max_row_buffer": _FETCHED, "yield_per": _FETCHED},
    )
    with result:
        for user_id, login, verb, old, new, rows, secrets, old_version, new_version in result:
            yield HistoryEntry(
                user_id, login, verb, old, new, rows or (), tuple(secrets), old_version, new_version
            )


def past_secrets(connection: Connection, id: int) -> dict[tuple[int, str], Credentials]:
    """What a change replaced or took away: user id and endpoint id to the credentials before it."""
    found: dict[tuple[int, str], Credentials] = {}
    for user_id, endpoint_id, *kept in connection.execute(text(_PAST), {"id": id}):
        md5, sha256, realm, plain, length = kept
        secret = None if plain is None else Secret(plain)
        found.setdefault((user_id, endpoint_id), Credentials(md5, sha256, realm, secret, length))
    return found


def trim(connection: Connection, keep_days: int) -> int:
    """Forget the changes that are older than so many days; returns how many those were."""
    return int(connection.execute(text(_TRIM), {"days": keep_days}).scalar_one())


def kept_of(credentials: Credentials) -> tuple[str, str, str, str | None, int | None]:
    """Credentials as the columns that hold them."""
    plain = credentials.plain.reveal() if credentials.plain else None
    return credentials.md5, credentials.sha256, credentials.realm, plain, credentials.chosen_length


def _changes(connection: Connection, where: str, values: Mapping[str, object]) -> tuple[HistoryChange, ...]:
    found: Sequence[Sequence[Any]] = connection.execute(text(_CHANGES.format(where=where)), values).all()
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    if found:
        asked = {"ids": [row[0] for row in found]}
        for id, verb, count in connection.execute(text(_COUNTS), asked):
            counts[id][verb] = count
    return tuple(_change(row, counts[row[0]]) for row in found)


def _change(row: Sequence[Any], counts: Mapping[str, int]) -> HistoryChange:
    id, at, actor, command, file, file_sha256, undoes = row
    return HistoryChange(id, at, actor, command, file, file_sha256, undoes, counts)


def _entry(change_id: int, id: int, change: UserChange, version: int | None) -> tuple[Any, ...]:
    new_version = change_id if change.returns_to is None else change.returns_to
    return (
        change_id,
        id,
        change.user.login,
        change.verb.value,
        _data(change.before),
        _data(change.after),
        "{" + ",".join(_new_secrets(change)) + "}",  # endpoint ids hold nothing to be escaped
        version,
        new_version,
    )


def _new_secrets(change: UserChange) -> Sequence[str]:
    """``change.new_secrets``, quick for the many changes that need no look at each extension."""
    before, after = change.before, change.after
    if before is None:
        return change.user.endpoint_ids
    if after is None or before.extensions == after.extensions:
        return ()
    return change.new_secrets


def _data(user: User | None) -> str | None:
    return None if user is None else _encode(user_data(user))


def _past_secrets(change_id: int, id: int, change: UserChange) -> Iterator[tuple[Any, ...]]:
    before, after = change.before, change.after
    if before is None or after is None or before.extensions == after.extensions:
        return
    now = {part.endpoint_id: part.credentials for part in after.extensions}
    for part in before.extensions:
        if now.get(part.endpoint_id) != part.credentials:
            yield (change_id, id, part.endpoint_id, *kept_of(part.credentials))


_BEGIN: Final = """
    INSERT INTO provisioner.changes (actor, command, file, file_sha256, undoes)
    VALUES (:actor, :command, :file, :file_sha256, :undoes) RETURNING id
"""

_CHANGES: Final = """
    SELECT id, at, actor, command, file, file_sha256, undoes FROM provisioner.changes
    WHERE {where} ORDER BY id DESC LIMIT :limit
"""

# A login is a user's for good, so its users are known by id; what is older than the history names the login.
_OF_LOGIN: Final = """
    id IN (SELECT change_id FROM provisioner.history
           WHERE user_id IN (SELECT id FROM provisioner.users WHERE login_key = :key)
           UNION ALL SELECT change_id FROM provisioner.history
           WHERE user_id IS NULL AND lower(login) IN (lower(CAST(:login AS text)), :key))
"""

_COUNTS: Final = """
    SELECT change_id, verb, count(*) FROM provisioner.history
    WHERE change_id = ANY (CAST(:ids AS bigint[])) GROUP BY change_id, verb ORDER BY change_id, verb
"""

_ENTRIES: Final = """
    SELECT user_id, login, verb, old, new, rows, secrets, old_version, new_version
    FROM provisioner.history WHERE change_id = :id ORDER BY id
"""

_PAST: Final = """
    SELECT user_id, endpoint_id, md5, sha256, realm, secret_plain, secret_length
    FROM provisioner.past_secrets WHERE change_id = :id ORDER BY id
"""

_TRIM: Final = "SELECT provisioner.trim_history(:days)"
