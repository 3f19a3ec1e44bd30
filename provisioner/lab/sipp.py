"""Scripted registrations with SIPp: one quick check, or thousands as fast as the server takes them.

By somebody else's code, in a container. Where phones register while something else happens, or milliseconds
count, take :mod:`~provisioner.lab.sip`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from provisioner.errors import LabError
from provisioner.lab.containers import PHONE_IMAGE, Containers
from provisioner.lab.waiting import free_port
from provisioner.secret import Secret

_REGISTER: Final = """\
  <send retrans="500"><![CDATA[
    REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-{run}-[call_number]-{sequence}
    Max-Forwards: 70
    From: <sip:[field0]@[remote_ip]>;tag={run}-[call_number]
    To: <sip:[field0]@[remote_ip]>
    Call-ID: [call_id]
    CSeq: {sequence} REGISTER
    Contact: <sip:[field0]@[local_ip]:{contact_port}>
    Expires: {expires}
{authorization}    User-Agent: SIPp
    Content-Length: 0

  ]]></send>
"""
# Every answer but the expected one ends the call; one that SIPp does not expect at all makes it send BYE.
_REFUSALS: Final = (400, 403, 404, 408, 420, 423, 480, 481, 500, 501, 503)
_SCENARIO: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="register">
{first}
{refusals}
  <recv response="200" optional="true" next="done"/>
  <recv response="401" auth="true"/>
{second}
{refusals}
  <recv response="401" optional="true" next="done"/>
  <recv response="200"/>
  <label id="done"/>
</scenario>
"""
_UNFIT: Final = re.compile(r"[\s;\]\[\"]")
_SEPARATOR: Final = re.compile(r"^-{20,} .*$", re.MULTILINE)
_STATUS: Final = re.compile(r"^SIP/2\.0 (\d{3})(?s:.*)^CSeq: \d+ REGISTER", re.MULTILINE)
_USER: Final = re.compile(r"^To: <sip:([^@>]*)", re.MULTILINE)


def sip_register(
    server: str,
    endpoint_id: str,
    secret: Secret,
    *,
    contact_port: int | None = None,
    expires: int = 60,
    containers: Containers | None = None,
) -> int:
    """Register once and return the final status, such as 200, 401 or 403; 0 where no answer came.

    Takes half a second. Nobody listens at the contact, unless somebody else has ``contact_port`` open.
    """
    secrets = {endpoint_id: secret}
    statuses = register_many(
        server, secrets, contact_port=contact_port, expires=expires, containers=containers
    )
    return statuses[endpoint_id]


def register_many(
    server: str,
    secrets: Mapping[str, Secret],
    *,
    contact_port: int | None = None,
    expires: int = 3600,
    rate: int = 200,
    seconds: float = 5.0,
    containers: Containers | None = None,
) -> dict[str, int]:
    """Register every endpoint id with its secret, ``rate`` a second; returns the final status of each.

    0 says that no answer came within ``seconds`` of the last request. The secrets go to SIPp in a file
    that nobody else may read. Raises LabError where SIPp does not run.
    """
    containers = containers or Containers()
    unfit = [id for id, secret in secrets.items() if _UNFIT.search(id + secret.reveal())]
    if unfit:
        raise LabError(f"SIPp takes no spaces, brackets, quotes or semicolons in the secrets of {unfit}")
    run = uuid.uuid4().hex[:12]
    folder = Path(tempfile.mkdtemp(prefix="provisioner-sipp-"))
    try:
        (folder / "register.xml").write_text(_scenario(run, contact_port, expires), encoding="ascii")
        (folder / "users.csv").write_text(_users(secrets), encoding="ascii")
        deadline = seconds + len(secrets) / rate
        command = [
            *("sipp", server, "-sf", "/sipp/register.xml", "-inf", "/sipp/users.csv"),
            *("-i", "127.0.0.1", "-p", str(free_port()), "-nostdin"),
            # Every SIPp is process 1 of its container: without this its ids would be those of the last one.
            *("-cid_str", f"{run}-%u@%s"),
            *("-m", str(len(secrets)), "-r", str(rate), "-l", "1000"),
            *("-recv_timeout", str(int(seconds * 1000)), "-timeout", f"{int(deadline) + 5}s"),
            *("-trace_msg", "-message_file", "/sipp/messages"),
        ]
        container = containers.start(PHONE_IMAGE, "sipp", command=command, mounts={folder: ("/sipp", "rw")})
        try:
            container.wait(deadline + 15)
            messages = folder / "messages"
            if not messages.exists():
                raise LabError(f"SIPp did not run:\n{container.logs()}")
            answers = _answers(messages.read_text(encoding="utf-8", errors="replace"))
        finally:
            containers.end(container)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {id: answers.get(id, 0) for id in secrets}


def _scenario(run: str, contact_port: int | None, expires: int) -> str:
    values = {"run": run, "contact_port": contact_port or "[local_port]", "expires": expires}
    refusals = "\n".join(f'  <recv response="{code}" optional="true" next="done"/>' for code in _REFUSALS)
    return _SCENARIO.format(
        refusals=refusals,
        first=_REGISTER.format(sequence=1, authorization="", **values),
        second=_REGISTER.format(sequence=2, authorization="    [field1]\n", **values),
    )


def _users(secrets: Mapping[str, Secret]) -> str:
    lines: Iterable[str] = (
        f"{id};[authentication username={id} password={secret.reveal()}]" for id, secret in secrets.items()
    )
    return "\n".join(["SEQUENTIAL", *lines, ""])


def _answers(messages: str) -> dict[str, int]:
    """The last status that each user got, from SIPp's log of messages."""
    found = {}
    for message in _SEPARATOR.split(messages):
        status, user = _STATUS.search(message), _USER.search(message)
        if status and user:
            found[user.group(1)] = int(status.group(1))
    return found
