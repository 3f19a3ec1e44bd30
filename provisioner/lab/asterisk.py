"""A real Asterisk in a container."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from provisioner.errors import LabError
from provisioner.lab.containers import ASTERISK_IMAGE, Container, Containers
from provisioner.lab.waiting import wait_for


class Asterisk:
    """An Asterisk on a folder of configuration files.

    The folder is mounted read-only, and the user asterisk gets a copy of it on every start. Contacts in
    its astdb live until :meth:`stop`, through :meth:`kill` and :meth:`restart`.
    """

    def __init__(
        self,
        conf_dir: Path,
        *,
        containers: Containers | None = None,
        image: str = ASTERISK_IMAGE,
        boot_seconds: float = 30.0,
    ) -> None:
        self._conf_dir = conf_dir.absolute()
        self._containers = containers or Containers()
        self._image = image
        self._boot_seconds = boot_seconds
        self._container: Container | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def container(self) -> Container:
        """The container; raises LabError before :meth:`start`."""
        if self._container is None:
            raise LabError("this Asterisk was not started")
        return self._container

    def start(self) -> None:
        """Start it, or start it again after :meth:`kill`; returns when it is fully booted.

        Raises LabError with the end of its log where it does not come up.
        """
        if self._container is None:
            mounts = {self._conf_dir: ("/conf", "ro")}
            self._container = self._containers.start(self._image, "asterisk", mounts=mounts)
        else:
            self._container.start()
        self.wait_booted()

    def wait_booted(self) -> None:
        """Until it is fully booted: modules loaded, ports open."""
        wait_for("Asterisk to boot", self._has_booted, self._boot_seconds)

    def rx(self, command: str) -> str:
        """What a command of Asterisk's own command line prints, such as ``pjsip show contacts``."""
        return self.container.run("asterisk", "-rx", command)

    def logs(self) -> str:
        """Its console: notices, warnings and errors since the container was made."""
        return self.container.logs()

    def kill(self) -> None:
        """End it as a crash would."""
        self.container.kill()

    def restart(self) -> None:
        """End it and start it anew on the files that are now in the folder."""
        self.container.stop()
        self.start()

    def stop(self) -> None:
        """End it for good, and forget what it knew."""
        if self._container is not None:
            self._containers.end(self._container)
            self._container = None

    def _has_booted(self) -> bool:
        container = self.container
        if not container.is_running():
            raise LabError(f"Asterisk ended while it booted:\n{_tail(container.logs())}")
        try:
            return "fully booted" in self.rx("core waitfullybooted")
        except LabError:
            return False


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-15:])
