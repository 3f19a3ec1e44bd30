"""Records as plain data for JSON and export: everything but secrets and digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioner.records import User

if TYPE_CHECKING:
    from provisioner.store import StoredUser


def user_data(user: User) -> dict[str, Any]:
    """A user as a mapping with the record's field names."""
    return {
        "login": user.login,
        "name": user.name,
        "email": user.email,
        "active": user.active,
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


def stored_data(stored: StoredUser) -> dict[str, Any]:
    """The same with the times of a stored one, as ISO 8601 texts in UTC."""
    return {
        **user_data(stored.user),
        "created_at": stored.created_at.isoformat(),
        "updated_at": stored.updated_at.isoformat(),
        "deleted_at": stored.deleted_at.isoformat() if stored.deleted_at else None,
    }
