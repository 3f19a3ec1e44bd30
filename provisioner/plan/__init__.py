"""The difference between what should be and what is, and what nodes are told of it, as values. Pure."""

from provisioner.plan.diff import diff, same
from provisioner.plan.orders import NodeOrder, merge_orders, orders
from provisioner.plan.plan import OBJECTS, Action, Change, Field, Plan
from provisioner.plan.users import UserChange, UserPlan, Verb
from provisioner.plan.words import summary, words

__all__ = [
    "OBJECTS",
    "Action",
    "Change",
    "Field",
    "NodeOrder",
    "Plan",
    "UserChange",
    "UserPlan",
    "Verb",
    "diff",
    "merge_orders",
    "orders",
    "same",
    "summary",
    "words",
]
