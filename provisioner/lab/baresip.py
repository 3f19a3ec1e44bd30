"""The wire to a baresip: JSON in netstrings over TCP (its module ctrl_tcp)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from provisioner.errors import LabError

Event = Mapping[str, Any]

_CALL_EVENTS: Final = 10.0
_LONGEST: Final = 1 << 20


class Wire:
    """One connection: commands out, answers and events in.

    ``on_event`` is called for every event, in order, from a thread of its own.
    """

    def __init__(self, port: int, on_event: Callable[[Event], None]) -> None:
        """Raises OSError where nobody listens yet."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.settimeout(None)
        self._on_event = on_event
        self._answers: dict[str, Event] = {}
        self._news = threading.Condition()
        self._next = 0
        self._closed = False
        threading.Thread(target=self._read, name=f"baresip-{port}", daemon=True).start()

    def ask(self, command: str, params: str = "", *, seconds: float = 5.0) -> str:
        """Send one command and return its answer; raises LabError where it fails or none comes.

        No error repeats ``params``, which may hold a secret.
        """
        with self._news:
            self._next += 1
            token = str(self._next)
        message = json.dumps({"command": command, "params": params, "token": token}).encode()
        try:
            self._socket.sendall(b"%d:%b," % (len(message), message))
        except OSError as exc:
            raise LabError(f"the phone is gone: {command} was not sent") from exc
        with self._news:
            done = self._news.wait_for(lambda: token in self._answers or self._closed, seconds)
            answer = self._answers.pop(token, None)
        if answer is None:
            raise LabError(f"the phone {'ended' if done else 'did not answer'} on {command}")
        if not answer.get("ok"):
            raise LabError(f"the phone refused {command}: {str(answer.get('data')).strip()}")
        return str(answer.get("data", ""))

    def close(self) -> None:
        """End the connection; the phone lives on."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._socket.close()

    def _read(self) -> None:
        pending = b""
        try:
            while chunk := self._socket.recv(65536):
                pending += chunk
                while (split := _split(pending)) is not None:
                    body, pending = split
                    self._take(json.loads(body))
        except (OSError, ValueError):
            pass
        finally:
            with self._news:
                self._closed = True
                self._news.notify_all()

    def _take(self, message: Event) -> None:
        if message.get("event"):
            self._on_event(message)
            return
        with self._news:
            self._answers[str(message.get("token", ""))] = message
            self._news.notify_all()


def _split(pending: bytes) -> tuple[bytes, bytes] | None:
    """The first whole netstring and the rest, or None where it is not whole yet."""
    size, colon, rest = pending.partition(b":")
    if not colon:
        if len(size) > 10:
            raise ValueError("not a netstring")
        return None
    length = int(size)
    if length > _LONGEST:
        raise ValueError("an unlikely netstring")
    return (rest[:length], rest[length + 1 :]) if len(rest) > length else None
