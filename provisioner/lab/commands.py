"""How a lab runs commands of ``provisioner``: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from provisioner.errors import LabError


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command of ``provisioner`` did: its exit code and what it printed."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs a command to its end; raises LabError where it takes longer than so many seconds."""

    def __call__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: str, seconds: float
    ) -> CommandResult: ...


def run(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: str, seconds: float
) -> CommandResult:
    """As a shell does it."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "provisioner.cli", *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise too_long(arguments, seconds) from None
    return CommandResult(done.returncode, done.stdout, done.stderr)


def too_long(arguments: Sequence[str], seconds: float) -> LabError:
    """The error of a command that did not end in time."""
    return LabError(f"provisioner {' '.join(arguments)} took longer than {seconds:g} s")
