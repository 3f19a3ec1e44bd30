"""SIP secrets: made, checked, digested."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final

from provisioner.errors import InvalidRecord, Problem
from provisioner.records.models import Credentials
from provisioner.secret import Secret

GENERATED_LENGTH: Final = 24
ALPHABET: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits that no phone's keypad or reader mixes up (no 0 O 1 l I): 24 of them are 140 bits."""

# A byte becomes the character of its remainder; the last bytes, which would favour some, are dropped.
_EVEN: Final = 256 - 256 % len(ALPHABET)
_CHARACTERS: Final = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
_UNEVEN: Final = bytes(range(_EVEN, 256))

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256
MIN_SCORE: Final = 3
"""Of zxcvbn's 0 to 4: 3 means 10^8 guesses or more."""

_GLANCED: Final = 24
_JUDGED: Final = 72
"""Most characters of a secret that zxcvbn is asked about; it refuses more."""
_WORDS: Final = 50
"""Most context words that it is told."""


def generate_secret() -> Secret:
    """A new secret: 24 characters from the system's randomness, about 140 bits."""
    text = b""
    while len(text) < GENERATED_LENGTH:
        text += secrets.token_bytes(2 * GENERATED_LENGTH).translate(_CHARACTERS, _UNEVEN)
    return Secret(text[:GENERATED_LENGTH].decode("ascii"))


def check_secret(secret: Secret, lines: int = 1, context: Iterable[str] = ()) -> None:
    """Raise InvalidRecord when a chosen secret is too short, not typeable everywhere, or easy to guess.

    ``lines`` is the extension's line count: beyond two, each asks for two characters more. ``context``
    are words that an attacker tries first: login, name, number. No error repeats any of the secret.
    """
    message = secret_fault(secret, lines, context)
    if message:
        raise InvalidRecord((Problem("secret", message),))


def required_length(lines: int) -> int:
    """How many characters a chosen secret must have: 12, and 2 for each line beyond the second."""
    return MIN_LENGTH + 2 * max(0, lines - 2)


def secret_fault(secret: Secret, lines: int = 1, context: Iterable[str] = ()) -> str | None:
    """What is wrong with a chosen secret, in one sentence, or None."""
    text = secret.reveal()
    needed = required_length(lines)
    if len(text) < needed:
        return (
            f"has {_characters(len(text))}, and {_characters(needed)} are needed for {_lines(lines)}: "
            f"add {needed - len(text)} more"
        )
    if len(text) > MAX_LENGTH:
        return (
            f"has {len(text)} characters; at most {MAX_LENGTH} are allowed: remove {len(text) - MAX_LENGTH}"
        )
    if not (text.isascii() and text.isprintable()):
        return "holds characters that phones encode differently; use letters a-z A-Z, digits and ASCII signs"
    if text != text.strip():
        return "begins or ends with a space, which phones drop; remove it"
    return _guessable(text, context)


def digest(secret: Secret, username: str, realm: str, keep_plain: bool = False) -> Credentials:
    """What is kept of a secret, for one SIP username (the endpoint id) in one realm (RFC 7616, HA1)."""
    text = f"{username}:{realm}:{secret.reveal()}".encode()
    return Credentials(
        md5=hashlib.md5(text, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(text).hexdigest(),
        realm=realm,
        plain=secret if keep_plain else None,
    )


def matches(secret: Secret, credentials: Credentials, username: str) -> bool:
    """Whether it is the secret that the credentials were made from."""
    made = digest(secret, username, credentials.realm)
    return secrets.compare_digest(made.sha256, credentials.sha256)


def _guessable(text: str, context: Iterable[str]) -> str | None:
    # Imported here: its word lists take 60 ms, and most commands never check a secret.
    from zxcvbn import zxcvbn

    words = _words(context)
    # Three known words in a row are 10^8 guesses to zxcvbn, so they count for nothing at all here.
    rest = re.sub("|".join(map(re.escape, words)), "", text, flags=re.IGNORECASE) if words else text
    why = "it is made of the login, name or number"
    # What the beginning is worth, more characters only add to; its time grows steeply with their number.
    for length in (_GLANCED, _JUDGED) if rest else ():
        verdict = zxcvbn(rest[:length], user_inputs=words, max_length=_JUDGED)
        if verdict["score"] >= MIN_SCORE:
            return None
        if len(rest) == len(text):
            # Its warnings are fixed sentences; they hold nothing of the secret.
            why = str(verdict["feedback"]["warning"]).rstrip(".").lower()
    reason = f" ({why})" if why else ""
    return f"is easy to guess{reason}; use words that have nothing to do with each other, or a made one"


def _words(context: Iterable[str]) -> list[str]:
    """What an attacker tries first, longest first: whole entries and their words, of 3 characters or more."""
    found = {word for entry in context for word in (entry[:_JUDGED], *re.split(r"[\W_]+", entry[:_JUDGED]))}
    return sorted((word for word in found if len(word) >= 3), key=lambda word: (-len(word), word))[:_WORDS]


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"
