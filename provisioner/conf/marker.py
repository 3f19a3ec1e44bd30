"""The first line of a file that we made: who made it, and a hash that tells whether it was edited since."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_LINE: Final = re.compile(r"; made by provisioner \(.*\) sha256:([0-9a-f]{64})")
_TEXT: Final = "; made by provisioner (by `conf render`; edit the settings instead) sha256:{digest}\n"


def mark(body: str) -> str:
    """``body`` with our line before it."""
    return _TEXT.format(digest=_digest(body)) + body


def is_ours(text: str) -> bool:
    """Whether we made this file, edited since or not."""
    return _LINE.fullmatch(text.partition("\n")[0]) is not None


def is_edited(text: str) -> bool:
    """Whether a file of ours was changed by somebody else since we wrote it."""
    first, _, body = text.partition("\n")
    found = _LINE.fullmatch(first)
    return found is not None and found.group(1) != _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()
