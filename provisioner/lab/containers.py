"""Containers on the host's network, through testcontainers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from provisioner.errors import LabError
from provisioner.lab.waiting import wait_for

ASTERISK_IMAGE: Final = "provisioner/asterisk:dev"
PHONE_IMAGE: Final = "provisioner/phone:dev"

_OWNER: Final = "provisioner.lab.owner"
# The lab sees for itself; the image's check would start a process in each container every other second, which
# costs more than an idle Asterisk does.
_UNCHECKED: Final = {"test": ["NONE"]}


class Container:
    """One container: commands inside it, its log, its end."""

    def __init__(self, docker_container: Any) -> None:
        self._docker = docker_container
        self.name: str = docker_container.name
        self.id: str = docker_container.id

    def run(self, *command: str) -> str:
        """Run a command inside; returns what it prints. Raises LabError where it fails."""
        try:
            code, output = self._execute(command)
        except Exception as exc:
            raise LabError(f"container {self.name}: {command[0]} cannot be run: {exc}") from exc
        text = output.decode("utf-8", "replace")
        if code:
            raise LabError(f"{command[0]} in {self.name} ended with {code}: {text.strip()}")
        return text

    def _execute(self, command: Sequence[str]) -> tuple[int, bytes]:
        """Its exit code, and what it printed on stdout and stderr.

        Not by docker's exec_run: what comes together with the head of the engine's answer, as it does on a
        busy machine, is lost there (docker-py issue 2042).
        """
        engine = self._docker.client.api
        id = engine.exec_create(self.id, list(command))["Id"]
        start = f"{engine.base_url}/v{engine.api_version}/exec/{id}/start"
        with engine.post(start, json={"Detach": False, "Tty": False}) as answer:
            answer.raise_for_status()
            output = b"".join(_frames(answer.content))
        return int(engine.exec_inspect(id)["ExitCode"]), output

    def logs(self) -> str:
        """Everything it printed since it was made."""
        return str(self._docker_call("logs").decode("utf-8", "replace"))

    def is_running(self) -> bool:
        self._docker_call("reload")
        return bool(self._docker.status == "running")

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself; returns its exit code."""
        wait_for(f"{self.name} to end", lambda: not self.is_running(), seconds)
        return int(self._docker.attrs["State"]["ExitCode"])

    def start(self) -> None:
        """Start it again after it ended or was killed; its files are as it left them."""
        self._docker_call("start")

    def stop(self) -> None:
        """Ask it to end; after 10 s it is killed."""
        self._docker_call("stop", timeout=10)

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        self._docker_call("kill")

    def remove(self) -> None:
        """Kill it and forget its files."""
        try:
            self._docker.remove(force=True, v=True)
        except Exception as exc:
            # 404, 409: somebody else has removed it, or is about to.
            if _http_status(exc) not in (404, 409):
                raise LabError(f"container {self.name} cannot be removed: {exc}") from exc

    def _docker_call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(self._docker, method)(*args, **kwargs)
        except Exception as exc:
            raise LabError(f"container {self.name}: {method} failed: {exc}") from exc


class Containers:
    """Starts containers and ends all of them on :meth:`close`.

    With ``keep`` they outlive us and are nobody's litter; otherwise the next lab removes what a killed
    process left behind.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self._started: list[Container] = []
        self._swept = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that were started and not ended."""
        return tuple(container.name for container in self._started)

    def start(
        self,
        image: str,
        role: str,
        *,
        command: Sequence[str] = (),
        mounts: Mapping[Path, tuple[str, str]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Container:
        """Start ``image`` as ``provisioner-<role>-<random>``.

        ``mounts`` maps a folder here to its path and mode (``ro`` or ``rw``) there. Raises LabError where
        the engine or the image is missing.
        """
        container_class = _testcontainers()
        try:
            self._sweep()
            made = container_class(image).with_name(f"provisioner-{role}-{secrets.token_hex(4)}")
            made.with_kwargs(
                network_mode="host",
                labels={} if self.keep else {_OWNER: _owner()},
                healthcheck=_UNCHECKED,
            )
            if command:
                made.with_command(list(command))
            for folder, (inside, mode) in (mounts or {}).items():
                made.with_volume_mapping(str(folder), inside, mode)
            for name, value in (environment or {}).items():
                made.with_env(name, value)
            made.start()
        except Exception as exc:
            raise LabError(_explain(image, exc)) from exc
        container = Container(made.get_wrapped_container())
        self._started.append(container)
        return container

    def end(self, container: Container) -> None:
        """Kill and remove one container."""
        self._started = [one for one in self._started if one.id != container.id]
        container.remove()

    def close(self) -> None:
        """End every container we started, unless they are kept."""
        started, self._started = self._started, []
        for container in () if self.keep else started:
            container.remove()

    def _sweep(self) -> None:
        """Remove containers of labs whose process is gone: there is no Ryuk to do it."""
        if self._swept:
            return
        self._swept = True
        from testcontainers.core.docker_client import DockerClient

        client = DockerClient().client
        try:
            listed = client.containers.list(all=True, ignore_removed=True, filters={"label": _OWNER})
            for one in listed:
                if not _is_alive(one.labels[_OWNER]):
                    Container(one).remove()
        finally:
            client.close()


def _frames(stream: bytes) -> Iterator[bytes]:
    """Each piece of a multiplexed stream, without its header of 8 bytes, the last four its length.

    The source is "Stream format" of the Docker Engine API, ContainerAttach.
    """
    at = 0
    while at < len(stream):
        start, length = at + 8, int.from_bytes(stream[at + 4 : at + 8])
        at = start + length
        yield stream[start:at]


def _testcontainers() -> Any:
    # Ryuk needs a bridge network and a registry; host networking needs neither.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    try:
        from testcontainers.core.container import DockerContainer
    except ImportError as exc:
        raise LabError("testcontainers is missing; install provisioner[demo]") from exc
    return DockerContainer


def _explain(image: str, exc: Exception) -> str:
    if isinstance(exc, LabError):
        return str(exc)
    if _http_status(exc) == 404:
        return f"there is no image {image}; run make images"
    if isinstance(exc.__cause__, OSError):
        return 'no container engine answers; run: eval "$(scripts/engine)"'
    return f"image {image} cannot be started: {exc}"


def _http_status(exc: Exception) -> int | None:
    """What the engine answered; docker's errors carry it."""
    status = getattr(exc, "status_code", None)
    return status if isinstance(status, int) else None


def _owner() -> str:
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def _is_alive(owner: str) -> bool:
    pid, _, started = owner.partition(":")
    return _start_time(int(pid)) == started


def _start_time(pid: int) -> str | None:
    """When the process started, in ticks since boot (proc(5)): a pid alone may be used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]
