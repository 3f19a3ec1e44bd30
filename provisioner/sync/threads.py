"""Threads for calls that block, such as those of the store: one that is stuck does not hold up the end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """As a loop's default executor it is what ``asyncio.to_thread`` uses: as many threads as calls at once.

    Those of the standard library are waited for when the program ends, and a database that fell silent may
    take more than a minute to answer. Starting one takes the loop a while, so they are kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._resting = Semaphore(0)

    def submit(self, call: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        """Call it in a thread."""
        done: Future[T] = Future()

        def carry_out() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(call(*args, **named))
            except BaseException as exc:
                done.set_exception(exc)

        self._calls.put(carry_out)
        if not self._resting.acquire(blocking=False):
            Thread(target=self._serve, name="call", daemon=True).start()
        return done

    def shutdown(self, *args: Any, **named: Any) -> None:
        """Nothing to wait for."""

    def _serve(self) -> NoReturn:
        while True:
            self._calls.get()()
            self._resting.release()
