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
    "actor",
    "load",
    "read_secret_file",
]
