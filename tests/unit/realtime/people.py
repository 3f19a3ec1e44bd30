"""Users, options and column sets that the tests of rows are made of."""

from dataclasses import dataclass

from provisioner.realtime import TABLES, ColumnSet
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.records import Credentials, Extension, Kind, User, digest
from provisioner.secret import Secret


@dataclass(frozen=True)
class Options:
    """Those of a fresh installation."""

    context: str = "users"
    codecs: tuple[str, ...] = ("alaw", "ulaw", "g722")
    language: str = "en"
    full_aor: str = "replace"
    sip_secret_storage: str = "digest"
    media_encryption: str = "no"
    qualify_frequency: int = 60
    min_expiration: int = 60
    default_expiration: int = 3600
    max_expiration: int = 7200


COLUMNS: ColumnSet = {table: {column.name: None for column in ASTERISK_COLUMNS[table]} for table in TABLES}
"""A database that has every column, each without a limit."""

UPSTREAM_WIDTHS = {
    "ps_endpoints": {"callerid": 40},
    "ps_auths": {"username": 40, "password": 80, "md5_cred": 40},
}


def columns(
    widths: dict[str, dict[str, int]] | None = None, without: frozenset[tuple[str, str]] = frozenset()
) -> ColumnSet:
    """A database with these widths and without these (table, column)."""
    return {
        table: {
            column: (widths or {}).get(table, {}).get(column)
            for column in names
            if (table, column) not in without
        }
        for table, names in COLUMNS.items()
    }


def credentials(id: str, secret: str = "s3cret", realm: str = "asterisk", plain: bool = False) -> Credentials:
    """Those of a secret."""
    return digest(Secret(secret), id, realm, keep_plain=plain)


def extension(
    number: str = "7001", lines: int = 1, label: str | None = None, plain: bool = False
) -> Extension:
    """One with a known secret."""
    id = number if label is None else f"{number}-{label}"
    kind = Kind.PRIMARY if label is None else Kind.ALIAS
    return Extension(number, kind, lines, credentials(id, plain=plain), label)


def user(name: str = "Ivan Petrov", *extensions: Extension, active: bool = True) -> User:
    """One with these extensions, or one of number 7001."""
    return User("ivan", name, None, active, extensions or (extension(),))
