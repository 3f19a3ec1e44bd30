"""When a plan takes so much away that it has to be meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from provisioner.plan.fields import count
from provisioner.plan.orders import NodeOrder
from provisioner.plan.users import UserChange, UserPlan, Verb
from provisioner.records.text import show

FEW: Final = 10
"""A source of fewer users has no limit: one person who leaves would be more than any share."""


def too_much(plan: UserPlan, effects: Iterable[tuple[NodeOrder, ...]], limit_percent: int) -> str | None:
    """One sentence, where the plan deletes or cuts off more than ``limit_percent`` of its users; else None.

    ``effects`` are the orders of each change, in the plan's order. Counted are users: those deleted, and
    those with an extension that loses all phones (disabled, a new secret, a number taken away). The whole is
    the users that the file speaks for and that are there: its source's, and those it takes over.

    It is a net for half a file given with ``--prune`` and the like. An undo (a plan without a source) has no
    limit: it touches only the users of the one change that it takes back, all of them on purpose.
    """
    if plan.source is None:
        return None
    whole = plan.of_source + sum(_taken_over(change, plan.source) for change in plan)
    deleted = plan.count(Verb.DELETE)
    cut_off = sum(
        change.verb is not Verb.DELETE and any(order.keep_contacts == 0 for order in orders)
        for change, orders in zip(plan, effects, strict=True)
    )
    allowed = whole * limit_percent // 100
    if whole < FEW or deleted + cut_off <= allowed:
        return None
    parts = [f"delete {deleted:,}"] if deleted else []
    parts += [f"cut off phones of {cut_off:,}"] if cut_off else []
    return (
        f"it would {' and '.join(parts)} of the {count(whole, 'user')} of {show(plan.source)}, and the "
        f"limit is {limit_percent} %, {count(allowed, 'user')}: look at the plan, "
        "and give --force if that is meant"
    )


def _taken_over(change: UserChange, source: str) -> bool:
    return change.verb is Verb.UPDATE and change.before is not None and change.before.source != source
