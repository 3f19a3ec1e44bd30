# ruff: noqa: RUF001 (letters of other scripts are what this is about)
"""Which encoding a text is in: by its first bytes, by being valid UTF-8, or by what its letters make.

Lists of users are short and full of names, and a model of running text says little about them
(charset-normalizer takes one KOI8-R list in forty for Japanese). An old Cyrillic encoding is told by how
common its letters are, how vowels and consonants alternate, and where the capitals stand: KOI8-R read as
CP1251 turns ``Иван`` into ``хБЮМ``. Polish is told by letters that stand in words of ASCII letters and that
no Western encoding has there. Whatever is not plain is refused: a wrong guess would change names.
"""

from __future__ import annotations

import codecs
import math
import re
from typing import BinaryIO, Final, NamedTuple

from provisioner.errors import FileError

CYRILLIC: Final = ("cp1251", "koi8-r", "koi8-u")
_NAMED_ONLY: Final = ("cp866", "iso8859-5")
"""Tried too, so that they are not taken for one of those above."""

_SAMPLE: Final = 1 << 16
_PIECE: Final = 1 << 20

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Letters by their per cent of Russian text, the Ukrainian ones beside them.
_SHARES: Final = {
    "о": 11, "еа": 8, "и": 7.4, "нт": 6.5, "сі": 5.4, "рвл": 4.5, "км": 3.4, "дпу": 2.8, "яы": 2, "ьгзб": 1.6,
    "чй": 1.3, "хїє": 1, "жш": 0.8, "ющцў": 0.5, "эфё": 0.3, "ъґ": 0.1,
}  # fmt: skip
_WORTH: Final = {letter: math.log2(share / 3) for letters, share in _SHARES.items() for letter in letters}
_VOWELS: Final = frozenset("аеёиоуыэюяіїє")
_ALIKE: Final = -1.5
"""Of two vowels or two consonants side by side: the letters of another script would come in any order."""
_SIGNS: Final = frozenset("«»–—’“”№\u00a0")
_STRANGE: Final = -8.0
"""Of a capital after a small letter, and of any other character where a letter should be."""
_LEAST: Final = -0.2
"""Worth that the letters must have on average, so that Greek or Hebrew is not taken for Cyrillic."""
_AHEAD: Final = 0.5
"""By which the best must be ahead of the next."""

_POLISH: Final = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")
_POLISH_ONLY: Final = frozenset("ąłżĄŁŻ")
"""Which other encodings of the bytes would read as signs (¹ ³ ¿ and the like) within a word."""

_WORD: Final = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


class Encoding(NamedTuple):
    """An encoding by Python's name; ``guessed``: by nothing but its letters."""

    name: str
    guessed: bool = False


def named(name: str) -> Encoding:
    """The encoding that the operator named; raises FileError for one that Python does not know."""
    try:
        found = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        raise FileError(
            f"--encoding {name[:40]!a}: no such text encoding; expected one such as utf-8, cp1251 or koi8-r"
        ) from None
    return Encoding(found.name)


def recognise(name: str, head: bytes, rest: BinaryIO | None) -> Encoding:
    """The encoding of a text that begins like this; ``rest`` is what follows, where it can be read twice.

    Raises FileError when no encoding is plain.
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None) or _wide(head)
    if marked:
        return Encoding(marked)
    sample = _not_utf8(head, rest)
    if sample is None:
        return Encoding("utf-8")
    found, likely = _by_letters(sample[:_SAMPLE])
    if found is None:
        hint = f" (it may be {likely})" if likely else ""
        raise FileError(
            f"{name}: is not UTF-8, and its encoding cannot be told{hint}; name it with --encoding"
        )
    return Encoding(found, guessed=True)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: the names of columns or keys are ASCII, so that every other byte is zero."""
    start = head[:8]
    if len(start) == 8:
        for high, low, encoding in ((0, 1, "utf-16-be"), (1, 0, "utf-16-le")):
            if not any(start[high::2]) and all(start[low::2]):
                return encoding
    return None


def _not_utf8(head: bytes, rest: BinaryIO | None) -> bytes | None:
    """The piece where a text is found not to be UTF-8, or None when it is; of a stream, when its head is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    piece = head
    more = True
    while more:
        following = rest.read(_PIECE) if rest is not None else b""
        more = bool(following)
        try:
            decoder.decode(piece, final=not more and rest is not None)
        except UnicodeDecodeError as exc:
            start = exc.object.rfind(b"\n", 0, exc.start) + 1
            return bytes(exc.object[start:]) + following
        piece = following
    return None


def _by_letters(sample: bytes) -> tuple[str | None, str | None]:
    """The encoding that the letters of a text make plain, or else one that may be it."""
    words = _WORD.findall(sample)
    high = sum(byte > 0x7F for word in words for byte in word)
    mixed = sum(byte > 0x7F for word in words if _has_ascii(word) for byte in word)
    if mixed >= 0.5 * high:
        return _polish(words), None
    worth = {encoding: _worth(sample, encoding) for encoding in CYRILLIC + _NAMED_ONLY}
    best = max(worth, key=worth.__getitem__)
    if worth[best] < _LEAST:
        return None, None
    # The two KOI8 differ in the Ukrainian letters alone; without any, the first of them is the commoner name.
    others = [worth[encoding] for encoding in worth if encoding[:4] != best[:4]]
    plain = best in CYRILLIC and worth[best] - max(others) >= _AHEAD
    return (best, None) if plain else (None, best)


def _has_ascii(word: bytes) -> bool:
    return any(byte < 0x80 for byte in word)


def _worth(sample: bytes, encoding: str) -> float:
    """How much like Cyrillic names it reads in an encoding, for each of its characters beyond ASCII."""
    total, count, before = 0.0, 0, ""
    for char in sample.decode(encoding, "replace"):
        if not char.isascii() and not (char in _SIGNS and not before.isalpha()):
            count += 1
            total += _WORTH.get(char.lower(), _STRANGE)
            if before.islower() and char.isupper():
                total += _STRANGE
            if before.isalpha() and (before.lower() in _VOWELS) == (char.lower() in _VOWELS):
                total += _ALIKE
        before = char
    return total / count if count else _STRANGE


def _polish(words: list[bytes]) -> str | None:
    text = b" ".join(words)
    read = []
    for encoding in ("cp1250", "iso8859-2"):
        letters = {char for char in text.decode(encoding, "replace") if not char.isascii()}
        if letters <= _POLISH and letters & _POLISH_ONLY:
            read.append(encoding)
    return read[0] if read else None
