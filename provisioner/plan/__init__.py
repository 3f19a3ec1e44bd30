"""The difference between what should be and what is, as a value. Pure."""

from provisioner.plan.orders import NodeOrder
from provisioner.plan.plan import Action, Change, Field, Plan

__all__ = ["Action", "Change", "Field", "NodeOrder", "Plan"]
