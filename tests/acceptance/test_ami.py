"""What the AMI part relies on, held against a real Asterisk with the AMI account that we render."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import pytest

from provisioner.ami import (
    Client,
    Delivery,
    DeviceState,
    Expired,
    ExpireObject,
    Fleet,
    Maintenance,
    MarkStale,
    Ping,
    Qualify,
    SetMaintenance,
    ShowEndpoint,
)
from provisioner.ami.action import Action
from provisioner.ami.astdb import ExpireContact, LookAtAor, StoredContact, StoredContacts
from provisioner.ami.wire import LONGEST_LINE, Reply
from provisioner.errors import LoginRefused, PermissionMissing
from provisioner.lab import Lab
from provisioner.lab.waiting import wait_for
from provisioner.plan import NodeOrder
from provisioner.realtime import ENDPOINTS
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, load
from tests.acceptance.people import AddUser, MakePhone, Person
from tests.acceptance.truth import query

pytestmark = pytest.mark.acceptance

T = TypeVar("T")
ALL = frozenset({"endpoint", "auth", "aor"})
SWEEP_SECONDS = 3


@pytest.fixture
def node(lab: Lab) -> NodeSettings:
    (found,) = load(lab.config).nodes
    return found


@pytest.fixture
def fleet(node: NodeSettings) -> Fleet:
    return Fleet((node,), sweep_seconds=SWEEP_SECONDS)


@pytest.fixture
def registered(add_user: AddUser, phone: MakePhone, fleet: Fleet) -> Person:
    """A user with one phone that is in reach."""
    person = add_user()
    phone(person, expires=600)
    wait_for("the phone to be in reach", lambda: state(fleet, person.number) is DeviceState.NOT_INUSE, 5)
    return person


@pytest.fixture
def strangers(node: NodeSettings) -> Iterator[list[str]]:
    """Fifty AORs that have a contact in astdb and no row anywhere, as a deleted user has."""
    prefix = f"gone-{uuid.uuid4().hex[:6]}"
    ids = [f"{prefix}-{index}" for index in range(50)]
    run(node, lambda client: put_contacts(client, ids))
    yield ids
    run(node, lambda client: delete_contacts(client, ids))


async def put_contacts(client: Client, ids: list[str]) -> None:
    for id in ids:
        uri = f"sip:{id}@127.0.0.1:9"
        contact = {
            "via_addr": "127.0.0.1",
            "qualify_timeout": "3.000000",
            "qualify_2xx_only": "false",
            "call_id": "none",
            "reg_server": "",
            "prune_on_boot": "no",
            "path": "",
            "endpoint": id,
            "via_port": "9",
            "authenticate_qualify": "no",
            "uri": uri,
            "qualify_frequency": "0",
            "user_agent": "Żółw 📞/1",
            "expiration_time": str(int(time.time()) + 600),
            "outbound_proxy": "",
        }
        key = f"contact/{id};@{hashlib.md5(uri.encode()).hexdigest()}"
        text = json.dumps(contact, separators=(",", ":"), ensure_ascii=False)
        reply = await client.send("DBPut", {"Family": "registrar", "Key": key, "Val": text})
        assert reply.ok


async def delete_contacts(client: Client, ids: list[str]) -> None:
    for contact in await client.call(StoredContacts()):
        if contact.aor in ids:
            await client.send("DBDel", {"Family": "registrar", "Key": contact.key})


def run(node: NodeSettings, work: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Client(node) as client:
            return await work(client)

    return asyncio.run(main())


def state(fleet: Fleet, id: str) -> DeviceState:
    (status,) = fleet.status([id])
    assert status.error is None
    return status.state(id)


def test_the_rendered_account_has_every_right_that_is_used(node: NodeSettings, fleet: Fleet) -> None:
    (check,) = fleet.check(["res_pjsip.so", "res_none.so"])
    assert check.error is None
    assert check.missing_rights == ()
    assert check.caches == ALL
    assert check.version.startswith("22.")
    assert check.modules == {"res_pjsip.so": True, "res_none.so": False}


@pytest.mark.parametrize("name", ["Command", "Originate", "UpdateConfig", "QueueAdd", "Redirect"])
def test_the_rendered_account_may_not(name: str, node: NodeSettings) -> None:
    reply = run(node, lambda client: client.send(name, {}))
    assert reply.message.startswith(("Permission denied", "Invalid/unknown command"))


def test_a_wrong_secret_is_refused_by_name(node: NodeSettings) -> None:
    wrong = node.model_copy(update={"secret": Secret("not-this-one"), "secret_file": None})
    with pytest.raises(LoginRefused, match=f"node {node.name}: refused the AMI user"):
        run(wrong, lambda client: client.call(Ping()))


def test_an_object_that_is_not_cached_differs_from_a_cache_that_is_not_there(node: NodeSettings) -> None:
    assert run(node, lambda client: client.call(ExpireObject("auth", "nobody"))) is Expired.NOT_CACHED
    assert run(node, lambda client: client.call(ExpireObject("contact", "nobody"))) is Expired.NO_CACHE


def test_an_endpoint_is_read_back_as_it_was_written(
    fleet: Fleet, node: NodeSettings, registered: Person
) -> None:
    endpoint = fleet.read_back([registered.number])[node.name].endpoints[registered.number]
    assert endpoint is not None
    assert endpoint.auths == endpoint.named_auths == (registered.number,)
    assert endpoint.aors == (registered.number,)
    assert endpoint.max_contacts == 1
    assert endpoint.device_state is DeviceState.NOT_INUSE
    (contact,) = endpoint.contacts
    assert contact.status == "Reachable"
    assert contact.roundtrip_us is not None
    assert run(node, lambda client: client.call(Qualify(registered.number)))


def test_both_ways_to_status_show_the_same_contact(fleet: Fleet, registered: Person) -> None:
    (few,) = fleet.status([registered.number])
    (everything,) = fleet.status()
    assert few.contacts == tuple(each for each in everything.contacts if each.aor == registered.number)
    assert few.state(registered.number) is everything.state(registered.number) is DeviceState.NOT_INUSE


def test_an_evicted_contact_is_gone_with_its_device_state_long_before_the_sweep(
    fleet: Fleet, node: NodeSettings, registered: Person
) -> None:
    start = time.monotonic()
    (result,) = fleet.deliver({node.name: [NodeOrder(registered.number, ALL, 0)]})
    taken = time.monotonic() - start
    assert result.error is None
    assert result.details is not None
    assert (result.details.evicted, result.details.unswept) == (1, 0)
    (status,) = fleet.status([registered.number])
    assert status.contacts == ()
    wait_for("the state to follow", lambda: not state(fleet, registered.number).usable, 1)
    assert taken < SWEEP_SECONDS / 2


def test_an_expired_contact_is_not_shown_before_anything_removes_it(
    node: NodeSettings, strangers: list[str]
) -> None:
    async def work(client: Client) -> tuple[StoredContact, ...]:
        (contact,) = await client.call(StoredContacts(strangers[0]))
        await client.call(ExpireContact(contact))
        return await client.call(StoredContacts(strangers[0]))

    before = Fleet((node,)).status()[0].contacts
    left = run(node, work)
    after = Fleet((node,)).status()[0].contacts
    assert [each.expires_at for each in left] in ([1], [])
    assert strangers[0] in {contact.aor for contact in before}
    assert strangers[0] not in {contact.aor for contact in after}
    assert strangers[1] in {contact.aor for contact in after}


def test_contacts_of_endpoints_that_are_gone_are_waited_for_until_the_sweep(
    fleet: Fleet, node: NodeSettings, strangers: list[str]
) -> None:
    orders = [NodeOrder(id, ALL, 0) for id in strangers]
    (result,) = fleet.deliver({node.name: orders})
    assert result.error is None
    assert result.details is not None
    assert (result.details.evicted, result.details.unswept, result.details.over) == (50, 0, frozenset())
    left = run(node, lambda client: client.call(StoredContacts()))
    assert not {contact.aor for contact in left} & set(strangers)


def test_contacts_of_one_aor_are_found_without_those_of_its_namesakes(
    node: NodeSettings, strangers: list[str]
) -> None:
    found = run(node, lambda client: client.call(StoredContacts(strangers[1])))
    assert [contact.aor for contact in found] == [strangers[1]]
    assert run(node, lambda client: client.call(LookAtAor(strangers[1]))) == ()


def test_five_hundred_orders_take_less_than_five_seconds(fleet: Fleet, node: NodeSettings) -> None:
    orders = [NodeOrder(f"nobody-{index}", ALL, 0) for index in range(500)]
    start = time.monotonic()
    (result,) = fleet.deliver({node.name: orders})
    assert result.error is None
    assert result.details is not None
    assert result.details.not_cached == 1500
    assert time.monotonic() - start < 5


def test_of_very_many_orders_for_few_cached_objects_whole_caches_go_and_are_read_again(
    lab: Lab, fleet: Fleet, node: NodeSettings, add_user: AddUser
) -> None:
    number = add_user().number
    before = fleet.read_back([number])[node.name].endpoints[number]
    query(lab, "UPDATE ps_endpoints SET language = 'pl' WHERE id = %s RETURNING id", number)
    cached = fleet.read_back([number])[node.name].endpoints[number]
    start = time.monotonic()
    (result,) = fleet.deliver({node.name: [NodeOrder(f"nobody-{index}", ALL) for index in range(30_000)]})
    taken = time.monotonic() - start
    after = fleet.read_back([number])[node.name].endpoints[number]
    assert before is not None
    assert cached is not None
    assert after is not None
    assert [one.held[ENDPOINTS]["language"] for one in (before, cached, after)] == ["en", "en", "pl"]
    assert result.details == Delivery(orders=30_000, whole=ALL)
    assert taken < 10


def test_marking_all_objects_as_stale_leaves_them_in_force(
    lab: Lab, fleet: Fleet, node: NodeSettings, add_user: AddUser
) -> None:
    number = add_user().number
    fleet.read_back([number])
    query(lab, "UPDATE ps_endpoints SET language = 'pl' WHERE id = %s RETURNING id", number)
    assert run(node, lambda client: client.call(MarkStale("endpoint")))
    held = fleet.read_back([number])[node.name].endpoints[number]
    assert held is not None
    assert held.held[ENDPOINTS]["language"] == "en"
    assert not run(node, lambda client: client.call(MarkStale("contact")))


def test_the_longest_line_that_we_send_is_read_whole(node: NodeSettings) -> None:
    value = "x" * (LONGEST_LINE - len("Val: "))
    entry = {"Family": "provisioner-test", "Key": "longest"}

    async def work(client: Client) -> str:
        assert (await client.send("DBPut", {**entry, "Val": value})).ok
        reply = await client.send("DBGet", entry)
        await client.send("DBDel", entry)
        return str(reply.events[0]["Val"])

    assert run(node, work) == value


def test_maintenance_knows_only_endpoints_that_exist(node: NodeSettings, add_user: AddUser) -> None:
    number = add_user().number
    actions = [SetMaintenance(number, True), SetMaintenance(number, False), SetMaintenance("nobody", True)]
    answers = run(node, lambda client: client.call_all(actions, window=1))
    assert answers == [Maintenance.SET, Maintenance.SET, Maintenance.NO_ENDPOINT]


def test_a_reload_expires_what_was_named_and_says_so(fleet: Fleet, registered: Person) -> None:
    (named,) = fleet.reload([registered.number])
    assert named.did.startswith("expired 3 of 3 objects")
    (everything,) = fleet.reload()
    assert everything.did == "expired all cached objects of type endpoint, auth and aor"


@pytest.mark.lab(caches=False)
def test_a_node_without_caches_is_reloaded_and_says_why(fleet: Fleet) -> None:
    (check,) = fleet.check()
    assert check.caches == frozenset()
    (result,) = fleet.reload(["7001"])
    assert result.error is None
    assert result.did.startswith("reloaded res_pjsip.so, because this node has no caches")


def test_an_unknown_module_and_an_unknown_endpoint_are_told_apart_from_success(node: NodeSettings) -> None:
    assert run(node, lambda client: client.call(ShowEndpoint("nobody"))) is None
    assert not run(node, lambda client: client.call(Qualify("nobody")))


class Uptime(Action[None]):
    """One of the class that our account lacks."""

    name = "Command"
    ami_class = "command"

    def headers(self) -> Mapping[str, str]:
        return {"Command": "core show uptime"}

    def parse(self, reply: Reply) -> None:
        raise AssertionError(f"the account may do everything: {reply}")


def test_an_action_without_right_names_the_class_it_needs(node: NodeSettings) -> None:
    with pytest.raises(PermissionMissing, match="add command to its write= line"):
        run(node, lambda client: client.call(Uptime()))


def test_a_node_that_is_killed_is_an_error_and_is_reached_again_when_it_is_back(
    lab: Lab, fleet: Fleet
) -> None:
    lab.asterisk.kill()
    try:
        (down,) = fleet.status()
        (told,) = fleet.deliver({down.node: [NodeOrder("7001", ALL)]})
    finally:
        lab.asterisk.start()
    assert down.error is not None
    assert down.error.startswith(f"node {down.node}: no AMI on 127.0.0.1:")
    assert told.error is not None
    (up,) = fleet.status()
    assert up.error is None
