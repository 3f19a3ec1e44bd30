"""Commands that SIGTERM ends while nodes are asked."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from provisioner.ami.running import run

MOMENTS = 300

# Asks a node again and again, and expects each time to be interrupted.
ASKING = """
import os, signal, sys, time
from provisioner.ami import Fleet
from provisioner.secret import Secret
from provisioner.settings import NodeSettings

port, moments = map(int, sys.argv[1:])
node = NodeSettings(name="pbx1", host="127.0.0.1", port=port, username="x", secret=Secret("not-a-real-one"))
for _ in range(moments):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        Fleet((node,)).status()
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("interrupted", flush=True)
"""


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as in commands that may be stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGTERM, before) is signal.default_int_handler, "it was put back"


def test_sigterm_lets_the_step_that_it_came_in_end_and_then_ends_what_goes_on() -> None:
    done: list[str] = []

    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append("the step")
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            done.append("cleaning up")

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert done == ["the step", "cleaning up"]


def test_sigterm_wakes_up_who_waits() -> None:
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(asyncio.sleep(30))
    assert time.monotonic() - started < 10


def test_sigterm_in_the_last_step_is_not_forgotten() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run(work())


def test_a_second_sigterm_waits_for_nothing() -> None:
    done: list[str] = []

    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        done.append("the step")

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert done == []


def test_sigterm_is_left_to_whoever_has_a_handler_of_their_own() -> None:
    heard: list[int] = []

    async def work() -> str:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        return "done"

    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    assert run(work()) == "done"
    assert heard == [signal.SIGTERM]
    signal.signal(signal.SIGTERM, before)


def test_an_error_and_a_result_come_through() -> None:
    async def work(fails: bool) -> str:
        if fails:
            raise ValueError("no")
        return "yes"

    assert run(work(False)) == "yes"
    with pytest.raises(ValueError, match="no"):
        run(work(True))


def test_at_any_moment_sigterm_ends_a_command_that_asks_a_node() -> None:
    chance = random.Random(7)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        words = [sys.executable, "-c", ASKING, str(silent.getsockname()[1]), str(MOMENTS)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as asking:
            try:
                for _ in range(MOMENTS):
                    connection, _ = silent.accept()
                    with connection:
                        moment = time.perf_counter() + chance.random() * 0.001
                        while time.perf_counter() < moment:
                            pass
                        asking.send_signal(signal.SIGTERM)
                        assert asking.stdout is not None
                        assert asking.stdout.readline() == "interrupted\n"
            finally:
                asking.kill()
