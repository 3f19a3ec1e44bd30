"""asyncio from code that is not asynchronous."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

R = TypeVar("R")


def run(main: Coroutine[Any, Any, R]) -> R:
    """As ``asyncio.run``, and where SIGTERM would raise KeyboardInterrupt it ends this as Ctrl-C does.

    That exception would come between any two steps of the interpreter, in asyncio and panoramisk too: the
    waking up of a task is lost, and whoever waits for the task waits for ever. So asyncio cancels first and
    raises it at the end, but for SIGINT alone.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    ):
        return asyncio.run(main)
    came = 0
    task: asyncio.Task[R] | None = None

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came += 1
        if came > 1:
            raise KeyboardInterrupt
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def cancellable() -> R:
        nonlocal task
        task = asyncio.current_task()
        assert task is not None
        if came:
            task.cancel()
        try:
            return await main
        finally:
            task = None

    before = signal.signal(signal.SIGTERM, note)
    try:
        return asyncio.run(cancellable())
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            raise KeyboardInterrupt
