"""What is wrong with a database, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, text

from provisioner.realtime import NODES_SCHEMA
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.store.findings import Finding
from provisioner.store.migrate import current_revision, is_known, newest_revision
from provisioner.store.names import Tables
from provisioner.store.narrow import wide
from provisioner.store.roles import wrong_rights
from provisioner.store.rows import reflect
from provisioner.store.watch import is_watched, made_by_us

UPGRADE: Final = "provisioner db upgrade"
ASTERISK_TABLES: Final = "provisioner db upgrade --asterisk-tables"
TRIGGERS: Final = "provisioner db upgrade --triggers"
_SHOWN: Final = 10


def check(connection: Connection, tables: Tables, role: str | None) -> tuple[Finding, ...]:
    """Everything that is wrong; empty when all is well. ``role`` is the one Asterisk logs in with."""
    found = [*_revision(connection), *_columns(connection, tables)]
    there = reflect(connection, tables)
    if {"id", "auth"} <= there.get("ps_endpoints", {}).keys() and "ps_auths" in there:
        found += _endpoints(connection, tables)
        found += _guard(connection, tables)
    if current_revision(connection) == newest_revision():
        ours = made_by_us(connection, tables)
        found += _views(connection, tables, ours)
        if ours:
            found += _watch(connection, tables)
    for table in ("ps_endpoints", "ps_auths", "ps_aors"):
        if table in there:
            found += _ids(connection, tables, table)
    if role is not None and len(there) == len(ASTERISK_COLUMNS) and current_revision(connection) is not None:
        found += [
            Finding(wrong, f"role {role}", "provisioner db upgrade, which sets its rights anew")
            for wrong in wrong_rights(connection, tables, role)
        ]
    return tuple(found)


def _revision(connection: Connection) -> Iterator[Finding]:
    current, newest = current_revision(connection), newest_revision()
    if current is None:
        yield Finding("our own tables are missing", "schema provisioner", UPGRADE)
    elif not is_known(current):
        yield Finding(
            f"it was made by a newer provisioner (migration {current}, this one knows {newest})",
            "schema provisioner",
            "install that version",
        )
    elif current != newest:
        yield Finding(
            f"it is at migration {current}, and {newest} is the newest", "schema provisioner", UPGRADE
        )


def _columns(connection: Connection, tables: Tables) -> Iterator[Finding]:
    there = reflect(connection, tables)
    for table, columns in ASTERISK_COLUMNS.items():
        if table not in there:
            yield Finding("this table is missing", f"{tables.schema}.{table}", ASTERISK_TABLES)
            continue
        missing = [column.name for column in columns if column.name not in there[table]]
        if missing:
            what = f"columns that Asterisk 22 knows are missing: {', '.join(missing)}"
            yield Finding(what, f"{tables.schema}.{table}", ASTERISK_TABLES)


def _endpoints(connection: Connection, tables: Tables) -> Iterator[Finding]:
    for ids, count in connection.execute(text(_OPEN.format(**tables.quoted)), {"shown": _SHOWN}):
        if count:
            yield Finding(
                f"endpoints without an auth, whose phones register without a secret: {_some(ids, count)}",
                f"{tables.schema}.ps_endpoints",
                "set their auth, or delete them",
            )
    for ids, count in connection.execute(text(_DANGLING.format(**tables.quoted)), {"shown": _SHOWN}):
        if count:
            yield Finding(
                f"endpoints that name an auth which does not exist: {_some(ids, count)}",
                f"{tables.schema}.ps_endpoints",
                "add the auth, or delete the endpoint",
            )


def _guard(connection: Connection, tables: Tables) -> Iterator[Finding]:
    if not connection.scalar(text(_GUARDED), {"table": tables.quoted["ps_endpoints"]}):
        yield Finding(
            "nothing keeps endpoints without an auth out of this table",
            f"{tables.schema}.ps_endpoints",
            ASTERISK_TABLES,
        )


def _watch(connection: Connection, tables: Tables) -> Iterator[Finding]:
    """Of tables that we adopted it is a choice."""
    if not is_watched(connection, tables):
        yield Finding(
            "what others change in ps_endpoints, ps_auths and ps_aors is not noted for the nodes",
            f"schema {tables.schema}",
            TRIGGERS,
        )


def _views(connection: Connection, tables: Tables, ours: bool) -> Iterator[Finding]:
    """Of tables that we adopted only where they were asked for."""
    for table in wide(connection, tables, ours):
        yield Finding(
            "the view of the columns in use is missing or not kept: nodes read all, or miss what others fill",
            f"{NODES_SCHEMA}.{table}",
            UPGRADE,
        )


def _ids(connection: Connection, tables: Tables, table: str) -> Iterator[Finding]:
    for ids, count in connection.execute(text(_WILD.format(table=tables.quoted[table])), {"shown": _SHOWN}):
        if count:
            yield Finding(
                f"ids with _ or %, which Asterisk takes for wildcards among contacts: {_some(ids, count)}",
                f"{tables.schema}.{table}",
                "give them other ids",
            )


def _some(ids: list[str], count: int) -> str:
    return ", ".join(ids) + (f" and {count - len(ids)} more" if count > len(ids) else "")


_OPEN: Final = """
    SELECT (array_agg(id ORDER BY id))[1:CAST(:shown AS integer)], count(*) FROM {ps_endpoints}
    WHERE btrim(coalesce(auth, ''), ', ') = ''
"""

_DANGLING: Final = """
    SELECT (array_agg(DISTINCT e.id))[1:CAST(:shown AS integer)], count(DISTINCT e.id)
    FROM {ps_endpoints} e, unnest(string_to_array(e.auth, ',')) AS named
    WHERE btrim(named) <> '' AND NOT EXISTS (SELECT FROM {ps_auths} a WHERE a.id = btrim(named))
"""

_GUARDED: Final = """
    SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'endpoint_needs_auth' AND tgenabled <> 'D'
    AND tgrelid = CAST(:table AS regclass))
"""

_WILD: Final = """
    SELECT (array_agg(id ORDER BY id))[1:CAST(:shown AS integer)], count(*) FROM {table}
    WHERE strpos(id, '_') > 0 OR strpos(id, '%') > 0
"""
