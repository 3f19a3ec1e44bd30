"""Record to rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from provisioner.errors import SchemaOutdated, UnsupportedValue
from provisioner.realtime.encode import encode_value
from provisioner.realtime.limits import check_width
from provisioner.realtime.mapping import CONSTANTS, PERSONAL, Options, Personal, Storage, Subject
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
    _check_columns(columns)
    constants = _constants(options, columns)
    personal = {
        table: [f for f in PERSONAL if f.table == table and f.column in columns[table]] for table in TABLES
    }
    tables: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
    for user in users:
        if not user.active:
            continue
        for extension in user.extensions:
            subject = Subject(user, extension, _storage(extension, options, columns))
            id = _checked_id(subject.id, columns)
            for table, rows in tables.items():
                if id in rows:
                    raise UnsupportedValue(f"two extensions have the endpoint id {id}")
                rows[id] = {**constants[table], **_values(subject, personal[table], columns)}
    return Rows(tables)


def _constants(options: Options, columns: ColumnSet) -> dict[str, dict[str, Value]]:
    tables: dict[str, dict[str, Value]] = {table: {} for table in TABLES}
    for field in CONSTANTS:
        if field.column not in columns[field.table]:
            continue
        value = field.value(options)
        if isinstance(value, str):
            width = columns[field.table][field.column]
            value = check_width(field.table, field.column, encode_value(value), width)
        tables[field.table][field.column] = value
    return tables


def _values(subject: Subject, fields: Iterable[Personal], columns: ColumnSet) -> dict[str, Value]:
    return {field.column: field.value(subject, columns[field.table][field.column]) for field in fields}


def _storage(extension: Extension, options: Options, columns: ColumnSet) -> Storage:
    """Plain where that is asked for and the secret is known; else the best digest there is a column for."""
    wanted = [Storage.DIGEST, Storage.MD5]
    if options.sip_secret_storage == "plain" and extension.credentials.plain is not None:
        wanted = [Storage.PLAIN]
    for storage in wanted:
        if storage.value in columns[AUTHS]:
            return storage
    raise _outdated([f"{AUTHS}.{wanted[0].value}"])


def _check_columns(columns: ColumnSet) -> None:
    lacking = [table for table in TABLES if table not in columns]
    if not lacking:
        lacking = [
            f"{field.table}.{field.column}"
            for field in (*CONSTANTS, *PERSONAL)
            if field.essential and field.column not in columns[field.table]
        ]
    if lacking:
        raise _outdated(lacking)


def _outdated(lacking: list[str]) -> SchemaOutdated:
    return SchemaOutdated(
        f"the database lacks {', '.join(lacking)}, which Asterisk cannot do without: "
        "run 'provisioner db upgrade --asterisk-tables'"
    )


def _checked_id(id: str, columns: ColumnSet) -> str:
    # An id with _ or % would match other ids where Asterisk looks contacts up with LIKE.
    if not _ID.fullmatch(id):
        raise UnsupportedValue(f"{id!a} cannot be an endpoint id; expected a-z, 0-9 and - only")
    for table in TABLES:
        check_width(table, "id", id, columns[table].get("id"))
    return id
