"""A real SIP phone: baresip in a container of its own."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from provisioner.errors import LabError
from provisioner.lab.baresip import Event, Wire
from provisioner.lab.containers import PHONE_IMAGE, Container, Containers
from provisioner.lab.waiting import free_port, wait_for
from provisioner.secret import Secret

ESTABLISHED: Final = 200

Media = Literal["plain", "srtp-mand", "dtls_srtp"]
"""How a phone encrypts sound; baresip offers ``dtls_srtp`` as AVPF only, and takes it as AVP too."""

_CONFIG: Final = """\
sip_listen 127.0.0.1:0
{tls}call_max_calls 20
call_hold_other_calls no
audio_source ausine,440
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
# ausine makes 48 kHz only; baresip makes of it what the call needs.
ausrc_srate 48000
rtp_ports {rtp}-{rtp_last}
ringback_disabled yes
module_path /usr/lib/baresip/modules
module srtp.so
module dtls_srtp.so
module g711.so
module ausine.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""
_TLS: Final = """\
sip_cafile /phone/ca.pem
sip_verify_server yes
"""
_CODE: Final = re.compile(r"\s*(\d{3})\b")
_NUMBER: Final = re.compile(r"sips?:([^@;>]*)")


class Call:
    """One call of a phone, live: it changes as the phone tells of it."""

    def __init__(self, phone: Phone, id: str, direction: str, peer: str, display_name: str) -> None:
        self._phone = phone
        self.id = id
        self.direction = direction
        self.number = peer
        """The other side's number, as the phone shows it."""
        self.display_name = display_name
        """The other side's name, as the phone shows it; empty where none came."""
        self.ringing = False
        self.established = False
        self.closed: str | None = None
        """Why it ended, such as ``486 Busy Here``; None while it lives."""

    def result(self, seconds: float = 10.0) -> int:
        """Wait until it is answered or refused: 200, or the refusing status such as 486; 0 for none.

        Raises LabError where neither happens in time.
        """
        self._phone.wait(lambda: self.established or self.closed is not None, seconds, f"call {self.number}")
        return ESTABLISHED if self.established else _code(self.closed or "")

    def wait_ringing(self, seconds: float = 10.0) -> bool:
        """Wait until the other side rings (True) or the call ended before it did (False)."""
        self._phone.wait(lambda: self.ringing or self.closed is not None, seconds, f"{self.number} to ring")
        return self.ringing

    def wait_closed(self, seconds: float = 10.0) -> str:
        """Wait for its end; returns the reason."""
        self._phone.wait(lambda: self.closed is not None, seconds, f"the end of call {self.number}")
        return self.closed or ""

    def answer(self) -> None:
        """Pick up an incoming call."""
        self._phone.ask("accept", self.id)
        self.result()

    def hangup(self) -> None:
        """End or refuse it."""
        with contextlib.suppress(LabError):
            self._phone.ask("hangup", self.id)
        self.wait_closed()


