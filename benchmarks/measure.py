"""What every bench shares: a row of the table, and fair timing of commands."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STOPWATCH: Final = Path(__file__).with_name("stopwatch.py")
_STARTED: Final = time.monotonic()


@dataclass(frozen=True, slots=True)
class Run:
    """What something took: wall seconds, and where it was a process of its own also seconds of processor and
    the most memory that it held (resident, in bytes)."""

    seconds: float
    cpu_seconds: float | None = None
    peak_bytes: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.seconds:.3f} s"]
        if self.cpu_seconds is not None:
            parts.append(f"{self.cpu_seconds:.3f} s of them its own")
        if self.peak_bytes is not None:
            parts.append(f"{self.peak_bytes / 1e6:.0f} MB")
        return ", ".join(parts)

    @property
    def figure(self) -> float:
        """What a ratio is made of: seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """How much was done in a second: more is better, unlike with a :class:`Run`."""

    per_second: float

    @property
    def figure(self) -> float:
        """What a ratio is made of."""
        return self.per_second


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its named rival or limit, both measured in the same run.

    ``target`` is the ratio aimed at, or None: the most of a time, the least of a rate. A figure that misses
    it is news, not a failure.
    """

    name: str
    ours: Run | Rate
    rival: str
    its: Run | Rate
    target: float | None = None

    @property
    def ratio(self) -> float:
        """How many times the rival's figure ours is."""
        return self.ours.figure / self.its.figure


def child(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    code: int = 0,
) -> Run:
    """Run a command to its end with its output thrown away; raises RuntimeError where it ends otherwise than
    with ``code``. Its children (such as a server that it starts) are not counted."""
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(_STOPWATCH), report.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**_environment(), **(environment or {})},
            cwd=folder,
            check=False,
        )
        if done.returncode != code:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}, not {code}: {said}")
        wall, cpu, peak = Path(report.name).read_text("ascii").split()
    return Run(float(wall), float(cpu), int(peak))


def take_turns(works: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, Run]:
    """The :func:`median` of each work; rounds take turns, so that a slow moment hits all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for turn in range(rounds):
        for name, work in works.items():
            runs[name].append(work())
            say(f"round {turn + 1} of {rounds}: {name}: {runs[name][-1]}")
    return {name: median(all_of_it) for name, all_of_it in runs.items()}


def median(runs: Sequence[Run]) -> Run:
    """The median of the times, and the highest peak of all."""
    cpu = [run.cpu_seconds for run in runs if run.cpu_seconds is not None]
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(cpu) if cpu else None,
        max(peaks) if peaks else None,
    )


def say(text: str) -> None:
    """How far the run is, on stderr, with the seconds since it began."""
    print(f"[{time.monotonic() - _STARTED:6.0f} s] {text}", file=sys.stderr, flush=True)


def _environment() -> dict[str, str]:
    """Ours, without what would change the commands."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PROVISIONER_", "PG"))}
