"""A plan of users in words for a terminal, and as data for programs. Neither holds a secret."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from provisioner.plan.effects import summarise
from provisioner.plan.fields import Difference, Shown, count, differences, of_person
from provisioner.plan.orders import NodeOrder
from provisioner.plan.plan import CHANGED
from provisioner.plan.users import UserChange, UserPlan, Verb
from provisioner.records import user_data
from provisioner.records.text import show

Orders = tuple[NodeOrder, ...]
"""What one change means on each node."""

# What takes something away stands last, next to the question whether it shall be done.
_ORDER: Final = (Verb.CREATE, Verb.RESTORE, Verb.UPDATE, Verb.DELETE)
_SIGNS: Final = {Verb.CREATE: "+", Verb.RESTORE: "+", Verb.UPDATE: "~", Verb.DELETE: "-"}


def lines(plan: UserPlan, effects: Iterable[Orders], *, full: bool = False, limit: int = 50) -> Iterator[str]:
    """What happens to each user, grouped by verb: one line for a user that comes or goes, one for each field.

    ``effects`` are the orders of each change, in the plan's order. Of each verb ``limit`` users are told and
    the rest counted, unless ``full``. Every line is printable, whatever the values are.
    """
    held = {part.number for change in plan if change.after for part in change.after.extensions}
    told: dict[Verb, list[tuple[UserChange, Orders]]] = {verb: [] for verb in _ORDER}
    for change, orders in zip(plan, effects, strict=True):
        if full or len(told[change.verb]) < limit:
            told[change.verb].append((change, orders))
    for verb, changes in told.items():
        for change, orders in changes:
            yield from (f"{_SIGNS[verb]} {_login(change)}{line}" for line in _lines(change, orders, held))
        more = plan.count(verb) - len(changes)
        if more:
            yield f"{_SIGNS[verb]} ... and {more:,} more to {verb.value} (--full shows all)"


def totals(plan: UserPlan, effects: Iterable[Orders]) -> str:
    """The whole plan in one line: ``1 to delete, 97 unchanged; phones of 1 extension are cut off``."""
    counts = ((plan.count(verb), verb.value) for verb in _ORDER)
    parts = [f"{number:,} to {word}" for number, word in counts if number] or ["no changes"]
    if plan.unchanged:
        parts.append(f"{plan.unchanged:,} unchanged")
    found = summarise(effects)
    said = [", ".join(parts)]
    if found.cut_off:
        said.append(f"phones of {count(len(found.cut_off), 'extension')} are cut off")
    if found.trimmed:
        said.append(f"older phones of {count(len(found.trimmed), 'extension')} are cut off")
    return "; ".join(said)


def head(plan: UserPlan) -> dict[str, Any]:
    """Source and counts of a plan, for JSON; its changes are :func:`data`."""
    counts = {verb.value: plan.count(verb) for verb in Verb}
    return {"source": plan.source, "totals": {**counts, "unchanged": plan.unchanged}}


def data(plan: UserPlan, effects: Iterable[Orders]) -> Iterator[dict[str, Any]]:
    """Each change for JSON, in the plan's order; of a secret only ``"changed"`` or whose it is."""
    return (change_data(change, orders) for change, orders in zip(plan, effects, strict=True))


def change_data(change: UserChange, orders: Orders) -> dict[str, Any]:
    """One change: ``extensions`` are all that the user has afterwards, or had; ``fields`` what differs.

    Those of a user that comes or goes are the person's alone, for all the extensions come or go.
    """
    person = user_data(change.user)
    whole = change.verb in (Verb.CREATE, Verb.DELETE)
    found = (of_person if whole else differences)(change.before, change.after)
    return {
        "verb": change.verb.value,
        "login": change.user.login,
        "line": change.line,
        "fields": {one.field: _field(one) for one in found},
        "extensions": person["extensions"],
        "secrets": list(change.new_secrets),
        "nodes": {
            "expire": {order.endpoint_id: sorted(order.expire) for order in orders if order.expire},
            "cut_off": [order.endpoint_id for order in orders if order.keep_contacts == 0],
            "keep": {order.endpoint_id: order.keep_contacts for order in orders if order.keep_contacts},
        },
    }


def _lines(change: UserChange, orders: Orders, held: Collection[str]) -> Iterator[str]:
    """What follows the login in each line of a change; ``held`` are the numbers in use afterwards."""
    if change.verb is Verb.UPDATE:
        yield from (f" {one.field}: {_words(one)}" for one in differences(change.before, change.after))
        yield from (f": {words}" for words in (*_on_nodes(orders), *_resting(change, held)))
        return
    user = change.user
    parts = ", ".join(f"{part.endpoint_id} ({count(part.lines, 'line')})" for part in user.extensions)
    notes = [] if user.active else ["disabled"]
    if change.verb is Verb.DELETE:
        notes += [*_on_nodes(orders), *_resting(change, held)]
    elif change.new_secrets:
        notes.append("new secret" if len(change.new_secrets) == 1 else "new secrets")
    yield "".join((f" {show(user.name)}: {parts}", *(f"; {note}" for note in notes)))
    if change.verb is Verb.RESTORE:
        yield from (f" {one.field}: {_words(one)}" for one in differences(change.before, change.after))


def _on_nodes(orders: Orders) -> Iterator[str]:
    cut_off = [order.endpoint_id for order in orders if order.keep_contacts == 0]
    if cut_off:
        yield f"phones of {', '.join(cut_off)} are cut off"
    for order in orders:
        if order.keep_contacts:
            kept = count(order.keep_contacts, "newest phone")
            yield f"{order.endpoint_id} keeps its {kept.removeprefix('1 ')}"


def _resting(change: UserChange, held: Collection[str]) -> Iterator[str]:
    """Numbers that nobody gets for a while."""
    before = change.before.extensions if change.before else ()
    numbers = dict.fromkeys(part.number for part in before if part.number not in held)
    if numbers:
        yield f"{', '.join(numbers)} {'rests' if len(numbers) == 1 else 'rest'}"


def _login(change: UserChange) -> str:
    """Its login: letters, digits and signs, so it needs no quotes."""
    login = change.user.login
    return login if login.isprintable() else show(login)


def _words(difference: Difference) -> str:
    if difference.is_secret:
        return CHANGED
    if difference.is_extension:
        return "taken away" if difference.new is None else f"new, {difference.new}"
    return f"{_value(difference.old)} -> {_value(difference.new)}"


def _value(value: Shown) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return show(value) if isinstance(value, str) else str(value)


def _field(difference: Difference) -> str | dict[str, Shown]:
    return CHANGED if difference.is_secret else {"old": difference.old, "new": difference.new}
