"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome; ``mend`` says what to do about it where it is not ``ok``."""

    check: str
    ok: bool
    found: str
    mend: str = ""
