"""Settings of the product: models, and the only readers of file and environment."""

from provisioner.settings.load import actor, load
from provisioner.settings.model import (
    AsteriskSettings,
    DatabaseSettings,
    NodeSettings,
    NumberRange,
    NumberSettings,
    Settings,
    SslMode,
    SyncSettings,
    read_secret_file,
)
from provisioner.settings.supervisor import Supervisor, supervisor

__all__ = [
    "AsteriskSettings",
    "DatabaseSettings",
    "NodeSettings",
    "NumberRange",
    "NumberSettings",
    "Settings",
    "SslMode",
    "Supervisor",
    "SyncSettings",
    "actor",
    "load",
    "read_secret_file",
    "supervisor",
]
