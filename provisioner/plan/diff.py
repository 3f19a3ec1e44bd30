"""Rows wanted against rows there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Final

from provisioner.plan.plan import Action, Change, Fields, Plan
from provisioner.realtime import TABLES, YES_NO_COLUMNS, Row, Rows

_NOTHING: Final[Row] = MappingProxyType({})

# The words that Asterisk's ast_true and ast_false take.
_WORDS: Final = {
    **dict.fromkeys(("yes", "true", "y", "t", "1", "on"), "yes"),
    **dict.fromkeys(("no", "false", "n", "f", "0", "off"), "no"),
}


def diff(wanted: Rows, actual: Rows, endpoint_ids: Collection[str] | None = None) -> Plan:
    """What to do so that ``actual`` becomes ``wanted``.

    Compared are the columns that a wanted row has; what else an actual row holds is left alone. Rows
    that are not wanted are deleted, so ``actual`` must hold only rows of ours; ``endpoint_ids``, where
    given, is all that may be touched. A value is the same whatever type the database returns it in.
    """
    return Plan(tuple(_changes(wanted, actual, None if endpoint_ids is None else frozenset(endpoint_ids))))


def _changes(wanted: Rows, actual: Rows, ids: frozenset[str] | None) -> Iterator[Change]:
    for table in TABLES:
        new, old = wanted[table], actual[table]
        for id in (*new, *(id for id in old if id not in new)):
            if ids is None or id in ids:
                change = _change(table, id, new.get(id), old.get(id))
                if change is not None:
                    yield change


def _change(table: str, id: str, wanted: Row | None, actual: Row | None) -> Change | None:
    if actual is None:
        return Change(table, id, Action.CREATE, Fields(_NOTHING, wanted or _NOTHING, wanted or ()))
    if wanted is None:
        held = [column for column, value in actual.items() if value is not None]
        return Change(table, id, Action.DELETE, Fields(actual, _NOTHING, held))
    differing = [column for column, value in wanted.items() if not same(column, actual.get(column), value)]
    return Change(table, id, Action.UPDATE, Fields(actual, wanted, differing)) if differing else None


def same(column: str, one: object, other: object) -> bool:
    """Whether Asterisk reads both values of a column alike: 2 and "2", True and "yes", 3.0 and "3"."""
    return one == other or _canonical(column, one) == _canonical(column, other)


def _canonical(column: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return _WORDS.get(text.lower(), text) if column in YES_NO_COLUMNS else text
