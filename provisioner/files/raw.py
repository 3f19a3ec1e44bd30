"""What a file says of one user, before it is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Raw(NamedTuple):
    """One user as it stands in a file: only known names, values as they were written."""

    line: int
    person: Mapping[str, object]
    extensions: Sequence[Mapping[str, object]]
    complete: bool
    """Whether these are all extensions of the user."""
    lines: Sequence[int | None] = ()
    """Where each extension stands, where that is another line."""
    table: bool = False
    """Whether each extension has a row of its own: its problems are named by line and column alone."""


class Fault(NamedTuple):
    """Something wrong at a place of the file."""

    line: int
    field: str
    message: str
