"""Many rows into a table at once: PostgreSQL's COPY, in the transaction of the connection.

The values travel as texts, beside the statement and never in it; the database's own input functions make its
column types of them (integers, texts, upstream's enums).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import psycopg
from sqlalchemy import Connection

from provisioner.store.names import quote

_CANCEL: Final = 5.0
"""Seconds that the server may take to hear of a Ctrl-C."""


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """Copy ``rows`` (the values in the order of ``columns``) into ``table``, and return how many those are.

    ``table`` is its full name, quoted already; ``columns`` are plain names. Values are texts, numbers,
    booleans, None, aware datetimes, or lists of them; JSON is given as text. Refused rows raise the
    psycopg.Error that an INSERT raises. A connection that its deadline or Ctrl-C ended counts as lost.
    """
    names = ", ".join(quote(column) for column in columns)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    assert connection.in_transaction()  # else its commit would not know of these rows
    try:
        with driver.cursor() as cursor:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
                write = copy.write_row
                try:
                    for row in rows:
                        write(row)
                except KeyboardInterrupt:
                    # Else the end of the COPY waits until the server has worked off what it has.
                    with suppress(psycopg.Error):
                        driver.cancel_safe(timeout=_CANCEL)
                    raise
            return cursor.rowcount
    except BaseException as exc:
        # Ctrl-C may have come between any two steps of the exchange, so nobody knows where it stands.
        if driver.closed or not isinstance(exc, Exception):
            connection.invalidate()
        raise
