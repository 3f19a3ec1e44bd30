"""The file that receives new secrets: on disk before the commit, there only when the change is."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioner.errors import CommitUnknown, FileError
from provisioner.plan import UserPlan
from provisioner.secret import Secret

COLUMNS = ("login", "number", "endpoint_id", "secret")


@dataclass
class SecretsFile:
    """How many secrets it holds; :meth:`keep` is called once they are in force."""

    count: int = 0
    path: Path | None = None
    unfinished: Path | None = None

    def keep(self) -> None:
        """The secrets are in force: the file gets its name. Raises FileError where that is taken by now."""
        if self.path is None or self.unfinished is None:
            return
        unfinished, self.unfinished = self.unfinished, None
        if os.path.lexists(self.path):
            raise FileError(
                f"Everything is written, but somebody made {self.path} meanwhile: the new secrets are in "
                f"{unfinished}; the next command tells the nodes, or run `provisioner reload`."
            )
        unfinished.rename(self.path)


def refuse_existing(path: Path | None) -> None:
    """Raise FileError where the file is there already: it may hold the secrets of an earlier change."""
    if path is not None and os.path.lexists(path):
        raise FileError(f"{path} is there already, and may hold the only copy of secrets; name another file")


@contextmanager
def secrets_file(path: Path | None, plan: UserPlan) -> Iterator[SecretsFile]:
    """Write the secrets made for a plan to ``path`` (mode 0600, a CSV), and take them away on failure.

    They are on disk before the commit, so that a secret in force is never without its copy, but under another
    name (``path.*.unfinished``), which is all that a killed command leaves. Where nobody knows whether the
    commit went through, the file is made. Without a path, or without new secrets, there is none. Raises
    FileError where it exists or cannot be written.
    """
    rows = [
        (change.user.login, number, new.endpoint_id, new.secret)
        for change in plan
        for new in change.issued
        if new.generated
        for number in (new.endpoint_id.partition("-")[0],)
    ]
    held = SecretsFile(len(rows))
    if path is None or not rows:
        yield held
        return
    refuse_existing(path)
    held.path = path
    try:
        _write(held, path, rows)
        yield held
    except CommitUnknown as exc:
        held.keep()
        raise CommitUnknown(f"{exc} If it was written, the new secrets are those in {path}.") from exc
    finally:
        if held.unfinished is not None:
            held.unfinished.unlink(missing_ok=True)


def _write(held: SecretsFile, path: Path, rows: Sequence[tuple[str, str, str, Secret]]) -> None:
    try:
        # Its mode is 0600.
        file, name = tempfile.mkstemp(".unfinished", f"{path.name}.", path.parent)
        held.unfinished = Path(name)
        with os.fdopen(file, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((login, number, id, secret.reveal()) for login, number, id, secret in rows)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        raise FileError(f"cannot write {path}: {exc.strerror}; name another file for --secrets-out") from exc
