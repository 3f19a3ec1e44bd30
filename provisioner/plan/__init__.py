"""The difference between what should be and what is, and what nodes are told of it, as values. Pure."""

from provisioner.plan.diff import diff, same
from provisioner.plan.effects import Effects, effects, effects_of, summarise
from provisioner.plan.fields import Difference, count, differences
from provisioner.plan.orders import NodeOrder, merge_orders, orders
from provisioner.plan.plan import OBJECTS, Action, Change, Field, Plan
from provisioner.plan.report import data, head, lines, totals
from provisioner.plan.safety import too_much
from provisioner.plan.saved import Origin, Saved, dump, is_saved, load, moved, snapshot
from provisioner.plan.users import UserChange, UserPlan, Verb

__all__ = [
    "OBJECTS",
    "Action",
    "Change",
    "Difference",
    "Effects",
    "Field",
    "NodeOrder",
    "Origin",
    "Plan",
    "Saved",
    "UserChange",
    "UserPlan",
    "Verb",
    "count",
    "data",
    "diff",
    "differences",
    "dump",
    "effects",
    "effects_of",
    "head",
    "is_saved",
    "lines",
    "load",
    "merge_orders",
    "moved",
    "orders",
    "same",
    "snapshot",
    "summarise",
    "too_much",
    "totals",
]
