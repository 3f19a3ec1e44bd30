"""A whole lab: a home with settings, the embedded database, Asterisks on the rendered files, phones."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from provisioner.errors import LabError
from provisioner.lab.asterisk import Asterisk
from provisioner.lab.commands import CommandResult, Run, run
from provisioner.lab.containers import Containers
from provisioner.lab.phone import Phone
from provisioner.lab.sipp import sip_register
from provisioner.lab.waiting import free_port
from provisioner.secret import Secret

NODE: Final = "lab"
"""The node of a lab that has one; those of a lab with several are pbx1, pbx2 and so on."""
_RTP_PORTS: Final = 200
_PORTS: Final = _RTP_PORTS + 10
"""How many a node takes: the first few for SIP, AMI and WebSocket."""


class LabNode:
    """One Asterisk of a lab, on ports, a folder of files and an astdb of its own."""

    def __init__(self, lab: Lab, name: str, conf_dir: Path) -> None:
        self._lab = lab
        self.name = name
        self.conf_dir = conf_dir
        self.asterisk = Asterisk(conf_dir, containers=lab.containers)

    @property
    def sip(self) -> str:
        """Where it takes SIP, as ``host:port``."""
        settings = self._lab.settings
        of_node = settings["nodes"][self.name]
        return f"127.0.0.1:{of_node.get('sip_port', settings['asterisk']['sip_port'])}"


class Lab:
    """Everything that a user of the product has, on free ports of 127.0.0.1 and in one folder.

    ``asterisk``, ``numbers``, ``database`` and ``node`` are settings laid over the lab's own, such as
    ``asterisk={"contacts": "realtime"}``; ``node`` over those of every node. ``nodes`` is how many Asterisks
    share the database; ``asterisk``, ``conf_dir`` and ``sip`` are the first one's, ``nodes["pbx2"]`` is
    another. With ``keep`` nothing is taken down at the end. ``run`` runs the commands.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        asterisk: Mapping[str, Any] | None = None,
        numbers: Mapping[str, Any] | None = None,
        database: Mapping[str, Any] | None = None,
        node: Mapping[str, Any] | None = None,
        nodes: int = 1,
        keep: bool = False,
        run: Run = run,
    ) -> None:
        self.keep = keep
        self.run = run
        self.containers = Containers(keep=keep)
        self._temporary = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="provisioner-lab-"))
        self.config = self.home / "provisioner.toml"
        self._sections: dict[str, Mapping[str, Any] | None] = {
            "asterisk": asterisk,
            "numbers": numbers,
            "database": database,
        }
        self._node = node or {}
        names = [NODE] if nodes == 1 else [f"pbx{number}" for number in range(1, nodes + 1)]
        folders = [self.home / ("asterisk" if name == names[0] else f"asterisk-{name}") for name in names]
        self.nodes = {name: LabNode(self, name, folder) for name, folder in zip(names, folders, strict=True)}
        self._phones: list[Phone] = []

    def __enter__(self) -> Self:
        try:
            self.prepare()
            for node in self.nodes.values():
                node.asterisk.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            self.close()

    @property
    def asterisk(self) -> Asterisk:
        """The Asterisk, of several the first."""
        return self._first.asterisk

    @property
    def conf_dir(self) -> Path:
        """The folder of its configuration files."""
        return self._first.conf_dir

    @property
    def sip(self) -> str:
        """Where it takes SIP, as ``host:port``."""
        return self._first.sip

    @property
    def settings(self) -> dict[str, Any]:
        """The settings file, as it is now."""
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def prepare(self) -> None:
        """Settings, database and configuration files, by the product's own commands."""
        self.write_settings()
        self.must("db", "upgrade")
        for node in self.nodes.values():
            self.must("conf", "render", str(node.conf_dir), "--node", node.name)

    def write_settings(self) -> None:
        """Choose free ports and write ``provisioner.toml``, unless it is there already."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.config.exists():
            return
        # One block for all of them, so that none falls among the RTP ports.
        first = free_port(_PORTS * len(self.nodes))
        own: dict[str, dict[str, Any]] = {"asterisk": _sip_ports(first)}
        for number, name in enumerate(self.nodes):
            block = first + _PORTS * number
            differs = _sip_ports(block) if number else {}
            own[f"nodes.{name}"] = {"port": block + 4, "secret_file": "ami.secret", **differs, **self._node}
        for section, values in self._sections.items():
            own.setdefault(section, {}).update(values or {})
        _write_private(self.home / "ami.secret", os.urandom(18).hex() + "\n")
        _write_private(self.config, _toml(own))

    def cli(
        self,
        *arguments: str,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = 60.0,
    ) -> CommandResult:
        """Run the real command line on this lab: ``lab.cli("user", "add", "ann", "--name", "Ann")``."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PROVISIONER_")}
        return self.run(
            ["--config", str(self.config), *arguments],
            {**inherited, "PROVISIONER_HOME": str(self.home), **(environment or {})},
            stdin or "",
            seconds,
        )

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        """Like :meth:`cli`, for a command that has to work; returns what it printed on stdout."""
        result = self.cli(*arguments, stdin=stdin)
        if result.code:
            raise LabError(
                f"provisioner {' '.join(arguments)} ended with {result.code}: {result.err.strip()}"
            )
        return result.out

    def phone(
        self,
        endpoint_id: str,
        secret: Secret,
        *,
        expires: int = 60,
        answers: bool = False,
        transport: Literal["udp", "tcp"] = "udp",
        node: str | None = None,
    ) -> Phone:
        """A phone, switched on, that can register at the node (the first); it ends with the lab."""
        phone = Phone(
            endpoint_id,
            secret,
            self._at(node).sip,
            transport=transport,
            expires=expires,
            answers=answers,
            containers=self.containers,
        )
        self._phones.append(phone)
        return phone.start()

    def sip_register(
        self, endpoint_id: str, secret: Secret, *, expires: int = 60, node: str | None = None
    ) -> int:
        """Register once with SIPp at the node (the first); returns the final status, such as 200 or 401."""
        server = self._at(node).sip
        return sip_register(server, endpoint_id, secret, expires=expires, containers=self.containers)

    def close_phones(self) -> None:
        """Switch off every phone of :meth:`phone`."""
        phones, self._phones = self._phones, []
        for phone in phones:
            phone.close()

    def close(self) -> None:
        """End phones, Asterisks and database; a folder that we made goes too."""
        from provisioner.store.embedded import Embedded

        self.close_phones()
        for node in self.nodes.values():
            node.asterisk.stop()
        self.containers.close()
        Embedded(self.home).stop()
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _first(self) -> LabNode:
        return next(iter(self.nodes.values()))

    def _at(self, node: str | None) -> LabNode:
        return self._first if node is None else self.nodes[node]


def _sip_ports(first: int) -> dict[str, int]:
    return {
        "sip_port": first,
        "tls_port": first + 2,
        "ws_port": first + 6,
        "wss_port": first + 7,
        "rtp_first": first + 10,
        "rtp_last": first + _PORTS - 1,
    }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(one) for one in value)}]"
    if isinstance(value, str):
        # A JSON text is a TOML basic string, but for DEL and lone surrogates, which no setting has.
        return json.dumps(value)
    raise LabError(f"a setting of type {type(value).__name__} cannot be written")
