"""Thousands of phones in one process, over UDP: they register, and answer when asked whether they are there.

Take these where many phones register while something else happens, or where milliseconds count; they start
no container and cannot call. ``baresip`` (:class:`~provisioner.lab.phone.Phone`) is a real phone for calls,
media and TLS; SIPp (:mod:`~provisioner.lab.sipp`) registers with somebody else's code, and as fast as the
server takes it, for rates that Python does not reach (about 1,000 registrations a second of one core here).
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from provisioner.lab.digest import read_challenge
from provisioner.lab.latencies import Answer, Latencies
from provisioner.secret import Secret

T1: Final = 0.5
"""Seconds to the first retransmission; doubled each time, up to :data:`T2` (RFC 3261, timer E)."""
T2: Final = 4.0
GIVE_UP: Final = 64 * T1
"""Seconds after which nobody answers any more (timer F)."""

_HOST: Final = "127.0.0.1"
_BUFFER: Final = 4 << 20
_ROUNDS: Final = 4
"""Most requests of one registration: one without credentials, one with, and some for nonces gone stale."""
_STATUS: Final = re.compile(r"SIP/2\.0 (\d{3}) ")
_BRANCH: Final = re.compile(r"^Via *:[^\r\n,]*?; *branch=([^;,\s]+)", re.MULTILINE | re.IGNORECASE)
_CHALLENGE: Final = re.compile(r"^(?:WWW|Proxy)-Authenticate *: *([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_ECHOED: Final = re.compile(r"^((?:Via|From|Call-ID|CSeq) *:[^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_TO: Final = re.compile(r"^To *: *([^\r\n]*)", re.MULTILINE | re.IGNORECASE)

Address = tuple[str, int]


class Prober:
    """One UDP socket on 127.0.0.1 for any number of phones, of any number of servers.

    ``async with Prober() as prober``; requests of a server to its phones, such as the OPTIONS that qualify
    them, are answered with 200.
    """

    async def __aenter__(self) -> Self:
        self._waiting: dict[str, asyncio.Future[str]] = {}
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Wire(self._take), local_addr=(_HOST, 0)
        )
        wire = self._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.port: int = wire.getsockname()[1]
        """Where it listens."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def phone(
        self, endpoint_id: str, secret: Secret, server: str, contact_port: int | None = None
    ) -> Registrant:
        """A phone of ``server`` (``host:port``); its contact is our own socket unless it is another port."""
        return Registrant(self, endpoint_id, secret, server, contact_port)

    async def ask(self, request: str, branch: str, server: Address, timeout: float) -> str:
        """Send a request until its final answer comes; nothing where none does in ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        self._waiting[branch] = answer
        data, deadline, interval = request.encode(), loop.time() + timeout, T1
        try:
            while (left := deadline - loop.time()) > 0:
                self._transport.sendto(data, server)
                await asyncio.wait((answer,), timeout=min(interval, left))
                if answer.done():
                    return answer.result()
                interval = min(2 * interval, T2)
            return ""
        finally:
            del self._waiting[branch]

    def _take(self, data: bytes, sender: Address) -> None:
        text = data.decode("utf-8", "replace")
        if (status := _STATUS.match(text)) is None:
            self._reply(text, sender)
        elif (branch := _BRANCH.search(text)) is not None and status[1] >= "200":
            answer = self._waiting.get(branch[1])
            if answer is not None and not answer.done():
                answer.set_result(text)

    def _reply(self, request: str, sender: Address) -> None:
        to = _TO.search(request)
        if to is None or request.startswith("ACK "):
            return
        status = "200 OK" if request.startswith(("OPTIONS ", "NOTIFY ")) else "486 Busy Here"
        tag = "" if ";tag=" in to[1] else f";tag={secrets.token_hex(4)}"
        lines = [f"SIP/2.0 {status}", *_ECHOED.findall(request), f"To: {to[1]}{tag}", "Content-Length: 0"]
        self._transport.sendto("\r\n".join([*lines, "", ""]).encode(), sender)


class Registrant:
    """One phone of a :class:`Prober`; made by :meth:`Prober.phone`. ``secret`` may be replaced."""

    def __init__(
        self, prober: Prober, endpoint_id: str, secret: Secret, server: str, contact_port: int | None = None
    ) -> None:
        self.endpoint_id = endpoint_id
        self.secret = secret
        self.server = server
        host, _, port = server.rpartition(":")
        self._prober = prober
        self._address = (host, int(port))
        self._contact = f"<sip:{endpoint_id}@{_HOST}:{contact_port or prober.port}>"
        # One Call-ID for all its registrations, with CSeq going up (RFC 3261, 10.2).
        self._call, self._tag = secrets.token_hex(12), secrets.token_hex(4)
        self._sequence = 0

    async def register(self, expires: int = 60, timeout: float = GIVE_UP) -> Answer:
        """Register for ``expires`` seconds. A challenge is answered, also anew where its nonce went stale."""
        return await self._register((f"Contact: {self._contact}", f"Expires: {expires}"), timeout)

    async def unregister(self, timeout: float = GIVE_UP) -> Answer:
        """Take the registration back."""
        return await self.register(0, timeout)

    async def log_in(self, timeout: float = GIVE_UP) -> Answer:
        """Show the secret and change nothing: a REGISTER without a contact only asks which there are."""
        return await self._register((), timeout)

    async def knock(self, timeout: float = GIVE_UP) -> Answer:
        """One REGISTER without credentials, for the time of an answer; a server that is well says 401."""
        began = time.perf_counter()
        reply = await self._send((), timeout)
        return Answer(_status(reply), time.perf_counter() - began)

    async def _register(self, fields: Sequence[str], timeout: float) -> Answer:
        began = time.perf_counter()
        reply = await self._send(fields, timeout)
        for turn in range(1, _ROUNDS):
            challenge = read_challenge(_CHALLENGE.findall(reply)) if _status(reply) in (401, 407) else None
            if challenge is None or (turn > 1 and not challenge.stale):
                break
            answer = challenge.answer(self.endpoint_id, self.secret, "REGISTER", f"sip:{self.server}")
            name = "Authorization" if _status(reply) == 401 else "Proxy-Authorization"
            left = timeout - (time.perf_counter() - began)
            reply = await self._send((*fields, f"{name}: {answer}"), left)
        return Answer(_status(reply), time.perf_counter() - began)

    async def _send(self, fields: Sequence[str], timeout: float) -> str:
        """One REGISTER and its final answer; nothing where none came."""
        self._sequence += 1
        branch = f"z9hG4bK{secrets.token_hex(12)}"
        person = f"<sip:{self.endpoint_id}@{self._address[0]}>"
        lines = (
            f"REGISTER sip:{self.server} SIP/2.0",
            f"Via: SIP/2.0/UDP {_HOST}:{self._prober.port};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {person};tag={self._tag}",
            f"To: {person}",
            f"Call-ID: {self._call}",
            f"CSeq: {self._sequence} REGISTER",
            *fields,
            "Content-Length: 0",
        )
        request = "\r\n".join([*lines, "", ""])
        return await self._prober.ask(request, branch, self._address, timeout)


async def storm(
    phones: Sequence[Registrant],
    rate: float,
    seconds: float,
    *,
    expires: int = 3600,
    timeout: float = GIVE_UP,
    until: asyncio.Event | None = None,
) -> Latencies:
    """Have the phones register in turn, ``rate`` a second, for ``seconds`` or until something happened.

    Nobody waits for anybody's answer, so a server that is slow gets no less to do. Run it as a task beside
    the work, which goes into ``asyncio.to_thread`` where it blocks. Returns when the last one is answered or
    given up.
    """
    began = time.perf_counter()
    late = 0.0
    tasks = []
    turns = itertools.cycle(phones)
    for number in range(int(rate * seconds)):
        ahead = began + number / rate - time.perf_counter()
        late = max(late, -ahead)
        # Also where it is late: others have to get their turn.
        await asyncio.sleep(max(0.0, ahead))
        if until is not None and until.is_set():
            break
        tasks.append(asyncio.create_task(next(turns).register(expires, timeout)))
    return Latencies.of(await asyncio.gather(*tasks), late)


class _Wire(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._take(data, addr)


def _status(reply: str) -> int:
    found = _STATUS.match(reply)
    return int(found[1]) if found else 0
