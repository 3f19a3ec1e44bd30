"""Values that Asterisk refuses, and with them the whole endpoint: known here, refused before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from provisioner.errors import UnsupportedValue

CODECS: Final = frozenset(
    {"g723", "ulaw", "alaw", "gsm", "g726", "g726aal2", "adpcm", "lpc10", "g729", "ilbc", "g722", "g719"}
    | {"siren7", "siren14", "opus", "codec2", "amr", "amrwb"}
    | {"silk8", "silk12", "silk16", "silk24", "speex", "speex16", "speex32"}
    | {"slin", "slin12", "slin16", "slin24", "slin32", "slin44", "slin48", "slin96", "slin192"}
    | {"h261", "h263", "h263p", "h264", "h265", "mpeg4", "vp8", "vp9"}
)
"""Codec names that ``core show codecs`` lists on Asterisk 22.10, audio and video, less ``none``."""


def check_codecs(names: Iterable[str]) -> tuple[str, ...]:
    """The codec names, each known to Asterisk and given once; raises UnsupportedValue otherwise.

    One unknown name in ``allow`` hides the endpoint: its phone gets 401 for ever.
    """
    codecs = tuple(name.lower() for name in names)
    unknown = [name for name in codecs if name not in CODECS]
    if unknown:
        raise UnsupportedValue(
            f"asterisk.codecs: Asterisk knows no codec {unknown[0]!a}; it knows {', '.join(sorted(CODECS))}"
        )
    if not codecs:
        raise UnsupportedValue("asterisk.codecs: no codec is given, so no call could have sound")
    return tuple(dict.fromkeys(codecs))


def check_width(table: str, column: str, value: str, width: int | None) -> str:
    """The value, when the column holds it; raises UnsupportedValue when it is too long. Names no value."""
    if width is not None and len(value) > width:
        raise too_narrow(table, column, width, len(value))
    return value


def too_narrow(table: str, column: str, width: int, needed: int) -> UnsupportedValue:
    """The error for a column of ``width`` characters where ``needed`` are."""
    return UnsupportedValue(
        f"{table}.{column} holds {width} characters, and {needed} are needed: "
        f"widen it with ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({max(needed, 255)})"
    )
