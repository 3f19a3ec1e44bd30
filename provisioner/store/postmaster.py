"""Reads the state of one data folder's server from its pid file and /proc, and ends it.

Layout of postmaster.pid: https://www.postgresql.org/docs/16/storage-file-layout.html (pid, folder, start
time, port, socket folder, address, shared memory, status; a line each).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_POLL: Final = 0.02
# How long orphans of a killed server may take to end by themselves, and after each further signal (seconds).
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living server of a data folder; ``port`` is None until it has written it."""

    pid: int
    port: int | None
    status: str
    """``starting``, ``ready``, ``stopping`` or ``standby``; empty while the file is being written."""

    @property
    def ready(self) -> bool:
        """Whether it takes connections."""
        return self.status == "ready" and self.port is not None


def find_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on this data folder; None where its pid file is missing or stale.

    A zombie (killed, not yet reaped by its parent) and a process that merely got the same pid count as gone.
    """
    try:
        lines = (data / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    if pid <= 0 or not _works_in(pid, str(data)):
        return None
    port = lines[3].strip() if len(lines) > 3 else ""
    return Postmaster(pid, int(port) if port.isdigit() else None, lines[7].strip() if len(lines) > 7 else "")


def stop_postmaster(data: Path, patience: float) -> bool:
    """Ask for a fast shutdown, then for an immediate one; True once nothing of the server is left.

    ``patience`` is how many seconds the fast one may take.
    """
    for number, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, _PATIENCE)):
        running = find_postmaster(data)
        if running is None:
            return True
        _send(running.pid, number)
        if wait_until(lambda: find_postmaster(data) is None, seconds):
            return True
    return False


def clear_remains(folder: Path) -> bool:
    """End what a killed server or initdb left behind in ``folder``; True once nothing works there any more.

    PostgreSQL must not be started over living children of an earlier server: they share its memory. They
    notice that it is gone and end by themselves; those that do not are signalled, then killed.
    """
    if wait_until(lambda: not any(_remains(folder)), _PATIENCE):
        return True
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _remains(folder):
            _send(pid, number)
        if wait_until(lambda: not any(_remains(folder)), _PATIENCE):
            return True
    return False


def kill_remains(folder: Path) -> None:
    """Kill at once whatever works in ``folder``, or was started on it: nothing there is worth keeping."""
    for pid in _remains(folder):
        _send(pid, signal.SIGKILL)
    wait_until(lambda: not any(_remains(folder)), _PATIENCE)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again, for so many seconds at most; the last answer."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _remains(folder: Path) -> Iterator[int]:
    path = str(folder)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            pid = int(entry.name)
            if _works_in(pid, path) or _started_on(pid, path):
                yield pid


def _works_in(pid: int, path: str) -> bool:
    """Every process of a server has its data folder as its current one; so may a shell, which is none."""
    try:
        cwd = (_PROC / str(pid) / "cwd").readlink()
        name = (_PROC / str(pid) / "comm").read_text("utf-8", "replace").strip()
    except OSError:  # gone, a zombie, or somebody else's
        return False
    return str(cwd) == path and name == "postgres" and is_alive(pid)


def _started_on(pid: int, path: str) -> bool:
    """Whether it is a program of PostgreSQL's whose arguments name exactly this folder."""
    try:
        arguments = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    name = os.path.basename(os.fsdecode(arguments[0]))  # noqa: PTH119 - a text, not a path of ours
    return name in {"initdb", "postgres", "unshare"} and os.fsencode(path) in arguments and is_alive(pid)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
