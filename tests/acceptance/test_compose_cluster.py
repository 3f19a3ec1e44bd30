"""docker-compose.cluster.yml: a second Asterisk on the same database, told by commands and by the daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from provisioner.lab import sip_register
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from tests.acceptance.test_compose import (
    PATIENCE,
    Compose,
    free_ports,
    listening_addresses,
    project,
    rename_by_hand,
)

pytestmark = pytest.mark.acceptance

FILES = ("-f", "docker-compose.yml", "-f", "docker-compose.cluster.yml")
SIP = ("SIP_PORT", "SECOND_SIP_PORT")
NODES = ("asterisk", "asterisk2")


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    names = (*SIP, "AMI_PORT", "SECOND_AMI_PORT", "DATABASE_PORT", "SYNC_PORT")
    return dict(zip(names, map(str, free_ports(len(names))), strict=True))


@pytest.fixture(scope="module")
def cluster(engine: None, ports: dict[str, str]) -> Iterator[Compose]:
    with project(ports, *FILES) as run:
        yield run


def test_one_user_is_on_both_asterisks_and_what_psql_changes_too(
    cluster: Compose, ports: dict[str, str]
) -> None:
    words = ["user", "add", "anna", "--name", "Anna", "--extension", "7001", "--lines", "2", "--json"]
    secret = Secret(json.loads(cluster("run", "--rm", "provisioner", *words))["secrets"][0]["secret"])

    answers = [sip_register(f"127.0.0.1:{ports[name]}", "7001", secret) for name in SIP]
    assert answers == [200, 200]
    shown = json.loads(cluster("run", "--rm", "provisioner", "status", "7001", "--json"))
    assert sorted((line["node"], len(line["contacts"])) for line in shown["extensions"]) == [
        (node, 1) for node in NODES
    ]

    rename_by_hand(cluster, "7001", "Changed by hand")

    def changed() -> bool:
        shown = [cluster("exec", node, "asterisk", "-rx", "pjsip show endpoint 7001") for node in NODES]
        return all("Changed by hand" in one for one in shown)

    wait_for("the change on both", changed, PATIENCE)


@pytest.mark.usefixtures("cluster")
def test_everything_of_the_cluster_listens_on_the_loopback_address_only(ports: dict[str, str]) -> None:
    loopback = "0100007F"
    assert [listening_addresses(int(port)) for port in ports.values()] == [{loopback}] * len(ports)
