"""docker-compose.yml: one command brings up all its parts, and what is changed through it is in force."""

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from provisioner.lab.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.acceptance

PATIENCE = 60.0

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
    names = ("SIP_PORT", "AMI_PORT", "DATABASE_PORT", "SYNC_PORT")
    return dict(zip(names, map(str, free_ports(len(names))), strict=True))


@contextmanager
def project(ports: dict[str, str], *files: str) -> Iterator[Compose]:
    """Run `docker compose FILES ARGUMENTS` on a project of our own that is up and healthy."""
    inherited = {name: value for name, value in os.environ.items() if name != "BIND_ADDRESS"}
    environment = {**inherited, **ports, "COMPOSE_PROJECT_NAME": f"provisioner-test-{os.getpid()}"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "scripts/compose"), *files, *arguments],
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


@pytest.fixture(scope="module")
def compose(ports: dict[str, str]) -> Iterator[Compose]:
    """The project of docker-compose.yml alone."""
    with project(ports) as run:
        yield run


def add(compose: Compose, login: str, name: str, number: str) -> None:
    words = ["user", "add", login, "--name", name, "--extension", number, "--json"]
    assert json.loads(compose("run", "--rm", "provisioner", *words))


def endpoint(compose: Compose, number: str) -> str:
    """What the Asterisk has of this endpoint; it caches it."""
    return compose("exec", "asterisk", "asterisk", "-rx", f"pjsip show endpoint {number}")


def rename_by_hand(compose: Compose, number: str, name: str) -> None:
    """Change the row as a DBA would."""
    sql = f"UPDATE ps_endpoints SET callerid = '\"{name}\" <{number}>' WHERE id = '{number}'"
    psql = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "psql", "provisioner"]
    assert compose("exec", "db", *psql, "-c", sql).strip() == "UPDATE 1"


def get(ports: dict[str, str], path: str) -> tuple[int, str]:
    """A page of the daemon."""
    connection = http.client.HTTPConnection("127.0.0.1", int(ports["SYNC_PORT"]), timeout=PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_user_added_through_compose_is_an_endpoint_on_its_asterisk(compose: Compose) -> None:
    add(compose, "anna", "Anna Kowalska", "7001")

    shown = endpoint(compose, "7001")

    assert "Endpoint:  7001" in shown
    assert "Anna Kowalska" in shown


def test_a_row_changed_with_psql_is_in_force_on_the_asterisk_by_itself(compose: Compose) -> None:
    add(compose, "piotr", "Piotr Nowak", "7002")
    assert "Piotr Nowak" in endpoint(compose, "7002")

    rename_by_hand(compose, "7002", "Changed by hand")

    wait_for("the change", lambda: "Changed by hand" in endpoint(compose, "7002"), PATIENCE)


@pytest.mark.usefixtures("compose")
def test_the_daemon_of_compose_says_how_it_is_and_how_its_node_is(ports: dict[str, str]) -> None:
    status, health = get(ports, "/health")
    assert (status, json.loads(health)["ok"]) == (200, True)

    def told() -> bool:
        return 'provisioner_sync_lag_seconds{node="asterisk"} 0.0' in get(ports, "/metrics")[1]

    wait_for("the node to know all", told, PATIENCE)
    assert 'provisioner_sync_node_up{node="asterisk"} 1.0' in get(ports, "/metrics")[1]


def test_the_daemon_of_compose_ends_well_when_it_is_stopped_and_tells_later_what_it_missed(
    compose: Compose,
) -> None:
    add(compose, "ewa", "Ewa Lis", "7003")
    assert "Ewa Lis" in endpoint(compose, "7003")

    def state() -> dict[str, object]:
        (container,) = compose("ps", "--all", "--quiet", "sync").split()
        said = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        return json.loads(said.stdout)[0]["State"]  # type: ignore[no-any-return]

    compose("stop", "sync")
    try:
        ended = state()
        assert (ended["Status"], ended["ExitCode"], ended["OOMKilled"]) == ("exited", 0, False)
        rename_by_hand(compose, "7003", "Missed")
        assert "Ewa Lis" in endpoint(compose, "7003")
    finally:
        compose("start", "sync")
    wait_for("what it missed", lambda: "Missed" in endpoint(compose, "7003"), PATIENCE)


@pytest.mark.usefixtures("compose")
def test_everything_of_compose_listens_on_the_loopback_address_only(ports: dict[str, str]) -> None:
    loopback = "0100007F"
    assert [listening_addresses(int(port)) for port in ports.values()] == [{loopback}] * len(ports)


def test_no_secret_of_compose_shows_in_inspect_the_process_list_or_a_log(compose: Compose) -> None:
    secrets = compose("exec", "db", "sh", "-c", "cat /secrets/*").split()
    containers = compose("ps", "--all", "--quiet").split()

    shown = subprocess.run(
        ["docker", "inspect", *containers], capture_output=True, text=True, check=True
    ).stdout
    shown += subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout
    shown += compose("logs", "--no-color")

    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret in shown]
