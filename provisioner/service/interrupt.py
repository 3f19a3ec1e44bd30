"""Ctrl-C at a moment when it would leave nobody knowing what happened."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Until the end of the block, signals that would end the command wait; then they come through.

    They do not where the block ends with an error: that says what happened. Only the main thread ever hears
    of a signal, so in another one there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    # A mask would hold for this thread alone: the kernel gives the signal to another one, such as that which
    # draws the bars, and Python then interrupts this one all the same.
    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
