"""The forms of file that users are read from, and the names of what they say."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final


class Format(StrEnum):
    """A form of file."""

    CSV = "csv"
    YAML = "yaml"
    JSONL = "jsonl"
    """JSON lines: one user a line."""
    XLSX = "xlsx"
    """The first sheet of a spreadsheet; read, never written."""


SUFFIXES: Final = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".xlsx": Format.XLSX,
}


def form_of(path: Path) -> Format | None:
    """The form that a file's name tells."""
    return SUFFIXES.get(path.suffix.lower())


PERSON: Final = ("login", "name", "email", "active", "webrtc")
EXTENSION: Final = ("number", "kind", "label", "lines", "secret")
COLUMNS: Final = (*PERSON, *EXTENSION)
"""Of a table; the first two are needed."""


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say of a column or key that nobody knows, with the one that may be meant."""
    names = list(known)
    close = difflib.get_close_matches(name.strip().lower()[:40], names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected {', '.join(names)}"
    return f"is not known; {hint}"
