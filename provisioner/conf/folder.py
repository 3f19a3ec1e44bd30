"""The folder that becomes ``/etc/asterisk``: writing our files into it, and telling what differs."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from provisioner.conf.marker import is_edited, is_ours
from provisioner.conf.render import KNOWN, WITH_SECRETS
from provisioner.errors import ConfError, FileNotOurs
from provisioner.secret import MASK

_SECRET_LINE: Final = re.compile(
    r"(?im)^([\s;]*\w*(?:secret|pass|password|pwd|md5_cred|password_digest)\s*=>?\s*)(\S.*)$"
)
# Readable for the group as well: Asterisk usually runs as a user of its own, in the folder's group.
_MODE: Final = 0o644
_SECRET_MODE: Final = 0o640


class FileState(StrEnum):
    """How a file in the folder stands to the one we would write."""

    MISSING = "missing"
    CHANGED = "changed"
    EDITED = "edited"
    FOREIGN = "foreign"
    LEFT_OVER = "left over"


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file that differs: ``text`` is a unified diff from what is there to what we would write.

    ``EDITED`` is a file of ours that somebody changed, ``FOREIGN`` one that we did not make; both are
    overwritten only by force. ``LEFT_OVER`` is one of ours that these settings do not need any more.
    Secrets are masked; a line whose secret alone differs says so.
    """

    name: str
    state: FileState
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """What :func:`write` did, as names of files."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.written or self.removed)


def diff_dir(directory: Path, files: Mapping[str, str]) -> list[FileDiff]:
    """What :func:`write` would change in ``directory``, sorted by name; empty where nothing differs.

    Raises ConfError where a file cannot be read.
    """
    diffs = []
    for name in sorted(KNOWN | files.keys()):
        there, wanted = _read(directory / name), files.get(name)
        state = _state(there, wanted)
        if state is not None:
            diffs.append(FileDiff(name, state, _unified(name, there or "", wanted or "")))
    return diffs


def write(directory: Path, files: Mapping[str, str], *, force: bool = False) -> Written:
    """Make ``directory`` hold ``files``, and remove those of ours that are needed no more.

    Each file is replaced in one step. Files with secrets get mode 0640, others 0644; all get the folder's
    group where that is permitted. Raises FileNotOurs, before anything is written, naming every file that
    we did not make or that was edited since, unless ``force``; ConfError where the folder cannot be written.
    """
    diffs = {diff.name: diff for diff in diff_dir(directory, files)}
    in_the_way = [d for d in diffs.values() if d.state in (FileState.EDITED, FileState.FOREIGN)]
    if in_the_way and not force:
        raise FileNotOurs(_refusal(directory, in_the_way))
    removed = [name for name, diff in diffs.items() if diff.state is FileState.LEFT_OVER]
    written = [name for name in files if name in diffs]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in written:
            _replace(directory / name, files[name], _SECRET_MODE if name in WITH_SECRETS else _MODE)
        for name in removed:
            (directory / name).unlink(missing_ok=True)
    except OSError as exc:
        raise ConfError(f"{exc.filename or directory}: cannot be written: {exc.strerror}") from exc
    unchanged = sorted(files.keys() - diffs.keys())
    return Written(tuple(sorted(written)), tuple(unchanged), tuple(sorted(removed)))


def _state(there: str | None, wanted: str | None) -> FileState | None:
    if there == wanted:
        return None
    if there is None:
        return FileState.MISSING
    if wanted is None:
        return FileState.LEFT_OVER if is_ours(there) and not is_edited(there) else None
    if not is_ours(there):
        return FileState.FOREIGN
    return FileState.EDITED if is_edited(there) else FileState.CHANGED


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfError(f"{path}: cannot be read: {exc.strerror}") from exc


def _refusal(directory: Path, diffs: list[FileDiff]) -> str:
    reasons = {FileState.EDITED: "edited since we made it", FileState.FOREIGN: "not made by provisioner"}
    listed = ", ".join(f"{diff.name} ({reasons[diff.state]})" for diff in diffs)
    return f"{directory}: nothing was written, because of {listed}; --force overwrites"


def _unified(name: str, there: str, wanted: str) -> str:
    old, new = _mask(there, wanted)
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{name} (there)", f"{name} (wanted)"
    )
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return text.encode("utf-8", "replace").decode("utf-8")


def _mask(there: str, wanted: str) -> tuple[str, str]:
    """Both texts without secrets; a secret that only one of them has shows as another mask."""
    known = {match.group(2) for match in _SECRET_LINE.finditer(there)}
    return (
        _SECRET_LINE.sub(rf"\1{MASK}", there),
        _SECRET_LINE.sub(
            lambda m: m.group(1) + (MASK if not known or m.group(2) in known else f"{MASK} (changed)"), wanted
        ),
    )


def _replace(path: Path, text: str, mode: int) -> None:
    """Write ``text`` beside ``path`` and move it there, so that a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            _give_to_group(file.fileno(), path.parent)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _give_to_group(handle: int, directory: Path) -> None:
    with contextlib.suppress(PermissionError):
        os.fchown(handle, -1, directory.stat().st_gid)
