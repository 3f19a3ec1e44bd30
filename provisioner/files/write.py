"""Users become files that say the same when they are read again."""

from __future__ import annotations

import csv
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from provisioner.errors import FileError
from provisioner.files.format import Format
from provisioner.files.template import template
from provisioner.records import Extension, User

COLUMNS: Final = ("login", "name", "email", "active", "webrtc", "number", "kind", "label", "lines")

# Plain YAML where no reader takes it for anything but a text.
_PLAIN: Final = re.compile(r"[^\W\d_](?:[\w .@+-]*\w)?")
_RESERVED: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def write_users(users: Iterable[User], target: IO[str] | Path, format: Format) -> None:
    """Write users without their secrets; what is read from it again asks for the same users.

    A path is written beside and then moved into its place, so that it holds the whole export or what it held.
    A device or a pipe is written to.

    Texts stand in a CSV file as they are, also those that begin with ``= + - @``: the prefix by which other
    exports keep a spreadsheet from computing them would become part of the name when the file is read again,
    and nobody could tell it from a name that has it. Spreadsheets import a column as text when asked to.

    Raises FileError for XLSX, which is only read, and for a path that cannot be written.
    """
    write = _WRITERS.get(format)
    if write is None:
        raise FileError(f"{format} is only read; export as {', '.join(_WRITERS)}")
    _write(target, lambda stream: write(users, stream))


def write_template(target: IO[str] | Path, format: Format) -> None:
    """Write a small file of that form, in the same way; raises FileError."""
    text = template(format)
    _write(target, lambda stream: stream.write(text))


def _write(target: IO[str] | Path, write: Callable[[IO[str]], object]) -> None:
    if not isinstance(target, Path):
        write(target)
        return
    try:
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8", newline="") as stream:
                write(stream)
        else:
            _replace(target.resolve(), write)
    except OSError as exc:
        raise FileError(f"{target}: cannot be written: {exc.strerror or exc}") from None


def _replace(path: Path, write: Callable[[IO[str]], object]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:  # noqa: PTH123 (a descriptor)
            write(stream)
        Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """That of the file there, or of a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _csv(users: Iterable[User], stream: IO[str]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (
            user.login,
            user.name,
            user.email or "",
            "yes" if user.active else "no",
            "yes" if user.webrtc else "no",
            part.number,
            part.kind.value,
            part.label or "",
            part.lines,
        )
        for user in users
        for part in user.extensions
    )


def _jsonl(users: Iterable[User], stream: IO[str]) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    stream.writelines(f"{encode(_data(user))}\n" for user in users)


def _yaml(users: Iterable[User], stream: IO[str]) -> None:
    empty = True
    for user in users:
        empty = False
        stream.writelines(_item(user))
    if empty:
        stream.write("[]\n")


def _item(user: User) -> Iterator[str]:
    yield f"- login: {_scalar(user.login)}\n"
    yield f"  name: {_scalar(user.name)}\n"
    yield f"  email: {_scalar(user.email or '')}\n"
    yield f"  active: {'yes' if user.active else 'no'}\n"
    yield f"  webrtc: {'yes' if user.webrtc else 'no'}\n"
    yield "  extensions:\n"
    for part in user.extensions:
        yield f'    - number: "{part.number}"\n'
        yield f"      kind: {part.kind.value}\n"
        if part.label is not None:
            yield f"      label: {_scalar(part.label)}\n"
        yield f"      lines: {part.lines}\n"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    # YAML's double quotes read all of JSON's escapes.
    return json.dumps(text, ensure_ascii=False)


def _data(user: User) -> dict[str, Any]:
    return {
        "login": user.login,
        "name": user.name,
        "email": user.email,
        "active": user.active,
        "webrtc": user.webrtc,
        "extensions": [_part(part) for part in user.extensions],
    }


def _part(part: Extension) -> dict[str, Any]:
    data: dict[str, Any] = {"number": part.number, "kind": part.kind.value}
    if part.label is not None:
        data["label"] = part.label
    return {**data, "lines": part.lines}


_WRITERS: Final[dict[Format, Callable[[Iterable[User], IO[str]], None]]] = {
    Format.CSV: _csv,
    Format.YAML: _yaml,
    Format.JSONL: _jsonl,
}
