"""The daemon under a parent that speaks systemd's protocol: start, watchdog, reload, stop."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from provisioner.lab.waiting import free_port
from tests.integration.commands import PATIENCE, Child, Machine

pytestmark = pytest.mark.integration


class Parent:
    """Hears what its child says of itself, as systemd would."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.heard: list[list[str]] = []

    def hear(self, child: Child, state: str) -> list[str]:
        """Listen until a message of the child says this; all that the message says."""
        self._listening.settimeout(0.2)
        deadline = time.monotonic() + PATIENCE
        while child.process.poll() is None and time.monotonic() < deadline:
            with suppress(TimeoutError):
                self.heard.append(self._listening.recv(4096).decode().split("\n"))
                if state in self.heard[-1]:
                    return self.heard[-1]
        child.kill()
        raise AssertionError(f"{state} was not said, but {self.heard}; {child.process.returncode}")

    def all_heard(self) -> set[str]:
        """All that was said up to now."""
        self._listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.heard.append(self._listening.recv(4096).decode().split("\n"))
        return {state for message in self.heard for state in message}


@pytest.fixture
def parent(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """A parent with a watchdog of 2 seconds; what the machine starts is its child."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setitem(machine.environment, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setitem(machine.environment, "WATCHDOG_USEC", "2000000")
        monkeypatch.setitem(machine.environment, "PROVISIONER_SYNC_PORT", str(free_port()))
        yield Parent(listening)


@contextmanager
def daemon(machine: Machine) -> Iterator[Child]:
    child = machine.start("sync")
    try:
        yield child
    finally:
        child.kill()


def test_systemd_hears_when_it_is_ready_alive_reloading_and_stopping(
    machine: Machine, parent: Parent
) -> None:
    with daemon(machine) as child:
        parent.hear(child, "READY=1")
        parent.hear(child, "WATCHDOG=1")
        parent.hear(child, "WATCHDOG=1")

        child.interrupt(signal.SIGHUP)
        assert any(said.startswith("MONOTONIC_USEC=") for said in parent.hear(child, "RELOADING=1"))
        parent.hear(child, "READY=1")
        parent.hear(child, "WATCHDOG=1")

        child.interrupt(signal.SIGTERM)
        parent.hear(child, "STOPPING=1")
        ended = child.end()

    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert all({"time", "level", "event"} <= json.loads(line).keys() for line in ended.err.splitlines())


def test_a_port_in_use_ends_it_with_one_sentence_and_systemd_never_hears_that_it_is_ready(
    machine: Machine, parent: Parent
) -> None:
    port = int(machine.environment["PROVISIONER_SYNC_PORT"])
    with closing(socket.create_server(("127.0.0.1", port))), daemon(machine) as child:
        ended = child.end()

    assert ended.code == 1
    (error,) = ended.errors
    assert f"sync.port: {port} of 127.0.0.1 is in use" in error
    assert "Traceback" not in ended.err
    assert "READY=1" not in parent.all_heard()


def test_the_unit_that_is_printed_names_the_settings_that_are_used_here(machine: Machine) -> None:
    machine.node(5038)
    (started,) = [
        line for line in machine.run("sync", "--unit").out.splitlines() if line.startswith("ExecStart=")
    ]
    assert started.endswith(f" --config {machine.folder / 'provisioner.toml'} sync")
    assert Path(started.removeprefix("ExecStart=").split()[0]).is_absolute()
