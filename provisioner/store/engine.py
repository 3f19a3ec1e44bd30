"""The connection to PostgreSQL: one small pool, opened on first use, with a deadline on everything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import ArgumentError

from provisioner.errors import StoreUnavailable
from provisioner.secret import Secret
from provisioner.store.patience import PatientConnection

CONNECT_TIMEOUT: Final = 5
"""Seconds until a server that does not answer is given up."""

STATEMENT_TIMEOUT: Final = 60.0
"""Seconds that the server may work on one statement."""

_LOCK_TIMEOUT: Final = "20s"
_IDLE_TIMEOUT: Final = "120s"
# So that a statement of a command that was killed does not go on, with its locks, until it is done.
_CHECK_INTERVAL: Final = "1s"
# A server that starts or recovers says so (57P03) and is asked again for so many seconds.
_RECOVERY: Final = 10.0
_CANNOT_CONNECT_NOW: Final = "57P03"


def parse_url(
    url: str | URL | Secret, password: Secret | None = None, tls: Mapping[str, str] | None = None
) -> URL:
    """The URL of a PostgreSQL, for psycopg; raises StoreUnavailable for anything else.

    ``password`` and ``tls`` (libpq's sslmode and sslrootcert) are taken where the URL holds none.
    """
    text = url.reveal() if isinstance(url, Secret) else url
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            "database.url is not a URL such as postgresql://user@host:5432/database."
        ) from None
    if parsed.drivername.partition("+")[0] not in {"postgresql", "postgres"}:
        raise StoreUnavailable(f"database.url must start with postgresql://, not {parsed.drivername}://.")
    parsed = parsed.set(drivername="postgresql+psycopg")
    if password is not None and parsed.password is None:
        parsed = parsed.set(password=password.reveal())
    missing = {name: value for name, value in (tls or {}).items() if name not in parsed.query}
    return parsed.update_query_dict(missing)


def place(url: URL) -> str:
    """Where the server is, in words; never with its password."""
    return f"PostgreSQL at {url.host or 'localhost'}:{url.port or 5432}/{url.database or url.username}"


def make_engine(url: URL, statement_timeout: float = STATEMENT_TIMEOUT) -> Engine:
    """A pool of a few connections; nothing connects yet."""
    limits = {
        "statement_timeout": f"{statement_timeout * 1000:.0f}ms",
        "lock_timeout": _LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": _IDLE_TIMEOUT,
        "client_connection_check_interval": _CHECK_INTERVAL,
    }
    # Those of the URL come last, so they win.
    options = " ".join([*(f"-c {name}={value}" for name, value in limits.items()), _options(url)]).strip()
    engine = create_engine(
        url.difference_update_query(["options"]),
        hide_parameters=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=20,
        pool_pre_ping=True,
        use_native_hstore=False,
        connect_args={
            "application_name": "provisioner",
            "connect_timeout": CONNECT_TIMEOUT,
            "options": options,
            # A server that vanished without a word is noticed after about half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
    )
    # The server gets the time to say itself that a statement took too long.
    patience = statement_timeout * 1.1 + 1

    def connect(
        dialect: Dialect, record: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> DBAPIConnection:
        connection = _connect_when_up(arguments, options)
        connection.patience = patience
        return connection  # type: ignore[return-value]  # psycopg's is one, but not to mypy

    event.listen(engine, "do_connect", connect)
    return engine


def _connect_when_up(arguments: tuple[Any, ...], options: dict[str, Any]) -> PatientConnection:
    deadline = time.monotonic() + _RECOVERY
    while True:
        try:
            return PatientConnection.connect(*arguments, **options)
        except Exception as exc:
            # A refused connection has its SQLSTATE in the text of the server alone (psycopg 3.2 and before).
            starting = getattr(exc, "sqlstate", None) == _CANNOT_CONNECT_NOW or _says_starting(str(exc))
            if not starting or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _says_starting(text: str) -> bool:
    return any(
        f"the database system is {state}" in text
        for state in ("starting up", "not yet accepting connections", "in recovery mode")
    )


def _options(url: URL) -> str:
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)
