"""A registrar of a few lines, over UDP: it challenges, forgets, loses and tells what it was sent."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Registrar(asyncio.DatagramProtocol):
    """Takes the ``secrets`` by endpoint id; ``challenges`` are the parameters of its WWW-Authenticate.

    The first ``lost`` datagrams and the first ``stale`` right answers count for nothing, and a challenge is
    not sent at all to whoever is in ``silent``.
    """

    secrets: dict[str, str]
    challenges: tuple[str, ...] = ('realm="pbx", nonce="{nonce}", qop="auth", algorithm=MD5, opaque="xyz"',)
    lost: int = 0
    stale: int = 0
    silent: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"

    def send(self, message: str, port: int) -> None:
        self._transport.sendto(message.encode(), ("127.0.0.1", port))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            self.answers.append(text)
            return
        self.requests.append(text)
        if len(self.requests) > self.lost and header(text, "From").split("@")[0][5:] not in self.silent:
            self._transport.sendto(self._answer(text).encode(), addr)

    def _answer(self, request: str) -> str:
        echoed = [f"{name}: {header(request, name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        nonce = f"nonce{len(self.requests)}"
        status, more = "200 OK", ""
        if not self._is_right(request):
            status = "401 Unauthorized"
        elif self.stale:
            status, more, self.stale = "401 Unauthorized", ", stale=true", self.stale - 1
        if status.startswith("401"):
            asked = [challenge.format(nonce=nonce) + more for challenge in self.challenges]
            echoed += [f"WWW-Authenticate: Digest {one}" for one in asked]
        # What is not final yet comes first; it counts for nothing.
        trying = "\r\n".join(["SIP/2.0 100 Trying", *echoed[:5], "", ""])
        self._transport.sendto(trying.encode(), ("127.0.0.1", int(self._port(request))))
        return "\r\n".join([f"SIP/2.0 {status}", *echoed, "Content-Length: 0", "", ""])

    def _is_right(self, request: str) -> bool:
        if "\r\nAuthorization:" not in request:
            return False
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', header(request, "Authorization")))
        hashed = md5 if said["algorithm"] == "MD5" else sha256
        person = hashed(f"{said['username']}:{said['realm']}:{self.secrets[said['username']]}")
        middle = f"{said['nonce']}:{said['nc']}:{said['cnonce']}:auth" if "qop" in said else said["nonce"]
        return bool(said["response"] == hashed(f"{person}:{middle}:{hashed('REGISTER:' + said['uri'])}"))

    def _port(self, request: str) -> str:
        found = re.search(r"127\.0\.0\.1:(\d+);", header(request, "Via"))
        assert found
        return found[1]


def header(message: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)\r$", message, re.MULTILINE)
    assert found, f"no {name} in {message}"
    return found[1]


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
