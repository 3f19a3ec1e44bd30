"""What an administrator types, checked: every error at once."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from provisioner.records.models import Kind
from provisioner.secret import Secret


class ExtensionSpec(BaseModel):
    """One extension as asked for; without a number it gets the next free one, without a secret a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    number: str | None = None
    lines: int = 1
    secret: Secret | None = None
    kind: Kind = Kind.PRIMARY
    label: str | None = None


class UserSpec(BaseModel):
    """A user as asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    login: str
    name: str
    email: str | None = None
    active: bool = True
    extensions: tuple[ExtensionSpec, ...] = (ExtensionSpec(),)


def validate_user(**fields: Any) -> UserSpec:
    """Check what was typed; raises InvalidRecord with every problem at once."""
    return UserSpec(**fields)
