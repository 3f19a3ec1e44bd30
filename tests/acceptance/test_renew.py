"""What nodes keep beside their caches follows too: device states, lamps, qualify options, mailboxes."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest

from provisioner.ami import Client, DeviceState, Fleet, paced
from provisioner.lab import Lab
from provisioner.lab.sip import Address, Prober, storm
from provisioner.lab.waiting import wait_for
from provisioner.plan import NodeOrder
from provisioner.settings import load
from tests.acceptance.people import AddUser, MakePhone
from tests.acceptance.truth import query

pytestmark = pytest.mark.acceptance

AOR = frozenset({"aor"})
MODULES = ("app_minivm.so", "res_clioriginate.so")
"""A voicemail to leave messages in, and a way to call it without a phone."""


class Listener(Prober):
    """Phones that remember what they were told of waiting messages."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def _take(self, data: bytes, sender: Address) -> None:
        self.told += re.findall(r"Voice-Message: (\S+)", data.decode() if data.startswith(b"NOTIFY") else "")
        super()._take(data, sender)

    async def hear(self, messages: str, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while messages not in self.told:
                await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reloads are waited for, also on a busy machine."""
    monkeypatch.setattr(paced, "GRACE_SECONDS", 30)


@pytest.fixture
def fleet(lab: Lab) -> Fleet:
    return Fleet(load(lab.config).nodes)


def tell(fleet: Fleet, *orders: NodeOrder) -> tuple[str, ...]:
    """What the node says that it renewed."""
    (node,) = fleet.nodes
    (result,) = fleet.deliver({node.name: orders})
    assert result.error is None
    assert result.details is not None
    return result.details.renewed


def state(fleet: Fleet, number: str) -> DeviceState:
    (status,) = fleet.status([number])
    assert status.error is None
    return status.state(number)


def lamp(fleet: Fleet, number: str) -> str:
    """What the hint of an extension says."""

    async def ask() -> str:
        async with Client(fleet.nodes[0]) as client:
            reply = await client.send("ExtensionState", {"Exten": number, "Context": "users"})
            return str(reply.head["StatusText"])

    return asyncio.run(ask())


def qualified_every(lab: Lab, aor: str) -> int | None:
    """The seconds by which the node really goes, whatever the row says; None: it does not know the AOR."""
    found = re.search(r"Qualify frequency +: (\d+)", lab.asterisk.rx(f"pjsip show qualify aor {aor}"))
    return int(found[1]) if found else None


@pytest.mark.lab(qualify_frequency=0)
def test_a_new_extension_without_qualify_is_not_in_use_from_its_first_registration(
    lab: Lab, fleet: Fleet, add_user: AddUser, phone: MakePhone
) -> None:
    person = add_user()
    wait_for("the node to know it", lambda: qualified_every(lab, person.number) == 0, 10)
    (sentence,) = tell(fleet, NodeOrder(person.number, AOR, renew=frozenset({"state"})))
    assert re.match(rf"reloaded res_pjsip.so in .* s, for extension {person.number} just made", sentence)
    assert lamp(fleet, person.number) == "Unavailable"
    phone(person)
    wait_for("the state", lambda: state(fleet, person.number) is DeviceState.NOT_INUSE, 5)
    wait_for("its lamp", lambda: lamp(fleet, person.number) == "Idle", 5)


def test_a_new_extension_with_qualify_needs_nothing(
    fleet: Fleet, add_user: AddUser, phone: MakePhone
) -> None:
    person = add_user()
    assert tell(fleet, NodeOrder(person.number, AOR, renew=frozenset({"state", "qualify"}))) == ()
    assert tell(fleet, NodeOrder(person.number, AOR, renew=frozenset({"qualify"}))) == ()
    phone(person)
    wait_for("the state", lambda: state(fleet, person.number) is DeviceState.NOT_INUSE, 10)


def test_many_new_aors_are_known_before_their_phones_come(lab: Lab, fleet: Fleet) -> None:
    prefix = f"new-{uuid.uuid4().hex[:6]}"
    aors = [f"{prefix}-{index}" for index in range(6)]
    query(lab, "INSERT INTO ps_aors (id, qualify_frequency) SELECT unnest(%s::text[]), 60 RETURNING id", aors)
    try:
        assert {qualified_every(lab, aor) for aor in aors} == {None}
        (sentence,) = tell(fleet, *[NodeOrder(aor, AOR, renew=frozenset({"state"})) for aor in aors])
        assert "for 6 extensions just made" in sentence
        assert {qualified_every(lab, aor) for aor in aors} == {60}
    finally:
        query(lab, "DELETE FROM ps_aors WHERE id = ANY(%s) RETURNING id", aors)


def test_changed_qualify_options_of_a_registered_phone_are_in_force(
    lab: Lab, fleet: Fleet, add_user: AddUser, phone: MakePhone
) -> None:
    person = add_user()
    phone(person, expires=3600)
    wait_for("its first OPTIONS", lambda: state(fleet, person.number) is DeviceState.NOT_INUSE, 10)
    query(lab, "UPDATE ps_aors SET qualify_frequency = 7 WHERE id = %s RETURNING id", person.number)
    (nothing,) = fleet.deliver({fleet.nodes[0].name: [NodeOrder(person.number, AOR)]})
    assert nothing.error is None
    assert qualified_every(lab, person.number) == 60
    (sentence,) = tell(fleet, NodeOrder(person.number, AOR, renew=frozenset({"qualify"})))
    assert f"for extension {person.number} with changed qualify options" in sentence
    assert qualified_every(lab, person.number) == 7
    assert state(fleet, person.number) is DeviceState.NOT_INUSE


def test_messages_of_a_new_mailbox_reach_a_registered_phone_and_those_of_the_old_one_no_more(
    lab: Lab, fleet: Fleet, add_user: AddUser
) -> None:
    person = add_user()
    told = NodeOrder(person.number, frozenset({"endpoint"}), renew=frozenset({"mwi"}))
    box = f"{person.number}x"
    for module in MODULES:
        lab.asterisk.rx(f"module load {module}")
    say = f"dialplan add extension _X.,1,MinivmMWI,{box}${{EXTEN:0:1}}@x,0,${{EXTEN:1}},0 into {box}"
    lab.asterisk.rx(say)

    def use(mailboxes: str) -> tuple[str, ...]:
        query(
            lab, "UPDATE ps_endpoints SET mailboxes = %s WHERE id = %s RETURNING id", mailboxes, person.number
        )
        return tell(fleet, told)

    def leave(which: int, messages: int) -> None:
        lab.asterisk.rx(f"channel originate Local/{which}{messages}@{box} application NoOp")

    async def main() -> None:
        async with Listener() as phones:
            phone = phones.phone(person.number, person.secret, lab.sip)
            assert (await phone.register(3600)).status == 200
            (sentence,) = await asyncio.to_thread(use, f"{box}1@x")
            assert "reloaded res_pjsip_mwi.so" in sentence
            await asyncio.to_thread(leave, 1, 3)
            await phones.hear("3/0")
            # Of an endpoint with other mailboxes a registration alone is not enough.
            await asyncio.to_thread(use, f"{box}2@x")
            await asyncio.to_thread(leave, 1, 4)
            await asyncio.to_thread(leave, 2, 5)
            await phones.hear("5/0")
            assert phones.told == ["3/0", "5/0"]

    asyncio.run(main())


def test_phones_register_while_the_node_reloads(lab: Lab, fleet: Fleet, add_user: AddUser) -> None:
    person = add_user()
    orders = [NodeOrder(f"new-{index}", AOR, renew=frozenset({"state"})) for index in range(6)]

    async def main() -> None:
        async with Prober() as phones:
            phone = phones.phone(person.number, person.secret, lab.sip)
            done = asyncio.Event()
            registering = asyncio.create_task(storm([phone], 50, 60, expires=600, until=done))
            for _ in range(10):
                (sentence,) = await asyncio.to_thread(tell, fleet, *orders)
                assert sentence.startswith("reloaded res_pjsip.so")
            done.set()
            seen = await registering
            assert set(seen.statuses) == {200}
            assert seen.lost == 0

    asyncio.run(main())
