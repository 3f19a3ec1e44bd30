"""A plan: the sorted changes from the rows there are to the rows there should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from provisioner.realtime import AORS, AUTHS, ENDPOINTS, SECRET_COLUMNS, TABLES, Row, Value
from provisioner.secret import Secret


class Action(StrEnum):
    """What happens to a row."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


Field = tuple[Value | Secret, Value | Secret]
"""Old and new value of a column; those of secret columns are Secrets."""

OBJECTS: Final[Mapping[str, str]] = {ENDPOINTS: "endpoint", AUTHS: "auth", AORS: "aor"}
"""What Asterisk calls the object that a row of each table is."""

_PLACES: Final = {table: place for place, table in enumerate(TABLES)}

CHANGED: Final = "changed"
"""All that a plan ever says of a secret column."""


class Fields(Mapping[str, Field]):
    """The fields of a row that comes, changes or goes, by sorted column; made when they are asked for.

    100,000 users have three million of them, and for most nobody asks.
    """

    __slots__ = ("_columns", "_new", "_old")

    def __init__(self, old: Row, new: Row, columns: Iterable[str]) -> None:
        self._old = old
        self._new = new
        self._columns = _sorted(tuple(columns))

    def __getitem__(self, column: str) -> Field:
        if column not in self._columns:
            raise KeyError(column)
        return _hidden(column, self._old.get(column)), _hidden(column, self._new.get(column))

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))

    def new_values(self) -> dict[str, Value]:
        """Column to new value, secrets revealed."""
        if len(self._new) == len(self._columns):
            return dict(self._new)
        return {column: self._new.get(column) for column in self._columns}


@dataclass(frozen=True, slots=True)
class Change:
    """One row created, updated or deleted. Values of secret columns never show.

    ``fields`` holds, by column: of a created row all of them, of an updated one those that differ, of a
    deleted one those that held something.
    """

    table: str
    id: str
    action: Action
    fields: Mapping[str, Field]

    @property
    def object(self) -> str:
        """What Asterisk calls it: endpoint, auth or aor."""
        return OBJECTS[self.table]

    @property
    def key(self) -> tuple[str, int]:
        """By endpoint id, then in the order of writing."""
        return self.id, _PLACES[self.table]

    def new_values(self) -> dict[str, Value]:
        """Column to new value, secrets revealed: for the one place that writes them."""
        if isinstance(self.fields, Fields):
            return self.fields.new_values()
        return {column: revealed(new) for column, (_, new) in self.fields.items()}

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what has a value before or after; of a secret column only ``"changed"``."""
        fields: dict[str, Any] = {}
        for column, (old, new) in self.fields.items():
            if column in SECRET_COLUMNS:
                fields[column] = CHANGED
            elif old is not None or new is not None:
                fields[column] = {"old": old, "new": new}
        return {"table": self.table, "id": self.id, "action": str(self.action), "fields": fields}


@dataclass(frozen=True, slots=True)
class Plan:
    """Every change, sorted by endpoint id and table whatever the order they were given in."""

    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        # By table, then by id: the same as by key, without 300,000 pairs for the garbage collector to walk.
        ordered = sorted(self.changes, key=lambda change: _PLACES[change.table])
        ordered.sort(key=attrgetter("id"))
        object.__setattr__(self, "changes", tuple(ordered))

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def objects(self) -> tuple[tuple[str, str], ...]:
        """What changed, as (kind, id) with kind ``endpoint``, ``auth`` or ``aor``, in the plan's order."""
        return tuple((change.object, change.id) for change in self.changes)

    def in_write_order(self) -> Iterator[Change]:
        """Every change so that no endpoint is ever without its auth: auths first, and last to go."""
        for table in reversed(TABLES):
            yield from (c for c in self.changes if c.table == table and c.action is Action.DELETE)
        for table in TABLES:
            yield from (c for c in self.changes if c.table == table and c.action is not Action.DELETE)


@lru_cache(maxsize=1024)
def _sorted(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(columns))


def _hidden(column: str, value: Value) -> Value | Secret:
    return Secret(str(value)) if column in SECRET_COLUMNS and value is not None else value


def revealed(value: Value | Secret) -> Value:
    """The plain value of a field of a change."""
    return value.reveal() if isinstance(value, Secret) else value
