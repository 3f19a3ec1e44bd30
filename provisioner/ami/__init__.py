"""Asterisk over AMI: the only importer of panoramisk."""

from provisioner.ami.actions import (
    AllowedActions,
    CoreStatus,
    CoreVersion,
    ExpireCache,
    Expired,
    ExpireObject,
    Maintenance,
    MarkStale,
    ModuleLoaded,
    Ping,
    Qualify,
    ReloadModule,
    SetMaintenance,
)
from provisioner.ami.client import Backoff, Client
from provisioner.ami.delivery import Delivery, ExpireContacts, deliver, sayable
from provisioner.ami.fleet import Fleet
from provisioner.ami.held import stale
from provisioner.ami.registrations import (
    Contact,
    Contacts,
    DeviceState,
    DeviceStates,
    EndpointState,
    ShowEndpoint,
)
from provisioner.ami.results import NodeCheck, NodeResult, NodeStatus, ReadBack, ReloadResult, Right

__all__ = [
    "AllowedActions",
    "Backoff",
    "Client",
    "Contact",
    "Contacts",
    "CoreStatus",
    "CoreVersion",
    "Delivery",
    "DeviceState",
    "DeviceStates",
    "EndpointState",
    "ExpireCache",
    "ExpireContacts",
    "ExpireObject",
    "Expired",
    "Fleet",
    "Maintenance",
    "MarkStale",
    "ModuleLoaded",
    "NodeCheck",
    "NodeResult",
    "NodeStatus",
    "Ping",
    "Qualify",
    "ReadBack",
    "ReloadModule",
    "ReloadResult",
    "Right",
    "SetMaintenance",
    "ShowEndpoint",
    "deliver",
    "sayable",
    "stale",
]
