"""What is wrong with a database, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong: ``what``, ``where`` it is, and how to ``mend`` it."""

    what: str
    where: str
    mend: str
