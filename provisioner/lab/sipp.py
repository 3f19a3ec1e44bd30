"""Scripted registrations with SIPp: one quick check, or thousands as fast as the server takes them.

By somebody else's code, in a container. Where phones register while something else happens, or milliseconds
count, take :mod:`~provisioner.lab.sip`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from provisioner.errors import LabError
from provisioner.lab.containers import PHONE_IMAGE, Containers
from provisioner.lab.waiting import free_port
from provisioner.secret import Secret

REGISTER: Final = """\
  <send retrans="500"{clock}><![CDATA[
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
REFUSALS: Final = "\n".join(
    f'  <recv response="{code}" optional="true" next="done"/>'
    for code in (400, 403, 404, 408, 420, 423, 480, 481, 500, 501, 503)
)
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
    run = uuid.uuid4().hex[:12]
    deadline = seconds + len(secrets) / rate
    options = [
        *("-p", str(free_port()), "-m", str(len(secrets)), "-r", str(rate), "-l", "1000"),
        *("-recv_timeout", str(int(seconds * 1000)), "-timeout", f"{int(deadline) + 5}s"),
        *("-trace_msg", "-message_file", "messages"),
    ]
    scenario = _scenario(run, contact_port, expires)
    with played(run, scenario, secrets, server, options, "messages", deadline + 15, containers) as messages:
        answers = _answers(messages.read_text(encoding="utf-8", errors="replace"))
    return {id: answers.get(id, 0) for id in secrets}


@contextmanager
def played(
    run: str,
    scenario: str,
    secrets: Mapping[str, Secret],
    server: str,
    options: Sequence[str],
    writes: str,
    seconds: float,
    containers: Containers | None,
) -> Iterator[Path]:
    """Have SIPp play a scenario to its end with users from ``secrets``; gives the file that it wrote.

    ``run`` is in the ids of its calls, ``writes`` a pattern that the file's name fits. Raises LabError where
    it has not ended after ``seconds``, or wrote none.
    """
    containers = containers or Containers()
    unfit = [id for id, secret in secrets.items() if _UNFIT.search(id + secret.reveal())]
    if unfit:
        raise LabError(f"SIPp takes no spaces, brackets, quotes or semicolons in the secrets of {unfit}")
    folder = Path(tempfile.mkdtemp(prefix="provisioner-sipp-"))
    try:
        (folder / "register.xml").write_text(scenario, encoding="ascii")
        (folder / "users.csv").write_text(_users(secrets), encoding="ascii")
        command = [
            # Some of its files it writes where it stands.
            *("env", "-C", "/sipp", "sipp", server, "-sf", "register.xml", "-inf", "users.csv"),
            *("-i", "127.0.0.1", "-nostdin"),
            # Every SIPp is process 1 of its container: without this its ids would be those of the last one.
            *("-cid_str", f"{run}-%u@%s"),
            *options,
        ]
        container = containers.start(PHONE_IMAGE, "sipp", command=command, mounts={folder: ("/sipp", "rw")})
        try:
            container.wait(seconds)
            written = next(folder.glob(writes), None)
            if written is None:
                raise LabError(f"SIPp did not run:\n{container.logs()}")
            yield written
        finally:
            containers.end(container)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scenario(run: str, contact_port: int | None, expires: int) -> str:
    values = {"run": run, "contact_port": contact_port or "[local_port]", "expires": expires, "clock": ""}
    return _SCENARIO.format(
        refusals=REFUSALS,
        first=REGISTER.format(sequence=1, authorization="", **values),
        second=REGISTER.format(sequence=2, authorization="    [field1]\n", **values),
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
