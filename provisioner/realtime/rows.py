"""The rows of Asterisk's tables, as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

Value = str | int | None
"""What a column of Asterisk's tables holds."""

Row = Mapping[str, Value]
"""Column name to value, without the id."""

ColumnSet = Mapping[str, Mapping[str, int | None]]
"""What a database has: table to column to the most characters it holds (None: no limit)."""

ENDPOINTS: Final = "ps_endpoints"
AUTHS: Final = "ps_auths"
AORS: Final = "ps_aors"
TABLES: Final = (AUTHS, AORS, ENDPOINTS)
"""The tables that we write, in the order of writing: an endpoint comes after what it names."""

NODES_SCHEMA: Final = "provisioner_nodes"
"""Has views of these tables; comes before their schema in the search_path of Asterisk."""

SECRET_COLUMNS: Final = frozenset({"password", "md5_cred", "password_digest"})
"""Columns whose values let their reader register: never shown."""

YES_NO_COLUMNS: Final = frozenset(
    {
        "direct_media",
        "rewrite_contact",
        "force_rport",
        "rtp_symmetric",
        "remove_existing",
        "remove_unavailable",
    }
)
"""Columns that we write ``yes`` or ``no`` in, and for which Asterisk takes other words too."""


class Rows:
    """Rows of the three tables, by table and id. Immutable; its repr shows counts, never values."""

    __slots__ = ("_tables",)

    def __init__(self, tables: Mapping[str, Mapping[str, Row]] | None = None) -> None:
        given = tables or {}
        unknown = sorted(set(given) - set(TABLES))
        if unknown:
            raise ValueError(f"not a table we write: {', '.join(unknown)}")
        self._tables: Mapping[str, Mapping[str, Row]] = MappingProxyType(
            {table: MappingProxyType(dict(given.get(table, {}))) for table in TABLES}
        )

    def __getitem__(self, table: str) -> Mapping[str, Row]:
        """The rows of one table, by id."""
        return self._tables[table]

    def get(self, table: str, id: str) -> Row | None:
        """One row, or None."""
        return self._tables[table].get(id)

    def ids(self) -> frozenset[str]:
        """Every id that has a row in any table."""
        return frozenset(id for rows in self._tables.values() for id in rows)

    def only(self, ids: Iterable[str]) -> Rows:
        """The rows of these ids alone."""
        wanted = frozenset(ids)
        return Rows(
            {t: {id: row for id, row in rows.items() if id in wanted} for t, rows in self._tables.items()}
        )

    def __or__(self, other: Rows) -> Rows:
        """Both together; raises ValueError when both have a row of the same table and id."""
        return merge((self, other))

    def __iter__(self) -> Iterator[tuple[str, str, Row]]:
        """Every row as (table, id, row), sorted."""
        for table in TABLES:
            for id in sorted(self._tables[table]):
                yield table, id, self._tables[table][id]

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._tables.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return self._tables == other._tables

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = ", ".join(f"{table}: {len(rows)}" for table, rows in self._tables.items())
        return f"<Rows {counts}>"


def merge(parts: Iterable[Rows]) -> Rows:
    """All rows of all parts; raises ValueError when two parts have a row of the same table and id."""
    tables: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
    for part in parts:
        for table, rows in tables.items():
            twice = rows.keys() & part[table].keys()
            if twice:
                raise ValueError(f"{table} has two rows with the id {min(twice)}")
            rows.update(part[table])
    return Rows(tables)
