"""A record as plain data, for JSON, export and history: everything but secrets and digests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provisioner.records.models import Credentials, Extension, Kind, User


def user_data(user: User) -> dict[str, Any]:
    """A user as a mapping with the record's field names."""
    return {
        "login": user.login,
        "name": user.name,
        "email": user.email,
        "active": user.active,
        "webrtc": user.webrtc,
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


def user_from(data: Mapping[str, Any], credentials: Callable[[str], Credentials]) -> User:
    """The inverse of :func:`user_data`; ``credentials`` gives those of an endpoint id. Raises KeyError."""
    return User(
        login=data["login"],
        name=data["name"],
        email=data["email"],
        active=data["active"],
        source=data.get("source"),
        webrtc=data.get("webrtc", False),
        extensions=tuple(
            Extension(
                number=part["number"],
                kind=Kind(part["kind"]),
                label=part["label"],
                lines=part["lines"],
                credentials=credentials(part["endpoint_id"]),
            )
            for part in data["extensions"]
        ),
    )
