"""How a value is written so that Asterisk's realtime reads it back unchanged.

Its drivers (pgsql and odbc alike) split a value at ``;``, strip each piece of white space, and turn ``^XX``
into the byte of that hex code. Measured on Asterisk 22.10.1.
"""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(rb"\^([0-9A-Fa-f]{2})")


def encode_value(text: str) -> str:
    """The column value that Asterisk reads as ``text``."""
    encoded = text.replace("^", "^5E").replace(";", "^3B")
    inner = encoded.strip()
    if inner == encoded:
        return encoded
    if not inner:
        return _spaces(encoded)
    start = encoded.index(inner)
    return _spaces(encoded[:start]) + inner + _spaces(encoded[start + len(inner) :])


def decode_value(value: str) -> str:
    """What Asterisk reads of a column value that holds one piece; the inverse of :func:`encode_value`."""
    raw = value.strip().encode("utf-8", "surrogatepass")
    return _CODE.sub(lambda match: bytes((int(match[1], 16),)), raw).decode("utf-8", "replace")


def _spaces(text: str) -> str:
    return "".join(f"^{byte:02X}" for byte in text.encode("utf-8"))
