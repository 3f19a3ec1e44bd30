"""Whatever breaks, every change reaches every node soon after the fault's end, and phones go on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from provisioner.lab.waiting import wait_for
from tests.acceptance.sync.faults import FAULTS
from tests.acceptance.sync.world import NODES, World

pytestmark = pytest.mark.acceptance

LASTS = 3.0
ENDS_WITHIN = 10.0
OF_ONE_NODE = {"node_killed": "pbx1"}
"""Faults during which the phones of a node are not served."""


@pytest.fixture(scope="module")
def world(engine: None) -> Iterator[World]:
    with World() as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_no_change_is_lost_in_a_fault_and_phones_are_served_all_the_while(world: World, fault: str) -> None:
    world.answers()
    with FAULTS[fault](world):
        time.sleep(LASTS)
    print(f"{fault}: every node was told after {world.recovers(ENDS_WITHIN):.1f} s")
    assert world.differences() == []
    served = world.answers().statuses
    for name in NODES:
        assert served[name][200] > 0
        if OF_ONE_NODE.get(fault) != name:
            assert set(served[name]) == {200}, name


def test_a_daemon_that_is_killed_at_thirty_moments_loses_nothing(world: World) -> None:
    chance = random.Random(30)
    for _ in range(30):
        time.sleep(chance.uniform(0.0, 2.0))
        world.daemon.kill()
        world.start_daemon()
    world.recovers(ENDS_WITHIN)
    assert world.differences() == []


def test_the_next_daemon_leads_within_five_seconds(world: World) -> None:
    leader = world.daemon
    standby = world.start_daemon()
    wait_for("another daemon to stand by", lambda: standby.health().get("state") == "standby", 15)
    leader.kill()
    wait_for("the other daemon to lead", standby.leads, 5)


def test_no_log_holds_a_secret(world: World) -> None:
    assert world.leaks() == []
