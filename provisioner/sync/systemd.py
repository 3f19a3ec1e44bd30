"""What the daemon says to systemd, or to any parent that speaks sd_notify(3); without libsystemd."""

from __future__ import annotations

import os
import socket
import time
from typing import Final

from provisioner.settings import supervisor
from provisioner.sync.log import get

_PATIENCE: Final = 1.0
"""Seconds to wait where the parent does not read."""


def notify(*states: str) -> None:
    """Say ``READY=1``, ``STATUS=...``, ``WATCHDOG=1``, ``RELOADING=1`` or ``STOPPING=1``, or several at once.

    Does nothing where nobody asked for it (``NOTIFY_SOCKET``), and never fails: a daemon does not end because
    its parent does not listen.
    """
    address = supervisor().socket
    if address is None:
        return
    lines = [" ".join(state.splitlines()) for state in states]
    if "RELOADING=1" in lines:
        # Without it systemd 253 and newer do not believe in the reload of a `Type=notify-reload`.
        lines.append(f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    # A leading @ stands for the null byte of Linux' abstract names.
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_PATIENCE)
        try:
            channel.sendto("\n".join(lines).encode("utf-8", "replace"), name)
        except OSError as exc:
            get().debug("systemd does not hear", error=f"{address}: {exc.strerror}")


def watchdog_seconds() -> float | None:
    """How often to say ``WATCHDOG=1``: half of what systemd allows; None where it does not ask it of us."""
    asked = supervisor()
    if asked.watchdog is None or asked.watchdog_pid not in (None, os.getpid()):
        return None
    return asked.watchdog / 2
