"""Which encoding a text is in."""

from __future__ import annotations

import codecs
from typing import BinaryIO, NamedTuple

from provisioner.errors import FileError


class Encoding(NamedTuple):
    """An encoding; ``guessed``: by nothing but its letters."""

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
    """The encoding of a text that begins like this; ``rest`` is what follows, where it can be read twice."""
    return Encoding("utf-8")
