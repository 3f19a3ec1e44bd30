"""A record as plain data, for JSON, export and history: everything but secrets and digests."""

from __future__ import annotations

from typing import Any

from provisioner.records.models import User


def user_data(user: User) -> dict[str, Any]:
    """A user as a mapping with the record's field names."""
    return {
        "login": user.login,
        "name": user.name,
        "email": user.email,
        "active": user.active,
        "source": user.source,
        "extensions": [
            {
                "number": part.number,
                "kind": part.kind.value,
                "label": part.label,
                "endpoint_id": part.endpoint_id,
                "lines": part.lines,
            }
            for part in user.extensions
        ],
    }
