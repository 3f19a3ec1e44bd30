"""How far a long piece of work has come, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Progress = Callable[[str, int, int | None], None]
"""Called with what is done (such as ``"written"``), how many so far, and of how many, if known."""

STEP = 1_000
"""Items between two calls."""

T = TypeVar("T")


def silent(what: str, done: int, total: int | None) -> None:
    """For whoever does not want to know."""


def counted(items: Iterable[T], progress: Progress, what: str, total: int | None = None) -> Iterator[T]:
    """The same items; ``progress`` hears of every thousandth and of the last."""
    done = 0
    for item in items:
        yield item
        done += 1
        if done % STEP == 0:
            progress(what, done, total)
    progress(what, done, total or done)
