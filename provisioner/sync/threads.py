"""Threads for calls that block, such as those of the store: one that is stuck does not hold up the end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """As a loop's default executor it is what ``asyncio.to_thread`` uses: a thread for each call.

    Those of the standard library are waited for when the program ends, and a database that fell silent may
    take more than a minute to answer. There are never more threads than calls, and those are few.
    """

    def submit(self, call: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        """Call it in a thread of its own."""
        done: Future[T] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(call(*args, **named))
            except BaseException as exc:
                done.set_exception(exc)

        Thread(target=run, name="call", daemon=True).start()
        return done

    def shutdown(self, *args: Any, **named: Any) -> None:
        """Nothing to wait for."""
