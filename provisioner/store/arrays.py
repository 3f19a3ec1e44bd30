"""Thousands of ids or numbers as one parameter of a statement."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_PLAIN: Final = re.compile(r"[0-9a-z-]+(,[0-9a-z-]+)*")


def text_array(values: Collection[str]) -> str | list[str]:
    """What ``CAST(:name AS text[])`` takes. psycopg looks at each text of a list, which ids do not need."""
    joined = ",".join(values)
    plain = _PLAIN.fullmatch(joined) is not None and joined.count(",") == len(values) - 1
    # Without quotes, null is no text.
    return "{" + joined + "}" if plain and "null" not in joined else list(values)
