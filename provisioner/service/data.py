"""Stored records as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioner.records import user_data

if TYPE_CHECKING:
    from provisioner.store import StoredUser


def stored_data(stored: StoredUser) -> dict[str, Any]:
    """The same with the times of a stored one, as ISO 8601 texts in UTC."""
    return {
        **user_data(stored.user),
        "created_at": stored.created_at.isoformat(),
        "updated_at": stored.updated_at.isoformat(),
        "deleted_at": stored.deleted_at.isoformat() if stored.deleted_at else None,
    }
