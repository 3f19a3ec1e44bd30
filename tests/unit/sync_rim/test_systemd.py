"""sd_notify as systemd hears it, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from provisioner.settings import Supervisor, supervisor
from provisioner.sync.systemd import notify, watchdog_seconds


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a parent that listens, named to us in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_states_reach_the_parent_in_one_message(parent: socket.socket) -> None:
    notify("READY=1", "STATUS=telling 2 nodes")
    assert parent.recv(4096) == b"READY=1\nSTATUS=telling 2 nodes"


def test_an_abstract_name_is_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"provisioner-{uuid.uuid4()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(10)
        notify("WATCHDOG=1")
        assert listening.recv(4096) == b"WATCHDOG=1"


def test_a_reload_says_when_it_began(parent: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notify("RELOADING=1")
    state, _, since = parent.recv(4096).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(since) <= time.monotonic_ns() // 1000


def test_a_status_cannot_smuggle_in_a_state(parent: socket.socket) -> None:
    notify("STATUS=node a\nREADY=1 \udc80")
    assert parent.recv(4096) == b"STATUS=node a READY=1 ?"


@pytest.mark.parametrize(
    "address", [None, "", "nonsense", "/there/is/no/such/socket", "@nobody-listens", "@" * 200]
)
def test_nobody_to_hear_it_is_no_failure(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_a_parent_that_does_not_read_holds_nobody_up(parent: socket.socket) -> None:
    parent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling:
        filling.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(100_000):
                filling.sendto(b"x", parent.getsockname())
    notify("WATCHDOG=1")
    parent.setblocking(False)
    heard = []
    with suppress(BlockingIOError):
        while True:
            heard.append(parent.recv(4096))
    assert set(heard) == {b"x"}


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time_where_it_is_ours(
    environ: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == seconds


def test_without_systemd_nobody_asks_anything() -> None:
    assert supervisor({}) == Supervisor()
