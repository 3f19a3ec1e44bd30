"""What systemd asks of a service, in the variables of sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Where to say how we are, and within how many seconds to say it again."""

    socket: str | None = None
    """A path, or ``@`` and an abstract name."""
    watchdog: float | None = None
    watchdog_pid: int | None = None
    """The process that is meant; None: whoever reads it."""


def supervisor(environ: Mapping[str, str] | None = None) -> Supervisor:
    """Who started us, as the environment says; without systemd nobody. What makes no sense is not there."""
    env = os.environ if environ is None else environ
    address = env.get("NOTIFY_SOCKET", "")
    micros = _number(env.get("WATCHDOG_USEC"))
    return Supervisor(
        address if address[:1] in ("/", "@") else None,
        micros / 1_000_000 if micros else None,
        _number(env.get("WATCHDOG_PID")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
