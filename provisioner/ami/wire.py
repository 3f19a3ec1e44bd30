"""AMI on the wire: frames to mappings and headers to bytes. Pure: no sockets, no clock.

A frame is a run of ``Name: value`` lines ended by an empty one; Asterisk's own framing, AMI 2.8 and later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioner.errors import UnsupportedValue

END_OF_LINE = "\r\n"
END_OF_FRAME = b"\r\n\r\n"
BANNER = b"Asterisk Call Manager/"
# Asterisk reads an action line by line into 1024 bytes; 1015 were measured to pass, 1023 not (22.10.1).
LONGEST_LINE = 1015

Frame = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one action: its response and, for a list, the events between start and end.

    An event is its frame, or what the action's ``event_reader`` made of it.
    """

    head: Frame
    events: Sequence[Any] = ()

    @property
    def ok(self) -> bool:
        """Whether the node did what was asked."""
        return self.head.get("Response") in ("Success", "Goodbye", "Follows")

    @property
    def message(self) -> str:
        """What the node says of it; some messages of Asterisk end in a line feed of their own."""
        return self.head.get("Message", "").strip()


def parse_frame(text: str) -> dict[str, str]:
    """One frame without its empty line. A repeated header keeps all its values, joined by line feeds."""
    lines = text.split(END_OF_LINE)
    try:
        frame = dict([line.split(": ", 1) for line in lines])
    except ValueError:  # a line without ": ", such as the first half of a frame cut by an error
        return _gather(lines)
    return frame if len(frame) == len(lines) else _gather(lines)


def _gather(lines: Sequence[str]) -> dict[str, str]:
    frame: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            value = value.removeprefix(" ")
            frame[name] = f"{frame[name]}\n{value}" if name in frame else value
    return frame


class FrameSplitter:
    """Bytes in, whole frames out; a character or a frame cut between two reads waits for its rest."""

    def __init__(self, longest: int = 1 << 20) -> None:
        self._rest = b""
        self._longest = longest
        self.banner: str | None = None

    def feed(self, data: bytes) -> list[dict[str, str]]:
        """The frames that these bytes complete; raises ValueError where this is no AMI."""
        data = self._rest + data
        if self.banner is None:
            data = self._take_banner(data)
        end = data.rfind(END_OF_FRAME)
        if end < 0:
            self._rest = data
            if len(data) > self._longest:
                raise ValueError(f"a frame of more than {self._longest} bytes")
            return []
        self._rest = data[end + len(END_OF_FRAME) :]
        # Only whole frames are decoded, so no character is cut, and each by itself, so that one phone's emoji
        # does not make wide characters of 256 KiB; what is no UTF-8 shows as U+FFFD.
        return [parse_frame(frame.decode("utf-8", "replace")) for frame in data[:end].split(END_OF_FRAME)]

    def _take_banner(self, data: bytes) -> bytes:
        line, end, rest = data.partition(b"\r\n")
        if not BANNER.startswith(line[: len(BANNER)]) or len(line) > 200:
            raise ValueError("the first line is not that of an Asterisk manager interface")
        if not end:
            return data
        self.banner = line.decode("ascii", "replace")
        return rest


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises UnsupportedValue for a header that would end its line, and so smuggle in another one.

    The value is not repeated in the error: it may be a secret.
    """
    for name, value in headers.items():
        if not isinstance(value, str):
            raise UnsupportedValue(f"AMI header {name!r} needs a text")
        if not name or not name.isascii() or not all(char.isalnum() or char in "-_" for char in name):
            raise UnsupportedValue(f"{name!r} is no name of an AMI header")
        if any(char in value for char in "\r\n\0"):
            raise UnsupportedValue(f"AMI header {name}: a line break or NUL cannot be sent")
        try:
            length = len(f"{name}: {value}".encode())
        except UnicodeEncodeError:
            raise UnsupportedValue(f"AMI header {name}: not a valid Unicode text") from None
        if length > LONGEST_LINE:
            raise UnsupportedValue(
                f"AMI header {name}: {length} bytes, Asterisk reads at most {LONGEST_LINE}"
            )
