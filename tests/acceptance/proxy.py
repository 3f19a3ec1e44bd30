"""A relay between a command and a server that does harm at one chosen moment of their talk."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

STALL_SECONDS = 60.0

Then = Literal["cut", "stall", "pass"]


@dataclass(frozen=True)
class Moment:
    """When ``text`` passes for the ``nth`` time in what is asked of the server, or in what it answers.

    Everything before the text has passed by then, of the text itself nothing. Without a text it is when
    ``after_bytes`` have passed.
    """

    side: Literal["asked", "answered"]
    text: bytes = b""
    nth: int = 1
    after_bytes: int = 0

    def __str__(self) -> str:
        what = f"{self.text.decode()} {self.nth}" if self.text else f"{self.after_bytes} bytes"
        return f"{what} {self.side}"


class Proxy:
    """Relays 127.0.0.1:``port`` to ``upstream`` on the same address, until the armed moment comes.

    Then ``act`` is called while nothing passes, and the connection is cut, or ``then`` something else:
    ``stall`` leaves it open, but nothing passes any more until :meth:`disarm`; ``pass`` goes on as before.
    Connections made later are relayed as if nothing had been, or, with ``again``, meet the same end.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._fault: _Fault | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._threads = [threading.Thread(target=self._accept, name=f"proxy-{self.port}")]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def arm(
        self,
        moment: Moment,
        *,
        act: Callable[[], None] = lambda: None,
        then: Then = "cut",
        again: bool = False,
    ) -> None:
        """Do harm at this moment; counting starts now."""
        with self._lock:
            self._fault = _Fault(moment, act, then, again)

    def disarm(self) -> bool:
        """Relay as before, and let go of what was stalled; returns whether the moment had come."""
        with self._lock:
            fault, self._fault = self._fault, None
        if fault is None:
            return False
        fault.released.set()
        return fault.fired.is_set()

    def close(self) -> None:
        """Stop listening, and wait for connections to end; those that are open are given no more than 5 s."""
        self.disarm()
        self._closed = True
        # Wakes the accept(), which closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=[client], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        address = ("127.0.0.1", self._upstream)
        with client, contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as server:
            server.settimeout(None)
            self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        while not self._closed:
            for source in select.select([client, server], [], [], 0.5)[0]:
                data = source.recv(65536)
                if not data:
                    return
                asked = source is client
                with self._lock:
                    fault = self._fault
                    cut = fault.find("asked" if asked else "answered", data) if fault else None
                target = server if asked else client
                target.sendall(data[:cut])
                if fault is not None and cut is not None:
                    fault.happen()
                    if fault.then != "pass":
                        return
                    target.sendall(data[cut:])


class _Fault:
    """One armed moment: what has passed of it, and what to do when it comes."""

    def __init__(self, moment: Moment, act: Callable[[], None], then: Then, again: bool) -> None:
        self._moment = moment
        self._act = act
        self.then = then
        self._again = again
        self._seen = 0
        self._tail = b""
        self.fired = threading.Event()
        self.released = threading.Event()

    def find(self, side: str, data: bytes) -> int | None:
        """How much of the data may still pass when the moment is in it; None where it is not."""
        moment = self._moment
        if side != moment.side or (self.fired.is_set() and not self._again):
            return None
        at = self._in_bytes(data) if not moment.text else self._in_text(data)
        if at is not None:
            self.fired.set()
            self._seen, self._tail = 0, b""
        return at

    def _in_bytes(self, data: bytes) -> int | None:
        passed, self._seen = self._seen, self._seen + len(data)
        return self._moment.after_bytes - passed if self._seen >= self._moment.after_bytes else None

    def _in_text(self, data: bytes) -> int | None:
        text, whole = self._moment.text, self._tail + data
        at = -1
        while (at := whole.find(text, at + 1)) >= 0:
            self._seen += 1
            if self._seen == self._moment.nth:
                return max(0, at - len(self._tail))
        # A text that was cut between two reads is found with the next one.
        self._tail = whole[-(len(text) - 1) :] if len(text) > 1 else b""
        return None

    def happen(self) -> None:
        self._act()
        if self.then == "stall":
            self.released.wait(STALL_SECONDS)
