"""Which numbers are free: not held, not resting after a deletion, not in use by rows that are not ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol

from sqlalchemy import Connection, text

from provisioner.errors import Conflict
from provisioner.store.arrays import text_array
from provisioner.store.names import Tables

_LOCK: Final = "SELECT pg_advisory_xact_lock(1886547830, 1)"
# How many numbers of a range are looked at in one query, at first and at most.
_FIRST_WINDOW: Final = 1_000
_LAST_WINDOW: Final = 50_000


class Use(StrEnum):
    """What a number is used for."""

    FREE = "free"
    HELD = "held"
    RESTING = "resting"
    FOREIGN = "foreign"
    """Rows of Asterisk's tables that we did not make have it."""


@dataclass(frozen=True, slots=True)
class NumberState:
    """What becomes of a number when it is asked for.

    ``login`` and ``user_id`` are of its last user, ``until`` is aware.
    """

    number: str
    use: Use
    login: str | None = None
    until: datetime | None = None
    user_id: int | None = None

    def __str__(self) -> str:
        match self.use:
            case Use.HELD:
                return f"{self.number} belongs to {self.login!r}"
            case Use.RESTING:
                assert self.until is not None
                until = self.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
                return f"{self.number} rests until {until}; its last user was {self.login!r}"
            case Use.FOREIGN:
                return f"{self.number} is in use by rows of Asterisk's tables that provisioner did not make"
            case Use.FREE:
                return f"{self.number} is free"


class Range(Protocol):
    """Numbers from ``first`` to ``last``, both included and equally long; ``settings.NumberRange`` is one."""

    @property
    def first(self) -> str: ...
    @property
    def last(self) -> str: ...


def lock(connection: Connection) -> None:
    """From here to the end of the transaction nobody else gives out numbers."""
    connection.execute(text(_LOCK))


def states(
    connection: Connection, tables: Tables, numbers: Sequence[str], rest_days: int
) -> Mapping[str, NumberState]:
    """What each number is used for."""
    asked = {"numbers": text_array(numbers), "rest": rest_days}
    foreign = connection.scalars(text(_FOREIGN.format(**tables.quoted)), asked)
    found = {number: NumberState(number, Use.FOREIGN) for number in foreign}
    for number, login, user_id, until in connection.execute(text(_HOLDERS), asked):
        use = Use.HELD if until is None else Use.RESTING
        found[number] = NumberState(number, use, login, until, user_id)
    return {number: found.get(number) or NumberState(number, Use.FREE) for number in numbers}


def allocate(
    connection: Connection,
    tables: Tables,
    ranges: Sequence[Range],
    count: int,
    rest_days: int,
    given: Set[str],
) -> tuple[str, ...]:
    """The lowest free numbers of the ranges, in their order, less those ``given`` already.

    Raises Conflict, saying what there is instead, when fewer are free.
    """
    found: list[str] = []
    for window in _windows(ranges, count):
        busy = given | _busy(connection, tables, window, rest_days)
        found += islice((number for number in window if number not in busy), count - len(found))
        if len(found) == count:
            return tuple(found)
    where = ", ".join(f"{one.first}-{one.last}" for one in ranges)
    raise Conflict(
        f"No number of {where} is free: all are held, or rest for {rest_days} days after a deletion. "
        "Widen numbers.ranges, or give a number."
        if not found
        else f"Only {len(found)} of {count} numbers are free in {where}. Widen numbers.ranges."
    )


def _busy(connection: Connection, tables: Tables, numbers: Sequence[str], rest_days: int) -> Set[str]:
    asked = {"numbers": text_array(numbers), "rest": rest_days}
    return frozenset(connection.execute(text(_BUSY.format(**tables.quoted)), asked).scalars())


def _windows(ranges: Sequence[Range], count: int) -> Iterator[Sequence[str]]:
    """The numbers of all ranges, some at a time, and ever more of them."""
    size = max(_FIRST_WINDOW, count)
    for one in ranges:
        start, last = int(one.first), int(one.last)
        while start <= last:
            end = min(start + size - 1, last)
            yield [str(number).zfill(len(one.first)) for number in range(start, end + 1)]
            start, size = end + 1, min(size * 4, max(_LAST_WINDOW, count))


_FOREIGN: Final = """
    SELECT wanted FROM unnest(CAST(:numbers AS text[])) AS wanted
    WHERE (EXISTS (SELECT FROM {ps_endpoints} WHERE id = wanted)
        OR EXISTS (SELECT FROM {ps_auths} WHERE id = wanted)
        OR EXISTS (SELECT FROM {ps_aors} WHERE id = wanted))
    AND NOT EXISTS (
        SELECT FROM provisioner.extensions WHERE endpoint_id = wanted AND deleted_at IS NULL)
"""

_HOLDERS: Final = """
    SELECT DISTINCT ON (e.number) e.number, u.login, u.id AS user_id,
        e.deleted_at + make_interval(days => :rest) AS until
    FROM provisioner.extensions e JOIN provisioner.users u ON u.id = e.user_id
    WHERE e.number = ANY (CAST(:numbers AS text[]))
    AND (e.deleted_at IS NULL OR e.deleted_at > now() - make_interval(days => :rest))
    ORDER BY e.number, e.deleted_at DESC NULLS FIRST, e.id DESC
"""

# Four look-ups in indexes: as one join with a series of numbers this takes a second at 10,000 users.
_BUSY: Final = """
    SELECT number FROM provisioner.extensions WHERE number = ANY (CAST(:numbers AS text[]))
    AND (deleted_at IS NULL OR deleted_at > now() - make_interval(days => :rest))
    UNION ALL SELECT id FROM {ps_endpoints} WHERE id = ANY (CAST(:numbers AS text[]))
    UNION ALL SELECT id FROM {ps_auths} WHERE id = ANY (CAST(:numbers AS text[]))
    UNION ALL SELECT id FROM {ps_aors} WHERE id = ANY (CAST(:numbers AS text[]))
"""
