"""A small SIP client over WebSocket, as a browser is one: it registers, and sees what it is offered."""

from __future__ import annotations

import re
import secrets
import ssl
from types import TracebackType
from typing import Self

from websockets.sync.client import connect
from websockets.typing import Subprotocol

from provisioner.lab.digest import read_challenge
from provisioner.secret import Secret

_WAIT = 10.0


class Browser:
    """One connection; ``url`` is such as ``wss://127.0.0.1:8089/ws``, and ``context`` says whom to trust.

    Raises OSError where nobody listens, or the certificate does not hold.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None, id: str) -> None:
        self.id = id
        self._tag, self._call = secrets.token_hex(4), secrets.token_hex(8)
        self._sequence = 0
        self._connecting = connect(url, ssl=context, subprotocols=[Subprotocol("sip")], open_timeout=_WAIT)

    def __enter__(self) -> Self:
        self._wire = self._connecting.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connecting.__exit__(kind, exc, trace)

    def register(self, secret: Secret) -> int:
        """Register with digest; returns the final status, such as 200 or 401."""
        status, challenge = self._register("")
        if status != 401:
            return status
        asked = read_challenge([_header(challenge, "WWW-Authenticate")])
        assert asked is not None
        answer = asked.answer(self.id, secret, "REGISTER", "sip:127.0.0.1")
        return self._register(f"Authorization: {answer}\r\n")[0]

    def refuse_call(self) -> str:
        """Wait for a call and say that it is busy; returns the INVITE."""
        invite = self._next("INVITE")
        names = ("Via", "From", "Call-ID", "CSeq")
        copied = "".join(f"{name}: {_header(invite, name)}\r\n" for name in names)
        self._wire.send(
            f"SIP/2.0 486 Busy Here\r\n{copied}To: {_header(invite, 'To')};tag={self._tag}\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        return invite

    def _register(self, authorization: str) -> tuple[int, str]:
        self._sequence += 1
        self._wire.send(
            "REGISTER sip:127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/WSS browser.invalid;branch=z9hG4bK-{secrets.token_hex(8)}\r\n"
            f"From: <sip:{self.id}@127.0.0.1>;tag={self._tag}\r\nTo: <sip:{self.id}@127.0.0.1>\r\n"
            f"Call-ID: {self._call}\r\nCSeq: {self._sequence} REGISTER\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:{self.id}@browser.invalid;transport=ws>\r\nExpires: 60\r\n"
            f"{authorization}Content-Length: 0\r\n\r\n"
        )
        answer = self._next("SIP/2.0")
        return int(answer.split()[1]), answer

    def _next(self, start: str) -> str:
        """The next message that begins so; others, such as OPTIONS, are passed over."""
        while True:
            message = self._wire.recv(_WAIT)
            text = message if isinstance(message, str) else message.decode()
            if text.startswith(start):
                return text


def _header(message: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r$", message, re.MULTILINE | re.IGNORECASE)
    assert found, f"no {name} in {message}"
    return found[1]
