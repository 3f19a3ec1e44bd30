"""How long something has been failing, and when to say so: at first, once a minute, and when it is over."""

from __future__ import annotations

from typing import Final

SAY_AGAIN: Final = 60.0


class Outage:
    """One thing that may fail. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.error: str | None = None
        """What is wrong, in one sentence; None where nothing is."""
        self.since: float | None = None
        self._said = 0.0

    def failed(self, error: str, now: float) -> bool:
        """It failed, again or for the first time; whether that is to be said now."""
        first = self.since is None
        self.error = error
        if first:
            self.since = now
        if not first and now - self._said < SAY_AGAIN:
            return False
        self._said = now
        return True

    def lasted(self, now: float) -> float:
        """Seconds since it began; 0 where nothing is wrong."""
        return 0.0 if self.since is None else now - self.since

    def over(self) -> None:
        """It works."""
        self.error = self.since = None
