"""docker-compose.yml: one command brings up database and Asterisk, and a user added through it is there."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.acceptance

Compose = Callable[..., str]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; taken together, so that no two are the same."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def listening_addresses(port: int) -> set[str]:
    """Addresses (as the kernel writes them, hexadecimal) at which any process listens on this port."""
    listening = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
    found = set()
    for protocol, state in listening.items():
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            _, local, _, its_state, *_ = line.split()
            address, _, its_port = local.partition(":")
            if its_state == state and int(its_port, 16) == port:
                found.add(address)
    return found


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    sip, ami, database = free_ports(3)
    return {"SIP_PORT": str(sip), "AMI_PORT": str(ami), "DATABASE_PORT": str(database)}


@pytest.fixture(scope="module")
def compose(ports: dict[str, str]) -> Iterator[Compose]:
    """Run `docker compose ARGUMENTS` on a project of our own that is up and healthy."""
    inherited = {name: value for name, value in os.environ.items() if name != "BIND_ADDRESS"}
    environment = {**inherited, **ports, "COMPOSE_PROJECT_NAME": f"provisioner-test-{os.getpid()}"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "scripts/compose"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        try:
            run("up", "--wait")
        except AssertionError as failed:
            raise AssertionError(f"{failed}\n{run('logs')}") from None
        yield run
    finally:
        run("down", "--volumes", "--timeout", "5")


def test_a_user_added_through_compose_is_an_endpoint_on_its_asterisk(compose: Compose) -> None:
    added = compose(
        "run",
        "--rm",
        "provisioner",
        "user",
        "add",
        "anna",
        "--name",
        "Anna Kowalska",
        "--extension",
        "7001",
        "--json",
    )
    assert json.loads(added)

    shown = compose("exec", "asterisk", "asterisk", "-rx", "pjsip show endpoint 7001")

    assert "Endpoint:  7001" in shown
    assert "Anna Kowalska" in shown


@pytest.mark.usefixtures("compose")
def test_everything_of_compose_listens_on_the_loopback_address_only(ports: dict[str, str]) -> None:
    loopback = "0100007F"
    assert [listening_addresses(int(port)) for port in ports.values()] == [{loopback}] * 3


def test_no_secret_of_compose_shows_in_inspect_or_the_process_list(compose: Compose) -> None:
    secrets = compose("exec", "db", "sh", "-c", "cat /secrets/*").split()
    containers = compose("ps", "--all", "--quiet").split()

    shown = subprocess.run(
        ["docker", "inspect", *containers], capture_output=True, text=True, check=True
    ).stdout
    shown += subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout

    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret in shown]
