"""What may stand in Asterisk's configuration files, and how it is written there.

Facts of Asterisk 22's parser (main/config.c): a line ends at CR or LF and is cut at 8,191 bytes; ``;``
starts a comment unless a backslash stands before it; white space around a value is dropped; a ``>``
right after ``=`` belongs to the operator. Files of unixODBC know no escapes at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import get_args

from provisioner.conf.access import DatabaseAccess
from provisioner.errors import ConfError
from provisioner.settings import NodeSettings, Settings, SslMode

MAX_TEXT = 500
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,78}")
SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Nothing that a connection string, or a file of unixODBC, would need quotes for.
PATH = re.compile(r"[A-Za-z0-9_./-]{1,200}")
HOST = re.compile(r"[A-Za-z0-9.:_/-]{1,255}")
PLAIN_CONNINFO = re.compile(r"[A-Za-z0-9_.:/-]+")
# Sections with a meaning of their own, which a context or an AMI user would merge with.
RESERVED = frozenset({"general", "globals", "default"})
# res_config_pgsql copies each option into a buffer of 64 bytes, the database name into one of 50.
PGSQL_LIMIT = {"database name": 49}
PGSQL_DEFAULT_LIMIT = 63


def escape(text: str) -> str:
    """A value as it stands after ``=`` in a file of Asterisk; raises ConfError where it cannot."""
    if problem := text_problem(text):
        raise ConfError(f"a value for Asterisk's configuration {problem}")
    return text.replace(";", r"\;")


def conninfo(text: str) -> str:
    """A value inside a libpq connection string: quoted unless it is plain."""
    if PLAIN_CONNINFO.fullmatch(text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def text_problem(text: str) -> str | None:
    """Why ``text`` cannot be a value, or None. Never repeats the text, which may be a secret."""
    if not text:
        return "is empty"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        return "has a line break or another control character"
    if text != text.strip():
        return "starts or ends with a space, which Asterisk would drop"
    if len(text) > MAX_TEXT:
        return f"is longer than {MAX_TEXT} characters"
    return None


def check(settings: Settings, node: NodeSettings, access: DatabaseAccess) -> None:
    """Raise ConfError that names every setting which cannot be written into the files."""
    problems = [
        *_asterisk(settings, node),
        *_node(node),
        *(_pgsql(access) if settings.asterisk.driver == "pgsql" else _odbc(access)),
    ]
    if problems:
        raise ConfError("\n".join(problems))


def _asterisk(settings: Settings, node: NodeSettings) -> Iterable[str]:
    asterisk = node.laid_over(settings.asterisk)
    for key in ("context", "realm", "language"):
        yield from _word(f"asterisk.{key}", getattr(asterisk, key))
    if asterisk.context in RESERVED:
        yield f"asterisk.context: {asterisk.context} is a section of Asterisk's own; choose another name"
    yield from _matches("asterisk.bind_address", asterisk.bind_address, HOST, "an IP address")
    for key in ("tls_cert", "tls_key"):
        path = getattr(asterisk, key)
        if path is not None:
            yield from _text(f"asterisk.{key}", str(path))
        elif node.tls or not {"tls", "wss"}.isdisjoint(asterisk.transports):
            yield f"asterisk.{key}: is needed for TLS (transport tls or wss, or nodes.{node.name}.tls)"


def _node(node: NodeSettings) -> Iterable[str]:
    if not WORD.fullmatch(node.name):
        yield "nodes: a node's name is 1 to 79 letters, digits, dots, dashes or underscores"
        return
    key = f"nodes.{node.name}"
    yield from _word(f"{key}.username", node.username)
    if node.username in RESERVED:
        yield f"{key}.username: {node.username} is a section of Asterisk's own; choose another name"
    yield from _text(f"{key}.secret", node.read_secret().reveal())


def _pgsql(access: DatabaseAccess) -> Iterable[str]:
    yield from _database(access)
    values = {
        "host": access.host,
        "name": access.dbname,
        "role": access.user,
        "password": access.password.reveal(),
    }
    for what, text in values.items():
        yield from _text(f"the database {what}", text)
        # The parser drops the backslash that escapes a semicolon, so it does not count.
        size = len(conninfo(text).encode("utf-8", "replace"))
        if what == "role" and access.sslrootcert:
            size += len(f" sslrootcert={access.sslrootcert}")
        limit = PGSQL_LIMIT.get(f"database {what}", PGSQL_DEFAULT_LIMIT)
        if size > limit:
            yield (
                f"the database {what}: takes {size} bytes in res_pgsql.conf, Asterisk keeps {limit}; "
                "use a shorter one, or driver odbc"
            )


def _odbc(access: DatabaseAccess) -> Iterable[str]:
    yield from _database(access)
    yield from _matches("the database host", access.host, HOST, "a host name or address")
    yield from _word("the database name", access.dbname)
    yield from _text("the database role", access.user)
    yield from _text("the database password", access.password.reveal())


def _database(access: DatabaseAccess) -> Iterable[str]:
    yield from _matches(
        "database.asterisk_schema",
        access.schema,
        SCHEMA,
        "lower-case letters, digits and underscores (Asterisk does not quote it)",
    )
    if access.sslmode not in get_args(SslMode):
        yield f"the sslmode of the database is none of {', '.join(get_args(SslMode))}"
    if access.sslrootcert is not None:
        expected = "a path of letters, digits, dots, dashes and underscores"
        yield from _matches("database.asterisk_sslrootcert", access.sslrootcert, PATH, expected)


def _text(key: str, text: str) -> Iterable[str]:
    if problem := text_problem(text):
        yield f"{key}: {problem}"


def _word(key: str, text: str) -> Iterable[str]:
    yield from _matches(key, text, WORD, "1 to 79 letters, digits, dots, dashes or underscores")


def _matches(key: str, text: str, pattern: re.Pattern[str], expected: str) -> Iterable[str]:
    if not pattern.fullmatch(text):
        yield f"{key}: expected {expected}"
