"""How far a command has come: bars on a terminal, a line now and then in a log, nothing for --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from provisioner.service.progress import Progress

_EVERY = 5.0
"""Seconds between two lines in a log."""


@contextmanager
def shown_progress(quiet: bool) -> Iterator[Progress]:
    """What a service is given to tell how far it has come; all of it goes to stderr."""
    from provisioner.service.progress import silent

    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, rate="")
            task = bars.tasks[bars.task_ids.index(tasks[what])]
            rate = f"{task.speed:,.0f}/s" if task.speed else ""
            bars.update(tasks[what], completed=done, total=total, rate=rate)

        yield progress


def _lines() -> Progress:
    """A line every few seconds, and one at the end of what took longer; done anew, it counts anew."""
    running: dict[str, tuple[float, float]] = {}  # when it began, when it was told last

    def progress(what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        began, last = running.setdefault(what, (now, now))
        ended = done == total
        due = now - last >= _EVERY or (ended and last > began)
        if ended:
            del running[what]
        elif due:
            running[what] = (began, now)
        if not due:
            return
        rate = done / (now - began) if now > began else 0
        left = "" if total is None or ended or not rate else f", {(total - done) / rate:.0f} s left"
        of = "" if total is None else f" of {total:,}"
        click.echo(f"{what} {done:,}{of} ({rate:,.0f}/s{left})", err=True)

    return progress
