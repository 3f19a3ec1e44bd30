"""Rows wanted against rows there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Final

from provisioner.plan.plan import Action, Change, Field, Plan
from provisioner.realtime import SECRET_COLUMNS, TABLES, YES_NO_COLUMNS, Row, Rows, Value
from provisioner.secret import Secret

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
        for id in wanted[table].keys() | actual[table].keys():
            if ids is None or id in ids:
                change = _change(table, id, wanted.get(table, id), actual.get(table, id))
                if change is not None:
                    yield change


def _change(table: str, id: str, wanted: Row | None, actual: Row | None) -> Change | None:
    if wanted is None:
        held = {column: value for column, value in (actual or {}).items() if value is not None}
        return _made(table, id, Action.DELETE, {column: (value, None) for column, value in held.items()})
    if actual is None:
        return _made(table, id, Action.CREATE, {column: (None, value) for column, value in wanted.items()})
    differing = {
        column: (actual.get(column), value)
        for column, value in wanted.items()
        if not same(column, actual.get(column), value)
    }
    return _made(table, id, Action.UPDATE, differing) if differing else None


def _made(table: str, id: str, action: Action, fields: dict[str, tuple[Value, Value]]) -> Change:
    shown: dict[str, Field] = {
        column: (_hidden(column, old), _hidden(column, new)) for column, (old, new) in sorted(fields.items())
    }
    return Change(table, id, action, MappingProxyType(shown))


def _hidden(column: str, value: Value) -> Value | Secret:
    return Secret(str(value)) if column in SECRET_COLUMNS and value is not None else value


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
