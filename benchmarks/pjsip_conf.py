"""The rival of realtime: an Asterisk whose users stand in pjsip.conf, written anew and reloaded over AMI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.measure import Run
from benchmarks.people import Person
from provisioner.ami import Client
from provisioner.ami.actions import ReloadModule
from provisioner.ami.registrations import EndpointState, ShowEndpoint
from provisioner.lab import Lab
from provisioner.secret import Secret
from provisioner.settings import NodeSettings

TEMPLATES: Final = """\
[phone](!)
type = endpoint
context = users
disallow = all
allow = alaw,ulaw,g722
language = en
identify_by = username
direct_media = no
rewrite_contact = yes
force_rport = yes
rtp_symmetric = yes
dtmf_mode = auto
[secret](!)
type = auth
auth_type = userpass
[place](!)
type = aor
remove_existing = yes
remove_unavailable = yes
qualify_frequency = 60
minimum_expiration = 60
default_expiration = 3600
maximum_expiration = 7200
"""
USER: Final = """\
[{number}](phone)
aors = {number}
auth = {number}
callerid = "{name}" <{number}>
device_state_busy_at = {lines}
[{number}](secret)
username = {number}
password = {secret}
[{number}](place)
max_contacts = {lines}
"""
SECRET: Final = Secret("x1y2z3x1y2z3x1y2z3x1y2z3")
"""Of everybody, unless another is given."""
_USERS: Final = "pjsip_users.conf"
PATIENCE: Final = 180
"""Seconds after which a reload is given up."""


class FileAsterisk:
    """A lab without realtime: the same Asterisk and configuration, but that pjsip.conf holds the users."""

    def __init__(self) -> None:
        self._lab = Lab(node={"action_timeout": PATIENCE / ReloadModule.patience})

    def __enter__(self) -> Self:
        try:
            self._lab.prepare()
            folder = self._lab.conf_dir
            # Empty, every object comes from pjsip.conf.
            (folder / "sorcery.conf").write_text("", "utf-8")
            with (folder / "pjsip.conf").open("a", encoding="utf-8") as file:
                file.write(f"\n#include /conf/{_USERS}\n")
            # The container sees the folder itself at /conf, and its user is another than ours.
            folder.chmod(0o755)
            self._file.touch()
            self._file.chmod(0o644)
            self._lab.asterisk.start()
        except BaseException:
            self._lab.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lab.close()

    @property
    def sip(self) -> str:
        """Where it takes SIP, as ``host:port``."""
        return self._lab.sip

    def rx(self, command: str) -> str:
        """What a command of Asterisk's own command line prints."""
        return self._lab.asterisk.rx(command)

    def load(self, everybody: Sequence[Person], awaited: Person) -> Run:
        """Write all of them, reload, and wait until this person's endpoint is as the file says.

        Raises ActionTimeout where the reload is not done after :data:`PATIENCE`.
        """
        began = time.perf_counter()
        self.write(everybody)
        asyncio.run(self._reload(awaited))
        return Run(time.perf_counter() - began)

    def write(self, everybody: Sequence[Person], secrets: Mapping[str, Secret] | None = None) -> None:
        """Write all of them; ``secrets``, by number, are those that are not :data:`SECRET`."""
        own = secrets or {}
        users = (
            USER.format(
                number=person.number,
                name=person.name,
                lines=person.lines,
                secret=own.get(person.number, SECRET).reveal(),
            )
            for person in everybody
        )
        self.put([TEMPLATES, *users])

    def put(self, sections: Iterable[str]) -> None:
        """Write these where the users stand."""
        with self._file.open("w", encoding="utf-8") as file:
            file.writelines(sections)

    def restart(self) -> None:
        """Have it read the file at its start."""
        self._lab.asterisk.restart()

    async def reload(self) -> None:
        """Have it read the file; raises ActionTimeout where that is not done after :data:`PATIENCE`."""
        async with Client(self._node()) as client:
            await client.call(ReloadModule())

    async def _reload(self, awaited: Person) -> None:
        await self.reload()
        async with Client(self._node()) as client, asyncio.timeout(PATIENCE):
            while not _is(await client.call(ShowEndpoint(awaited.number)), awaited):
                await asyncio.sleep(0.02)

    def _node(self) -> NodeSettings:
        its = self._lab.settings["nodes"]["lab"]
        secret = self._lab.home / its["secret_file"]
        return NodeSettings(
            name="lab", port=its["port"], action_timeout=PATIENCE / ReloadModule.patience, secret_file=secret
        )

    @property
    def _file(self) -> Path:
        return self._lab.conf_dir / _USERS


def _is(found: EndpointState | None, person: Person) -> bool:
    return (
        found is not None
        and found.max_contacts == int(person.lines)
        and found.callerid == f'"{person.name}" <{person.number}>'
    )
