"""Whatever breaks, every change reaches every node soon after the fault's end, and phones go on."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import psycopg
import pytest

from provisioner.lab import Phone
from provisioner.lab.waiting import wait_for
from provisioner.service import users
from provisioner.store import Embedded
from tests.acceptance.sync.faults import FAULTS
from tests.acceptance.sync.world import NODES, World

pytestmark = pytest.mark.acceptance

LASTS = 2.0
ENDS_WITHIN = 10.0
OF_ONE_NODE = {"node_killed": "pbx1"}
"""Faults during which the phones of a node are not served."""


@pytest.fixture(scope="module")
def world(engine: None) -> Iterator[World]:
    with World() as made:
        yield made


def test_a_change_by_hand_in_psql_is_in_force_on_both_nodes_at_once(world: World) -> None:
    url = Embedded(world.lab.home).ensure_running().set(drivername="postgresql")
    with (
        world.quiet(),
        world.app() as app,
        psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as sql,
    ):
        (id,) = users.show(app, "steady-0").user.endpoint_ids
        fleet = app.fleet(app.nodes(None))

        def in_force(name: str) -> bool:
            held = [read.endpoints[id] for read in fleet.read_back([id]).values()]
            return len(held) == len(NODES) and all(one and name in one.callerid for one in held)

        # The account code is a column that nobody has filled so far.
        sql.execute(
            "UPDATE ps_endpoints SET callerid = 'By Hand <1>', accountcode = 'by-hand' WHERE id = %s", [id]
        )
        began = time.monotonic()
        wait_for("both nodes to hold it", lambda: in_force("By Hand"), 5, every=0.02)
        print(f"in force on both nodes after {time.monotonic() - began:.3f} s")
        for node in world.lab.nodes.values():
            assert re.search(r"accountcode +: by-hand", node.asterisk.rx(f"pjsip show endpoint {id}"))
        sql.execute("UPDATE ps_endpoints SET accountcode = NULL")
    world.lab.must("drift", "--fix", "--yes")


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


def talk(caller: Phone, called: Phone) -> None:
    call = caller.dial(called.endpoint_id)
    assert call.result() == 200
    call.hangup()


def talk_and_register(one: Phone, other: Phone) -> None:
    for caller, called in ((one, other), (other, one)):
        talk(caller, called)
        assert caller.register() == 200


@pytest.mark.parametrize("fault", ["database_stopped", "database_killed"])
@pytest.mark.parametrize("elsewhere", NODES)
def test_known_phones_register_and_call_while_postgresql_is_away(
    world: World, fault: str, elsewhere: str
) -> None:
    """A node knows who registers there or was called from there, also after somebody has reloaded it."""
    anna, ivan = world.phone("anna", "pbx1"), world.phone("ivan", elsewhere)
    if elsewhere != "pbx1":
        talk(anna, ivan)
        talk(ivan, anna)
    talking = anna.dial(ivan.endpoint_id)
    assert talking.result() == 200
    with FAULTS[fault](world):
        talking.hangup()
        talk_and_register(anna, ivan)
        for node in world.lab.nodes.values():
            assert "reloaded successfully" in node.asterisk.rx("module reload res_pjsip.so")
        talk_and_register(anna, ivan)
    world.recovers(ENDS_WITHIN)
    world.lab.close_phones()


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