class Phone:
    """A phone of one SIP account, such as ``7001`` at ``127.0.0.1:5060``.

    It is switched on by :meth:`start` (or ``with``) and registers when told to. The secret goes to it over
    loopback: it is on no command line and in no file.
    """

    def __init__(
        self,
        endpoint_id: str,
        secret: Secret,
        server: str = "127.0.0.1:5060",
        *,
        transport: Literal["udp", "tcp", "tls"] = "udp",
        ca: Path | None = None,
        media: Media = "plain",
        expires: int = 60,
        answers: bool = False,
        containers: Containers | None = None,
        image: str = PHONE_IMAGE,
    ) -> None:
        """``expires`` is the registration's length in seconds; ``answers`` picks up every call at once.

        Over ``tls`` the server's certificate has to come from ``ca``. ``media`` is how sound is encrypted.
        """
        self.endpoint_id = endpoint_id
        self.server = server
        self._secret = secret
        self._transport = transport
        self._ca = ca
        self._media = media
        self._expires = expires
        self._answers = answers
        self._containers = containers or Containers()
        self._image = image
        self._news = threading.Condition()
        self._calls: dict[str, Call] = {}
        self._unseen: list[Call] = []
        self._registrations: list[int] = []
        self._container: Container | None = None
        self._wire: Wire | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> Self:
        """Switch it on; it does not register yet."""
        control, rtp = free_port(), free_port(20)
        self._folder = Path(tempfile.mkdtemp(prefix="provisioner-phone-"))
        tls = _TLS if self._ca is not None else ""
        config = _CONFIG.format(tls=tls, control=control, rtp=rtp, rtp_last=rtp + 19)
        (self._folder / "config").write_text(config, encoding="ascii")
        if self._ca is not None:
            shutil.copyfile(self._ca, self._folder / "ca.pem")
        for name in ("accounts", "contacts"):
            (self._folder / name).touch()
        self._container = self._containers.start(
            self._image, "phone", command=["baresip", "-f", "/phone"], mounts={self._folder: ("/phone", "rw")}
        )
        self._wire = wait_for("baresip to start", lambda: self._connect(control), 10, every=0.02)
        return self

    def register(self, secret: Secret | None = None, *, seconds: float = 10.0) -> int:
        """Register, with another secret where one is given; returns the final status: 200, 401, 403 ...

        0 says that no answer came. From then on the phone refreshes its registration by itself.
        """
        if secret is not None:
            self._secret = secret
        text = self._secret.reveal()
        if re.search(r"[;\s\"]", text):
            raise LabError("baresip takes no secret with spaces, quotes or semicolons")
        self.unregister()
        before = len(self._registrations)
        self.ask(
            "uanew",
            f"<sip:{self.endpoint_id}@{self.server};transport={self._transport}>"
            f";auth_user={self.endpoint_id};auth_pass={text};regint={self._expires}"
            f";answermode={'auto' if self._answers else 'manual'}"
            + ("" if self._media == "plain" else f";mediaenc={self._media}"),
        )
        self.wait(lambda: len(self._registrations) > before, seconds, "an answer to REGISTER")
        return self._registrations[before]

    def unregister(self) -> None:
        """Take the registration back and forget the account; no matter where there is none."""
        self.ask("uadelall")

    @property
    def status(self) -> int | None:
        """The final status of the last REGISTER, refreshes included; None before the first."""
        return self._registrations[-1] if self._registrations else None

    def next_status(self, seconds: float) -> int:
        """Wait for its next REGISTER, sent shortly before the registration ends; its final status."""
        before = len(self._registrations)
        self.wait(lambda: len(self._registrations) > before, seconds, "its next REGISTER")
        return self._registrations[before]

    def wait_status(self, status: int, seconds: float) -> None:
        """Wait until a refresh is answered with ``status``; raises LabError where none is."""
        self.wait(lambda: self.status == status, seconds, f"REGISTER to be answered with {status}")

    def dial(self, target: str) -> Call:
        """Call a number, or any user part of a SIP address; returns at once, see :meth:`Call.result`."""
        answer = self.ask("dial", f"sip:{target}@{self.server};transport={self._transport}")
        id = answer.rpartition(":")[2].strip()
        with self._news:
            return self._calls.setdefault(id, Call(self, id, "outgoing", target, ""))

    def incoming(self, seconds: float = 10.0) -> Call:
        """The next call that comes in and was not returned yet."""
        self.wait(lambda: bool(self._unseen), seconds, "an incoming call")
        return self._unseen.pop(0)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls there were, also those that ended."""
        return tuple(self._calls.values())

    def close(self) -> None:
        """Switch it off: it says goodbye to the server, unless it is gone already."""
        if self._wire is not None:
            with contextlib.suppress(LabError):
                self.unregister()
            self._wire.close()
            self._wire = None
        self.kill()

    def kill(self) -> None:
        """Switch it off without a word to anybody, as a power cut would; its contact stays registered."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._container is not None:
            self._containers.end(self._container)
            self._container = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def ask(self, command: str, params: str = "") -> str:
        """Any command of baresip's; returns its answer."""
        if self._wire is None:
            raise LabError(f"phone {self.endpoint_id} is switched off")
        return self._wire.ask(command, params)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Until something that the phone tells makes ``condition`` true; LabError after ``seconds``."""
        with self._news:
            if not self._news.wait_for(condition, seconds):
                answers = ", ".join(map(str, self._registrations)) or "nothing"
                raise LabError(
                    f"phone {self.endpoint_id} waited {seconds:g} s in vain for {what}; "
                    f"its REGISTERs were answered with {answers}"
                )

    def _connect(self, port: int) -> Wire | None:
        try:
            return Wire(port, self._take)
        except OSError:
            if self._container is not None and not self._container.is_running():
                raise LabError(f"baresip ended:\n{self._container.logs()}") from None
            return None

    def _take(self, event: Event) -> None:
        with self._news:
            kind = event.get("type")
            if kind in ("REGISTER_OK", "REGISTER_FAIL"):
                self._registrations.append(_code(str(event.get("param", ""))))
            elif event.get("class") == "call" and "id" in event:
                self._take_call(str(event["id"]), str(kind), event)
            self._news.notify_all()

    def _take_call(self, id: str, kind: str, event: Event) -> None:
        call = self._calls.get(id)
        if call is None:
            found = _NUMBER.match(str(event.get("peeruri", "")))
            name = str(event.get("peerdisplayname", ""))
            call = Call(self, id, str(event.get("direction", "")), found.group(1) if found else "", name)
            self._calls[id] = call
        if kind == "CALL_INCOMING":
            call.ringing = True
            self._unseen.append(call)
        elif kind == "CALL_RINGING":
            call.ringing = True
        elif kind == "CALL_ESTABLISHED":
            call.established = True
        elif kind == "CALL_CLOSED":
            call.closed = str(event.get("param", ""))


def _code(reason: str) -> int:
    found = _CODE.match(reason)
    return int(found.group(1)) if found else 0
