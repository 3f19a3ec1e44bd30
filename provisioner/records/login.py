"""The login of a user: which are allowed, and which are the same."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from provisioner.records.text import is_digit, is_letter, is_mark, show

MAX_LOGIN: Final = 64
MAX_MARKS: Final = 4
"""Most combining marks on one letter; scripts that stack them need no more."""

PUNCTUATION: Final = ".-_@+"

# Letters without marks that NFC leaves alone, Latin and Cyrillic: most logins need no closer look.
_ORDINARY: Final = re.compile(r"[a-zA-Z0-9.\-_@+À-ÖØ-öø-ɏЀ-ҁҊ-ԯ]{1,64}")


def parse_login(text: str) -> str:
    """The login in Unicode form NFC; raises ValueError with one sentence when it is not allowed.

    Allowed are 1 to 64 letters of any script with their combining marks, digits, and ``. - _ @ +``.
    """
    if _ORDINARY.fullmatch(text):
        return text
    if not text:
        raise ValueError("is empty; a login has 1 to 64 characters")
    # NFC of a text this much too long would only cost time: it never becomes that much shorter.
    login = unicodedata.normalize("NFC", text) if len(text) <= 16 * MAX_LOGIN else text
    if len(login) > MAX_LOGIN:
        raise ValueError(f"{show(text)} is too long; a login has 1 to {MAX_LOGIN} characters")
    marks = 0
    before = ""
    for char in login:
        marks = marks + 1 if is_mark(char) else 0
        if not _allowed(char, before, marks):
            raise ValueError(
                f"{show(text)} holds {_named(char)}; "
                f"a login has letters, digits and {' '.join(PUNCTUATION)} only"
            )
        before = char
    return login


def login_key(login: str) -> str:
    """The form in which two logins are the same: without regard to case or Unicode form (NFKC).

    Folding may bring about new compatibility forms, so it is repeated until nothing changes.
    """
    if login.isascii():
        return login.lower()
    key = login
    while True:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        if folded == key:
            return key
        key = folded


def _allowed(char: str, before: str, marks: int) -> bool:
    if is_mark(char):
        return marks <= MAX_MARKS and bool(before) and (is_letter(before) or is_mark(before))
    return is_letter(char) or is_digit(char) or char in PUNCTUATION


def _named(char: str) -> str:
    if char.isspace():
        return f"white space (U+{ord(char):04X})"
    return f"{show(char)} (U+{ord(char):04X})"
