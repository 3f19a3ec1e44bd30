"""The file that receives new secrets: made before the commit, there only when the change is."""

from __future__ import annotations

import csv
import os
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
    kept: bool = False

    def keep(self) -> None:
        """The secrets are in force: the file stays."""
        self.kept = True


def refuse_existing(path: Path | None) -> None:
    """Raise FileError where the file is there already: it may hold the secrets of an earlier change."""
    if path is not None and os.path.lexists(path):
        raise FileError(f"{path} is there already, and may hold the only copy of secrets; name another file")


@contextmanager
def secrets_file(path: Path | None, plan: UserPlan) -> Iterator[SecretsFile]:
    """Write the secrets made for a plan to ``path`` (mode 0600, a CSV), and take it away on failure.

    On disk before the commit, so that a secret in force is never without its copy. Where nobody knows
    whether the commit went through, the file stays. Without a path, or without new secrets, there is no file.
    Raises FileError where it exists or cannot be written.
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
    _write(path, rows)
    try:
        yield held
    except CommitUnknown:
        held.keep()
        raise
    finally:
        if not held.kept:
            path.unlink(missing_ok=True)


def _write(path: Path, rows: Sequence[tuple[str, str, str, Secret]]) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((login, number, id, secret.reveal()) for login, number, id, secret in rows)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError as exc:
        raise FileError(f"cannot write {path}: {exc.strerror}; name another file for --secrets-out") from exc
