"""A file of users, opened: which form and encoding it has, and what was read of it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

from provisioner.errors import FileError
from provisioner.files.encoding import Encoding, named, recognise
from provisioner.files.format import Format, form_of

HEAD: Final = 1 << 20
"""Bytes by which a stream's form and encoding are recognised; a regular file is looked through to its end."""

_KNOWN: Final = ", ".join(Format)


class Input:
    """An opened file of users; ends with :meth:`close`, or as a context manager."""

    def __init__(self, name: str, stream: _Hashed, format: Format, encoding: Encoding | None) -> None:
        self.name = name
        """As it was typed, for messages; ``-`` for standard input."""
        self.format = format
        self.encoding = encoding.name if encoding else None
        """Python's name of it; None of a spreadsheet."""
        self.guessed = encoding is not None and encoding.guessed
        """Whether the encoding follows from the letters alone, so that the operator should be told."""
        self._stream = stream

    @property
    def sha256(self) -> str:
        """In hex, of all bytes; valid once the file was read to its end."""
        return self._stream.digest.hexdigest()

    def at(self, line: int) -> str:
        """A place in it, such as ``users.csv:12``."""
        return f"{self.name}:{line}"

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """Its text, line ends as they are; raises FileError where it is not in its encoding."""
        assert self.encoding is not None, "a spreadsheet has no text"
        reader = io.TextIOWrapper(cast("BinaryIO", self._stream), encoding=self.encoding, newline="")
        try:
            yield reader
        except UnicodeError as exc:
            raise FileError(
                f"{self.at(self._stream.line(exc, self.encoding))}: is not {shown(self.encoding)} text; "
                "name its encoding with --encoding"
            ) from None
        except OSError as exc:
            raise FileError(f"{self.name}: cannot be read: {exc.strerror or exc}") from None
        finally:
            reader.detach()

    def bytes(self) -> bytes:
        """All of it."""
        try:
            return self._stream.read()
        except OSError as exc:
            raise FileError(f"{self.name}: cannot be read: {exc.strerror or exc}") from None

    def drain(self) -> None:
        """Read on to the end, for the sum of all bytes."""
        while self._stream.read(HEAD):
            pass

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._stream.close()

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_input(
    path: Path | None, *, format: Format | str | None = None, encoding: str | None = None
) -> Input:
    """Open a file of users, or standard input where the path is None or ``-``.

    What is not said is recognised: the form by the name's ending, else by the content; the encoding by the
    content. A regular file counts as UTF-8 only when all of it is, a stream when its first MB is. Raises
    FileError for what cannot be read, is of no known form or in no encoding that shows.
    """
    standard = path is None or str(path) == "-"
    typed = "-" if path is None else str(path)
    name = typed if typed.isprintable() else ascii(typed)[1:-1]
    chosen = named(encoding) if encoding else None
    try:
        raw: BinaryIO = sys.stdin.buffer if path is None or standard else path.open("rb")
        try:
            return _recognised(name, path, raw, Format(format) if format else None, chosen, standard)
        except BaseException:
            if not standard:
                raw.close()
            raise
    except OSError as exc:
        raise FileError(f"{name}: cannot be read: {exc.strerror or exc}") from None


def _recognised(
    name: str, path: Path | None, raw: BinaryIO, form: Format | None, chosen: Encoding | None, standard: bool
) -> Input:
    regular = not standard and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
    head = _head(raw)
    form = form or _format(name, path, head)
    encoding = None
    if form is not Format.XLSX:
        encoding = chosen or recognise(name, head, raw if regular else None)
    if regular:
        raw.seek(0)
        head = b""
    return Input(name, _Hashed(raw, head, keep=standard), form, encoding)


class _Hashed(io.BufferedIOBase):
    """The bytes of a file, summed and counted as they are read."""

    def __init__(self, raw: BinaryIO, head: bytes, *, keep: bool) -> None:
        self.digest = hashlib.sha256()
        self._raw = raw
        self._head = head
        self._keep = keep
        self._last = b""
        self._lines = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            data, self._head = self._head + self._raw.read(), b""
        elif self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._raw.read(size)
        self.digest.update(data)
        self._lines += self._last.count(b"\n")
        self._last = data
        return data

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(io.DEFAULT_BUFFER_SIZE if size < 0 else size)

    def line(self, exc: UnicodeError, encoding: str) -> int:
        """About where decoding failed; exact but for encodings of two bytes."""
        before = exc.object[: exc.start] if isinstance(exc, UnicodeDecodeError) else b""
        return self._lines + before.count(b"\n") + 1

    def close(self) -> None:
        if not self._keep:
            self._raw.close()
        super().close()


def shown(encoding: str) -> str:
    """An encoding's name as people write it."""
    return encoding.upper()


def _head(raw: BinaryIO) -> bytes:
    """The first MB, or all there is; a pipe gives it in pieces."""
    head = b""
    while len(head) < HEAD:
        piece = raw.read(HEAD - len(head))
        if not piece:
            break
        head += piece
    return head


def _format(name: str, path: Path | None, head: bytes) -> Format:
    by_name = form_of(path) if path is not None else None
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileError(
            f"{name}: is an old or encrypted Excel file; save it as XLSX without password, or as CSV"
        )
    if head.startswith(b"PK\x03\x04"):
        if by_name not in (None, Format.XLSX):
            raise FileError(
                f"{name}: is a spreadsheet (XLSX) inside, whatever its name; --format xlsx reads it"
            )
        return Format.XLSX
    if by_name is not None:
        return by_name
    return _by_content(name, head)


def _by_content(name: str, head: bytes) -> Format:
    text = head[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    first = text.splitlines()[0].lower() if text else b""
    if text.startswith(b"{"):
        return Format.JSONL
    if first.startswith((b"- ", b"---", b"%yaml", b"#", b"users:")) or first == b"-":
        return Format.YAML
    if b"login" in first:
        return Format.CSV
    raise FileError(f"{name}: its form cannot be told; name it with --format ({_KNOWN})")
