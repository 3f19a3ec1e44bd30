"""Which daemon leads: the one whose session holds this lock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

LEAD: Final = "SELECT pg_try_advisory_lock(1886547830, 4)"

_IS_LED: Final = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND classid = 1886547830 AND objid = 4 AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


def is_led(connection: Connection) -> bool:
    """Whether a daemon leads."""
    return bool(connection.scalar(text(_IS_LED)))
