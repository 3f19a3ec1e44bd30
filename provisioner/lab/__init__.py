"""Real parts to try everything on: an Asterisk, phones, and a database, all on this machine's loopback.

Needs the extra ``demo``, a container engine, and the images that ``make images`` builds.
"""

from provisioner.lab.asterisk import Asterisk
from provisioner.lab.commands import CommandResult
from provisioner.lab.containers import Containers
from provisioner.lab.lab import Lab, LabNode
from provisioner.lab.phone import Call, Phone
from provisioner.lab.sipp import register_many, sip_register

__all__ = [
    "Asterisk",
    "Call",
    "CommandResult",
    "Containers",
    "Lab",
    "LabNode",
    "Phone",
    "register_many",
    "sip_register",
]
