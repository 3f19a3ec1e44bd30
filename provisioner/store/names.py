"""Asterisk's tables by their full, quoted names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from provisioner.realtime.columns import ASTERISK_COLUMNS


def quote(name: str) -> str:
    """An SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Tables:
    """The tables in one schema."""

    schema: str = "public"

    @cached_property
    def quoted(self) -> Mapping[str, str]:
        """Table to ``"schema"."table"``."""
        return {table: f"{quote(self.schema)}.{quote(table)}" for table in ASTERISK_COLUMNS}
