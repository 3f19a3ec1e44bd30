"""The caller ID of an extension: a name in quotes and a number, cut to what can carry it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from provisioner.realtime.encode import encode_value
from provisioner.realtime.limits import too_narrow

NAME_BYTES: Final = 79
"""Most bytes of UTF-8 that Asterisk sends of a caller's name. A longer one is cut at this byte, be it in
the middle of a letter, which phones then show as rubbish (measured on 22.10.1)."""

_JOINER = "\N{ZERO WIDTH JOINER}"


def callerid(name: str, number: str, width: int | None) -> str:
    """``"Name" <number>``, encoded for realtime, of at most ``width`` characters (None: no limit).

    The name is cut at the end, never within a letter with its accents, an emoji or an escape; the number
    is always whole. Raises UnsupportedValue when not even the number has room.
    """
    tail = f" <{number}>"
    least = len(f'""{tail}')
    if width is not None and width < least:
        raise too_narrow("ps_endpoints", "callerid", width, least)
    room = None if width is None else width - least
    composed = unicodedata.normalize("NFC", name)
    return f'"{_fitting(composed, room)}"{tail}'


def graphemes(text: str) -> Iterator[str]:
    """What a reader takes for one character each: a letter with its accents, a whole emoji, a flag."""
    cluster = ""
    if text.isascii():
        yield from text
        return
    for char in text:
        if cluster and not _continues(cluster, char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _fitting(name: str, room: int | None) -> str:
    """As much of the name as fits ``room`` characters when written, and NAME_BYTES bytes when sent."""
    whole = _escaped(name)
    if _sent(name) <= NAME_BYTES and (room is None or len(whole) <= room):
        return whole
    kept: list[tuple[str, str]] = []
    written = sent = 0
    for cluster in graphemes(name):
        escaped = _escaped(cluster)
        written += len(escaped)
        sent += _sent(cluster)
        if sent > NAME_BYTES or (room is not None and written > room):
            while kept and kept[-1][0].isspace():
                kept.pop()
            break
        kept.append((cluster, escaped))
    return "".join(escaped for _, escaped in kept)


def _escaped(text: str) -> str:
    r"""As written in the quotes, where Asterisk reads ``\"`` and ``\\`` and drops any other backslash."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return encode_value(f"|{quoted}|")[1:-1]  # spaces at its ends are inside the quotes


def _sent(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _continues(cluster: str, char: str) -> bool:
    code = ord(char)
    if unicodedata.category(char) in ("Mn", "Mc", "Me") or char in "\u200c\u200d":
        return True
    if 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:  # skin tones, tags of regional flags
        return True
    if _is_flag_letter(char):
        return sum(map(_is_flag_letter, cluster)) == 1
    return cluster.endswith(_JOINER) and unicodedata.category(char) not in ("Lo", "Lu", "Ll", "Zs")


def _is_flag_letter(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF
