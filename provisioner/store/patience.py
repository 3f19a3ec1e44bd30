"""A connection that does not wait for ever for a server that fell silent without hanging up."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


class PatientConnection(psycopg.Connection[Any]):
    """A psycopg connection on which every wait has a deadline.

    The server's own timeouts end a statement that takes long; they are of no use where the server is frozen,
    or something on the way swallows its answers. Such a connection is closed, and the wait raises
    psycopg.OperationalError.
    """

    patience: float = 70.0
    """Seconds that one answer may take: more than the server's statement_timeout."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Like psycopg's, which resumes ``gen`` at least every tenth of a second."""
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        deadline = time.monotonic() + self.patience
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(f"it has been silent for {self.patience:g} s")
                wanted = steps.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
