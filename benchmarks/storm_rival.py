"""The endpoints of a database as sections of a pjsip.conf, to the last option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

_TYPES: Final = {"ps_endpoints": "endpoint", "ps_auths": "auth", "ps_aors": "aor"}


def sections(url: str) -> Iterator[str]:
    """One for each row of the three tables, with each of its values that is not NULL."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for table, type in _TYPES.items():
            query = sql.SQL("SELECT * FROM {} ORDER BY id").format(sql.Identifier(table))
            for row in connection.execute(query):
                yield section(type, str(row.pop("id")), row)


def section(type: str, id: str, options: dict[str, object]) -> str:
    """One section; a ``;`` in a value would begin a comment."""
    lines = [f"[{id}]", f"type = {type}"]
    for name, value in options.items():
        if value is not None:
            text = str(value).replace("^3B", ";").replace("^5E", "^").replace(";", "\\;")
            lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n"
