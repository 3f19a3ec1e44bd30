"""What an administrator types: users, their extensions and secrets, and the rules they keep. Pure."""

from provisioner.records.data import user_data, user_from
from provisioner.records.entry import Entry, Part, entry_of
from provisioner.records.login import login_key, parse_login
from provisioner.records.models import Credentials, Extension, IssuedSecret, Kind, User, endpoint_id
from provisioner.records.secrets import (
    check_secret,
    digest,
    generate_secret,
    matches,
    required_length,
    secret_fault,
)
from provisioner.records.spec import ExtensionSpec, UserSpec, validate_user

__all__ = [
    "Credentials",
    "Entry",
    "Extension",
    "ExtensionSpec",
    "IssuedSecret",
    "Kind",
    "Part",
    "User",
    "UserSpec",
    "check_secret",
    "digest",
    "endpoint_id",
    "entry_of",
    "generate_secret",
    "login_key",
    "matches",
    "parse_login",
    "required_length",
    "secret_fault",
    "user_data",
    "user_from",
    "validate_user",
]
