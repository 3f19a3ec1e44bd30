"""A file of users, or a plan that was saved from one, as a job to carry out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import FileError, PlanError, PlanMoved
from provisioner.files import Format
from provisioner.plan import Origin, Saved, dump, is_saved, load
from provisioner.records.text import show
from provisioner.service.apply import Job, Planned
from provisioner.service.planning import Rules, plan_users, read
from provisioner.service.progress import Progress, silent

if TYPE_CHECKING:
    from provisioner.service.app import App


@dataclass(frozen=True, slots=True)
class Asked:
    """A file as it is named on a command line; None: standard input, or what the file itself tells."""

    path: Path | None
    source: str | None = None
    prune: bool = False
    adopt: bool = False
    format: Format | None = None
    encoding: str | None = None

    @property
    def rules(self) -> Rules:
        """The source is the file's name without its ending, unless another is given."""
        named = self.path.name.removesuffix(self.path.suffix) if self.path else "stdin"
        return Rules(named if self.source is None else self.source, self.prune, self.adopt)


@dataclass(frozen=True, slots=True)
class FileJob:
    """The job, and where its file is, for a plan to be saved (None for standard input).

    ``guessed`` is the file's encoding where it follows from the letters alone.
    """

    job: Job
    origin: Origin | None
    guessed: str | None = None


def open_job(app: App, asked: Asked, progress: Progress = silent) -> FileJob:
    """Read a file of users to its end. Raises FileError where it cannot be read."""
    rules = asked.rules
    wanted = read(asked.path, asked.format, asked.encoding, progress)
    job = Job(lambda tx: plan_users(app, tx, wanted, rules, progress), wanted.name, wanted.sha256)
    if asked.path is None:
        return FileJob(job, None, wanted.guessed)
    origin = Origin(
        file=str(asked.path.absolute()),
        sha256=wanted.sha256,
        format=wanted.format.value,
        encoding=asked.encoding,
        source=rules.source,
        prune=rules.prune,
        adopt=rules.adopt,
    )
    return FileJob(job, origin, wanted.guessed)


def find_saved(path: Path | None) -> Saved | None:
    """The plan in this file; None where it is something else. Raises PlanError for half of one."""
    if path is None or not path.is_file():
        return None  # of a pipe, what is read here would be lost to whoever reads it next
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            first = lines.readline(100)
            if not is_saved(first):
                return None
            lines.seek(0)
            return load(lines, str(path))
    except OSError as exc:
        raise FileError(f"cannot read {path}: {exc.strerror}") from exc


def reopen_job(app: App, saved: Saved, progress: Progress = silent) -> FileJob:
    """The job of a saved plan; raises PlanMoved where its file is another one by now.

    Raises PlanError for what no plan says.
    """
    origin = saved.origin
    if origin.format not in set(Format):
        raise PlanError(
            f"the saved plan speaks of an unknown form of file, {show(origin.format)}; plan again"
        )
    path = Path(origin.file)
    if not path.exists():
        raise PlanMoved(f"Nothing was written: {path}, which the plan was made from, is gone; plan again.")
    asked = Asked(path, origin.source, origin.prune, origin.adopt, Format(origin.format), origin.encoding)
    found = open_job(app, asked, progress)
    if found.job.sha256 != origin.sha256:
        raise PlanMoved(f"Nothing was written: {path} has changed since the plan was made; plan again.")
    return found


def save(planned: Planned, origin: Origin | None, path: Path) -> None:
    """Write a plan to a file that `apply` takes. Raises FileError."""
    if origin is None:
        raise FileError("a plan of standard input cannot be saved, because its input is gone; use a file")
    try:
        if path.exists() and path.samefile(origin.file):
            raise FileError(f"{path} is the file of users itself; name another file for --out")
        # Names and addresses stand in it, so it is for its owner alone.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.writelines(dump(planned.plan, origin, planned.orders))
    except OSError as exc:
        raise FileError(f"cannot write {path}: {exc.strerror}") from exc
