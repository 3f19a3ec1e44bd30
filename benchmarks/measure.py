"""What every bench shares: a row of the table, and fair timing of commands."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its named rival or limit, both in seconds and measured in the same run.

    ``target`` is the ratio aimed at, or None; a figure over it is news, not a failure.
    """

    name: str
    ours_seconds: float
    rival: str
    rival_seconds: float
    target: float | None = None

    @property
    def ratio(self) -> float:
        """How many times the rival's time ours is."""
        return self.ours_seconds / self.rival_seconds


def command_seconds(*commands: Sequence[str], rounds: int) -> list[float]:
    """The median wall time of each command; rounds take turns, so that a slow moment hits all of them."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for taken, command in zip(times, commands, strict=True):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]
