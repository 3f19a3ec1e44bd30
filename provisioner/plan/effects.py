"""What a change of users means on the nodes, known before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from provisioner.plan.diff import diff
from provisioner.plan.orders import NodeOrder, orders
from provisioner.plan.plan import OBJECTS
from provisioner.plan.users import UserChange, Verb
from provisioner.realtime import ColumnSet, Compiler, Options
from provisioner.records import User

_EVERYTHING: Final = frozenset(OBJECTS.values())
_NEW: Final = frozenset({"state"})


@dataclass(frozen=True, slots=True)
class Effects:
    """What the orders of a plan come to."""

    objects: int
    """How many endpoints, auths and AORs each node forgets and reads again."""
    cut_off: tuple[str, ...]
    """The endpoint ids that lose all their phones, sorted."""
    trimmed: tuple[str, ...]
    """The endpoint ids that keep only their newest phones, sorted."""


def effects(change: UserChange, options: Options, columns: ColumnSet) -> tuple[NodeOrder, ...]:
    """What every node will have to do about one change, one order an endpoint id, sorted by it.

    It rests on the records alone: rows that somebody edited are drift, and not looked at. Raises
    SchemaOutdated or UnsupportedValue like :func:`compile_user`.
    """
    (found,) = effects_of((change,), options, columns)
    return found


def effects_of(
    changes: Iterable[UserChange], options: Options, columns: ColumnSet
) -> Iterator[tuple[NodeOrder, ...]]:
    """The same for many, in their order; what they share is computed once."""
    compiler = Compiler(options, columns)
    for change in changes:
        yield _effects(change, compiler)


def summarise(told: Iterable[tuple[NodeOrder, ...]]) -> Effects:
    """What the orders of all changes come to; an id that several changes touch is one id."""
    objects = set[tuple[str, str]]()
    cut_off, trimmed = set[str](), set[str]()
    for order in (order for orders_ in told for order in orders_):
        objects.update((kind, order.endpoint_id) for kind in order.expire)
        if order.keep_contacts is not None:
            (trimmed if order.keep_contacts else cut_off).add(order.endpoint_id)
    return Effects(len(objects), tuple(sorted(cut_off)), tuple(sorted(trimmed - cut_off)))


def _effects(change: UserChange, compiler: Compiler) -> tuple[NodeOrder, ...]:
    before = _with_rows(change.before) if change.verb in (Verb.UPDATE, Verb.DELETE) else None
    after = _with_rows(change.after)
    if before is not None and after is not None:
        return orders(diff(compiler.rows((after,)), compiler.rows((before,))))
    # All rows are new, or all go: no need to compile what is known.
    if after is not None:
        return tuple(NodeOrder(id, _EVERYTHING, None, _NEW) for id in sorted(after.endpoint_ids))
    ids = () if before is None else sorted(before.endpoint_ids)
    return tuple(NodeOrder(id, _EVERYTHING, 0) for id in ids)


def _with_rows(user: User | None) -> User | None:
    """The user, when the record has rows; an inactive one has none."""
    return user if user is not None and user.active else None
