"""Commands in processes that are forked from one which has imported everything.

A command spends nine tenths of its time on Python's imports, and the tests run a thousand of them. Each of
these is a process as any other, from its arguments, environment and stdin to its exit code; only its name in
a list of processes is another one. Tests that look at that list, or at terminals, start them as shells do.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from provisioner.cli import main
from provisioner.lab.commands import CommandResult, too_long

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "provisioner.cli",
        "provisioner.conf",
        "provisioner.files",
        "provisioner.plan",
        "provisioner.service.apply",
        "provisioner.service.doctor",
        "provisioner.service.fileplans",
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)

# Any start looks after the ends of all processes, and an end can be told once only.
_LOCK = threading.Lock()


class Forked:
    """A command that goes on beside the test."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdin: str = "",
        folder: Path | None = None,
    ) -> None:
        self._files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        os.pwrite(self._files[0], stdin.encode(), 0)
        paths = [f"/proc/{os.getpid()}/fd/{file}" for file in self._files]
        self._arguments = list(arguments)
        self._process: BaseProcess = _CONTEXT.Process(
            target=_command, args=(paths, self._arguments, dict(environment), folder)
        )
        self._came_to: CommandResult | None = None
        with _LOCK:
            self._process.start()

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        return bool(wait([self._process.sentinel], seconds))

    def kill(self) -> CommandResult:
        """Kill it, where it has not ended; what it came to by then."""
        if self._came_to is None and not self.wait(0):
            self._process.kill()
        return self.end(60)

    def end(self, seconds: float) -> CommandResult:
        """Wait for its end; raises LabError where that takes longer than so many seconds."""
        if self._came_to is not None:
            return self._came_to
        if not self.wait(seconds):
            self.kill()
            raise too_long(self._arguments, seconds)
        with _LOCK:
            self._process.join()
        assert self._process.exitcode is not None
        _, out, err = (os.pread(file, os.fstat(file).st_size, 0).decode() for file in self._files)
        for file in self._files:
            os.close(file)
        self._came_to = CommandResult(self._process.exitcode, out, err)
        return self._came_to


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin: str,
    seconds: float,
) -> CommandResult:
    """Run a command to its end; raises LabError where it takes longer than so many seconds."""
    return Forked(arguments, environment, stdin).end(seconds)


def _command(
    paths: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None
) -> None:
    """What the new process does."""
    os.setsid()
    for number, path in enumerate(paths):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY), number)
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape")  # multiprocessing had closed it
    os.environ.clear()
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    sys.argv = ["provisioner", *arguments]
    main()
