"""A whole lab: a home with settings, the embedded database, an Asterisk on the rendered files, phones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from provisioner.errors import LabError
from provisioner.lab.asterisk import Asterisk
from provisioner.lab.containers import Containers
from provisioner.lab.phone import Phone
from provisioner.lab.sipp import sip_register
from provisioner.lab.waiting import free_port
from provisioner.secret import Secret

NODE: Final = "lab"
_RTP_PORTS: Final = 200


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command of ``provisioner`` did: its exit code and what it printed."""

    code: int
    out: str
    err: str


class Lab:
    """Everything that a user of the product has, on free ports of 127.0.0.1 and in one folder.

    ``asterisk``, ``numbers``, ``database`` and ``node`` are settings laid over the lab's own, such as
    ``asterisk={"contacts": "realtime"}``. With ``keep`` nothing is taken down at the end.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        asterisk: Mapping[str, Any] | None = None,
        numbers: Mapping[str, Any] | None = None,
        database: Mapping[str, Any] | None = None,
        node: Mapping[str, Any] | None = None,
        keep: bool = False,
    ) -> None:
        self.keep = keep
        self.containers = Containers(keep=keep)
        self._temporary = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="provisioner-lab-"))
        self.config = self.home / "provisioner.toml"
        self.conf_dir = self.home / "asterisk"
        self._sections: dict[str, Mapping[str, Any] | None] = {
            "asterisk": asterisk,
            "numbers": numbers,
            "database": database,
            f"nodes.{NODE}": node,
        }
        self.asterisk = Asterisk(self.conf_dir, containers=self.containers)
        self._phones: list[Phone] = []

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.asterisk.start()
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
    def sip(self) -> str:
        """Where the Asterisk takes SIP, as ``host:port``."""
        return f"127.0.0.1:{self.settings['asterisk']['sip_port']}"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings file, as it is now."""
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def prepare(self) -> None:
        """Settings, database and configuration files, by the product's own commands."""
        self.write_settings()
        self.must("db", "upgrade")
        self.must("conf", "render", str(self.conf_dir))

    def write_settings(self) -> None:
        """Choose free ports and write ``provisioner.toml``, unless it is there already."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.config.exists():
            return
        # One block for all of them, so that none falls among the RTP ports.
        first = free_port(_RTP_PORTS + 10)
        rtp = {"rtp_first": first + 10, "rtp_last": first + 9 + _RTP_PORTS}
        own: dict[str, dict[str, Any]] = {
            "asterisk": {
                "sip_port": first,
                "tls_port": first + 2,
                "ws_port": first + 6,
                "wss_port": first + 7,
                **rtp,
            },
            f"nodes.{NODE}": {"port": first + 4, "secret_file": "ami.secret"},
        }
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
        command = [sys.executable, "-m", "provisioner.cli", "--config", str(self.config), *arguments]
        try:
            done = subprocess.run(
                command,
                input=stdin or "",
                capture_output=True,
                encoding="utf-8",
                env={**inherited, "PROVISIONER_HOME": str(self.home), **(environment or {})},
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"provisioner {' '.join(arguments)} took longer than {seconds:g} s") from None
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        """Like :meth:`cli`, for a command that has to work; returns what it printed on stdout."""
        result = self.cli(*arguments, stdin=stdin)
        if result.code:
            raise LabError(
                f"provisioner {' '.join(arguments)} ended with {result.code}: {result.err.strip()}"
            )
        return result.out

    def phone(self, endpoint_id: str, secret: Secret, *, expires: int = 60, answers: bool = False) -> Phone:
        """A phone, switched on, that can register; it ends with the lab."""
        phone = Phone(
            endpoint_id,
            secret,
            self.sip,
            expires=expires,
            answers=answers,
            containers=self.containers,
        )
        self._phones.append(phone)
        return phone.start()

    def sip_register(self, endpoint_id: str, secret: Secret, *, expires: int = 60) -> int:
        """Register once with SIPp; returns the final status, such as 200 or 401."""
        return sip_register(self.sip, endpoint_id, secret, expires=expires, containers=self.containers)

    def close_phones(self) -> None:
        """Switch off every phone of :meth:`phone`."""
        phones, self._phones = self._phones, []
        for phone in phones:
            phone.close()

    def close(self) -> None:
        """End phones, Asterisk and database; a folder that we made goes too."""
        from provisioner.store.embedded import Embedded

        self.close_phones()
        self.asterisk.stop()
        self.containers.close()
        Embedded(self.home).stop()
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)


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
