"""Record to rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from provisioner.errors import SchemaOutdated, UnsupportedValue
from provisioner.realtime.encode import encode_value
from provisioner.realtime.limits import check_width
from provisioner.realtime.mapping import (
    CONSTANTS,
    PERSONAL,
    WEBRTC,
    Constant,
    Options,
    Personal,
    Storage,
    Subject,
)
from provisioner.realtime.rows import AUTHS, TABLES, ColumnSet, Row, Rows, Value
from provisioner.records import Extension, User

_ID: Final = re.compile(r"[a-z0-9-]+")


def compile_user(user: User, options: Options, columns: ColumnSet) -> Rows:
    """The rows that make a user's extensions work; none for an inactive user.

    Only columns that the database has are written. Raises SchemaOutdated when it lacks one that we
    cannot do without, UnsupportedValue when a value does not fit its column.
    """
    return compile_users((user,), options, columns)


def compile_users(users: Iterable[User], options: Options, columns: ColumnSet) -> Rows:
    """The rows of many users, like :func:`compile_user`; what they share is computed once."""
    return Compiler(options, columns).rows(users)


class Compiler:
    """The way from records to rows under the same settings in the same database.

    For many users in several calls; raises SchemaOutdated where the database lacks what we cannot do without.
    """

    def __init__(self, options: Options, columns: ColumnSet) -> None:
        _check_columns(columns)
        self._plain = options.sip_secret_storage == "plain"
        self._columns = columns
        self._constants = _constants(CONSTANTS, options, columns)
        self._webrtc = _constants((*CONSTANTS, *WEBRTC), options, columns)
        self._lacks_webrtc = _lacking(WEBRTC, columns)
        self._personal = {
            table: [
                (field.column, field.value, columns[table][field.column])
                for field in PERSONAL
                if field.table == table and field.column in columns[table]
            ]
            for table in TABLES
        }
        widths = [(width, table) for table in TABLES if (width := columns[table].get("id")) is not None]
        self._narrowest = min(widths, default=None)
        self._digests = next((s for s in (Storage.DIGEST, Storage.MD5) if s.value in columns[AUTHS]), None)

    def rows(self, users: Iterable[User]) -> Rows:
        """The rows of these users; raises UnsupportedValue when a value does not fit its column."""
        tables: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
        phones = [(tables[table], self._constants[table], self._personal[table]) for table in TABLES]
        browsers = [(tables[table], self._webrtc[table], self._personal[table]) for table in TABLES]
        for user in users:
            if not user.active:
                continue
            if user.webrtc and self._lacks_webrtc:
                raise _outdated(self._lacks_webrtc)
            each = browsers if user.webrtc else phones
            for extension in user.extensions:
                subject = Subject(user, extension, extension.endpoint_id, self._storage(extension))
                id = self._checked_id(subject.id)
                if id in tables[AUTHS]:
                    raise UnsupportedValue(f"two extensions have the endpoint id {id}")
                for rows, constants, personal in each:
                    row = constants.copy()
                    for column, value, width in personal:
                        row[column] = value(subject, width)
                    rows[id] = row
        return Rows(tables)

    def _storage(self, extension: Extension) -> Storage:
        """Plain where that is asked for and the secret is known; else the best digest there is room for."""
        if self._plain and extension.credentials.plain is not None:
            if Storage.PLAIN.value not in self._columns[AUTHS]:
                raise _outdated([f"{AUTHS}.{Storage.PLAIN.value}"])
            return Storage.PLAIN
        if self._digests is None:
            raise _outdated([f"{AUTHS}.{Storage.DIGEST.value}"])
        return self._digests

    def _checked_id(self, id: str) -> str:
        # An id with _ or % would match other ids where Asterisk looks contacts up with LIKE.
        if not _ID.fullmatch(id):
            raise UnsupportedValue(f"{id!a} cannot be an endpoint id; expected a-z, 0-9 and - only")
        if self._narrowest is not None:
            width, table = self._narrowest
            check_width(table, "id", id, width)
        return id


def _constants(
    fields: Iterable[Constant], options: Options, columns: ColumnSet
) -> dict[str, dict[str, Value]]:
    tables: dict[str, dict[str, Value]] = {table: {} for table in TABLES}
    for field in fields:
        if field.column not in columns[field.table]:
            continue
        value = field.value(options)
        if isinstance(value, str):
            width = columns[field.table][field.column]
            value = check_width(field.table, field.column, encode_value(value), width)
        tables[field.table][field.column] = value
    return tables


def _check_columns(columns: ColumnSet) -> None:
    lacking = [table for table in TABLES if table not in columns]
    if not lacking:
        lacking = _lacking((*CONSTANTS, *PERSONAL), columns)
    if lacking:
        raise _outdated(lacking)


def _lacking(fields: Iterable[Constant | Personal], columns: ColumnSet) -> list[str]:
    """What the database lacks of the columns that these cannot do without."""
    return [
        f"{field.table}.{field.column}"
        for field in fields
        if field.essential and field.column not in columns[field.table]
    ]


def _outdated(lacking: list[str]) -> SchemaOutdated:
    return SchemaOutdated(
        f"the database lacks {', '.join(lacking)}, which Asterisk cannot do without: "
        "run 'provisioner db upgrade --asterisk-tables'"
    )
