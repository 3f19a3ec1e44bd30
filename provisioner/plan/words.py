"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from provisioner.plan.plan import CHANGED, Action, Change, Plan
from provisioner.realtime import SECRET_COLUMNS, decode_value
from provisioner.records.text import show
from provisioner.secret import Secret

_SIGNS: Final = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}


def words(plan: Plan) -> list[str]:
    """One line for each endpoint id and kind of change, and one for each changed column; no secrets.

    Such as ``+ 7001 auth, aor, endpoint``, ``~ 7002 aor.max_contacts: 2 -> 1``.
    """
    return [
        line for _, changes in groupby(plan, key=lambda change: change.id) for line in _of_one(list(changes))
    ]


def summary(plan: Plan) -> str:
    """How many extensions the plan creates, changes and deletes, in one line."""
    counts = dict.fromkeys(Action, 0)
    for _, changes in groupby(plan, key=lambda change: change.id):
        actions = {change.action for change in changes}
        counts[actions.pop() if len(actions) == 1 else Action.UPDATE] += 1
    parts = [f"{count} to {action}" for action, count in counts.items() if count]
    return ", ".join(parts) or "no changes"


def _of_one(changes: list[Change]) -> Iterator[str]:
    for action in (Action.DELETE, Action.CREATE):
        objects = [change.object for change in changes if change.action is action]
        if objects:
            yield f"{_SIGNS[action]} {changes[0].id} {', '.join(objects)}"
    for change in changes:
        if change.action is Action.UPDATE:
            for column in change.fields:
                yield f"{_SIGNS[change.action]} {change.id} {change.object}.{column}: {_what(change, column)}"


def _what(change: Change, column: str) -> str:
    if column in SECRET_COLUMNS:
        return CHANGED
    old, new = change.fields[column]
    return f"{_value(old)} -> {_value(new)}"


def _value(value: str | int | Secret | None) -> str:
    if value is None:
        return "nothing"
    return show(decode_value(value)) if isinstance(value, str) else str(value)
