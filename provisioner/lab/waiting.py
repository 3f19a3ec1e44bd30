"""Waiting with a deadline, and finding ports that nobody uses."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

from provisioner.errors import LabError

T = TypeVar("T")

# Below the ports that the kernel gives to outgoing connections (32768 up).
_PORTS: Final = range(17000, 32000)


def wait_for(what: str, probe: Callable[[], T | None], seconds: float, *, every: float = 0.05) -> T:
    """Ask ``probe`` until it returns something true; raises LabError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(every)


def free_port(span: int = 1) -> int:
    """The first of ``span`` neighbouring ports on 127.0.0.1 that are free for UDP and TCP; an even number.

    Raises LabError where none is found.
    """
    for _ in range(200):
        # Not a secret: it only keeps labs that start at once apart.
        first = random.randrange(_PORTS.start, _PORTS.stop - span, 2)  # noqa: S311
        if all(_is_free(port) for port in range(first, first + span)):
            return first
    raise LabError(f"found no {span} free ports between {_PORTS.start} and {_PORTS.stop}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
