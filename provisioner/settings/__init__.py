"""Settings of the product: models, and the one reader of file and environment."""

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

__all__ = [
    "AsteriskSettings",
    "DatabaseSettings",
    "NodeSettings",
    "NumberRange",
    "NumberSettings",
    "Settings",
    "SslMode",
    "SyncSettings",
    "actor",
    "load",
    "read_secret_file",
]
