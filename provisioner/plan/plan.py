"""A plan: the sorted list of changes from what is to what should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from provisioner.realtime import Value
from provisioner.secret import Secret


class Action(StrEnum):
    """What happens to a row."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


Field = tuple[Value | Secret, Value | Secret]
"""Old and new value of a column; those of secret columns are Secrets."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row created, updated or deleted. Values of secret columns never show."""

    table: str
    id: str
    action: Action
    fields: Mapping[str, Field]

    def new_values(self) -> dict[str, Value]:
        """Column to new value, secrets revealed: for the one place that writes them."""
        return {
            column: new.reveal() if isinstance(new, Secret) else new
            for column, (_, new) in self.fields.items()
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Every change, sorted by endpoint id, then table."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)
