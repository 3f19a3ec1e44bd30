"""What characters are, for the rules of logins and names; and how a refused value is shown."""

from __future__ import annotations

import unicodedata
from typing import Final

SHOWN: Final = 40
"""Most characters of a refused value that an error repeats."""

# Letters and marks by category, yet nothing is seen of them (Default_Ignorable_Code_Point).
_INVISIBLE: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}
    | set(range(0xE0100, 0xE01F0))
)

# Format characters that ordinary names need: joiners (emoji, Persian, Hindi), marks that set the
# direction of one neighbour, and the tags of regional flags. Embeddings and overrides are left out:
# they reorder what is printed after the name.
_JOINERS: Final = frozenset({0x200C, 0x200D, 0x200E, 0x200F, 0x061C, *range(0xE0020, 0xE0080)})

_CLASSES: Final = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character",
    "Cs": "half of a surrogate pair",
    "Co": "a private-use character",
    "Cn": "a character that Unicode does not define",
    "Zl": "a line break",
    "Zp": "a line break",
}


def show(value: object) -> str:
    """A refused value, quoted, escaped and shortened, so that it cannot harm a terminal or a log."""
    text = value if isinstance(value, str) else repr(value)
    safe = "".join(_escaped(char) for char in text[:SHOWN])
    return f"'{safe}'" if len(text) <= SHOWN else f"'{safe}...' ({len(text)} characters)"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return char if char.isprintable() else ascii(char)[1:-1]


def is_letter(char: str) -> bool:
    """Whether it is a visible letter of some script."""
    return unicodedata.category(char)[0] == "L" and ord(char) not in _INVISIBLE


def is_mark(char: str) -> bool:
    """Whether it is a visible accent or vowel sign that belongs to the letter before it."""
    return unicodedata.category(char) in ("Mn", "Mc") and ord(char) not in _INVISIBLE


def is_digit(char: str) -> bool:
    """Whether it is a decimal digit of some script."""
    return unicodedata.category(char) == "Nd"


def is_visible(char: str) -> bool:
    """Whether something is printed for it: a letter, digit, sign or symbol."""
    return unicodedata.category(char)[0] in "LNPS" and ord(char) not in _INVISIBLE


def unprintable(char: str) -> str | None:
    """What kind of character that no name may hold it is, with its code; None for one that may stay."""
    kind = _CLASSES.get(unicodedata.category(char))
    code = ord(char)
    if kind is None or code in _JOINERS:
        return None
    # Python's tables are older than the newest emoji: an undefined code there may be a defined one.
    if kind == _CLASSES["Cn"] and 0x1F000 <= code <= 0x1FAFF:
        return None
    return f"{kind} (U+{code:04X})"
