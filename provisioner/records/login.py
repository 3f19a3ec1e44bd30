"""The login of a user: which are allowed, and which are the same."""

from __future__ import annotations

import unicodedata


def login_key(login: str) -> str:
    """The form in which two logins are the same: without regard to case or Unicode form."""
    key = login
    while True:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        if folded == key:
            return key
        key = folded
