"""Calls that block run beside the loop, and one that never ends does not hold up the end of the program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from provisioner.sync.threads import Threads

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        asyncio.get_running_loop().set_default_executor(Threads())
        return await work()

    return asyncio.run(main())


def test_a_call_gives_what_it_returns_or_raises() -> None:
    async def work() -> int:
        with pytest.raises(ValueError, match="no number"):
            await asyncio.to_thread(fail)
        return await asyncio.to_thread(max, 3, 4)

    def fail() -> None:
        raise ValueError("no number")

    assert run(work) == 4


def test_many_calls_that_block_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(50, timeout=60)

    async def work() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(together.wait) for _ in range(50)))

    assert sorted(run(work)) == list(range(50))


def test_a_call_that_never_ends_does_not_hold_up_the_end() -> None:
    program = """
import asyncio, threading
from provisioner.sync.threads import Threads

async def main():
    asyncio.get_running_loop().set_default_executor(Threads())
    try:
        await asyncio.wait_for(asyncio.to_thread(threading.Event().wait), 0.1)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
