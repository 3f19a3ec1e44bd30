"""How a value is written so that realtime reads it back unchanged."""

from __future__ import annotations


def encode_value(text: str) -> str:
    """Asterisk's realtime splits values at ``;`` and decodes ``^XX``: write both as ``^XX``."""
    return text.replace("^", "^5E").replace(";", "^3B")


def decode_value(value: str) -> str:
    """What Asterisk makes of a column value: the inverse of encode_value."""
    return value.replace("^3B", ";").replace("^5E", "^")
