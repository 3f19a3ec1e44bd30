"""The difference between what should be and what is, and what nodes are told of it, as values. Pure."""

from provisioner.plan.diff import diff, same
from provisioner.plan.effects import Effects, effects, effects_of, summarise
from provisioner.plan.fields import Difference, differences
from provisioner.plan.orders import NodeOrder, merge_orders, orders
from provisioner.plan.plan import OBJECTS, Action, Change, Field, Plan
from provisioner.plan.safety import too_much
from provisioner.plan.users import UserChange, UserPlan, Verb
from provisioner.plan.words import summary, words

__all__ = [
    "OBJECTS",
    "Action",
    "Change",
    "Difference",
    "Effects",
    "Field",
    "NodeOrder",
    "Plan",
    "UserChange",
    "UserPlan",
    "Verb",
    "diff",
    "differences",
    "effects",
    "effects_of",
    "merge_orders",
    "orders",
    "same",
    "summarise",
    "summary",
    "too_much",
    "words",
]
