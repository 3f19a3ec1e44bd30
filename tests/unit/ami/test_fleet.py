"""The fleet against scripted nodes: what is sent in which order, and what becomes of a node that fails."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from provisioner.ami import Delivery, DeviceState, Fleet, expiry
from provisioner.ami.eviction import FEW_CONTACTS
from provisioner.ami.expiry import FEW, LOOKS, SAMPLE
from provisioner.plan import NodeOrder
from tests.unit.ami.fake import Answer, FakeNode, Headers, Pause, Step, answer, hangs_up, says, silent

ALL = frozenset({"endpoint", "auth", "aor"})


class Astdb:
    """Just enough of a node that keeps contacts in astdb; ``aors`` exist, so a look removes what expired."""

    def __init__(self, contacts: dict[str, int], aors: set[str]) -> None:
        self.contacts = contacts
        self.aors = aors

    def fake(self) -> FakeNode:
        return FakeNode(
            {
                "DBGetTree": self.tree,
                "DBPut": self.put,
                "DBGet": self.get,
                "Getvar": self.look,
                "SorceryMemoryCacheExpireObject": answer("expire_expired"),
            }
        )

    def _frame(self, id: str, *lines: str) -> str:
        return "\r\n".join([lines[0], f"ActionID: {id}", *lines[1:], "", ""])

    def _value(self, key: str) -> str:
        return json.dumps({"uri": "sip:x", "expiration_time": str(self.contacts[key])}, separators=(",", ":"))

    def _list(self, headers: Headers, keys: list[str]) -> Sequence[Step]:
        id = headers["ActionID"]
        start = self._frame(id, "Response: Success", "EventList: start", "Message: Result will follow")
        rows = [
            self._frame(id, "Event: Row", f"Key: /registrar/{key}", f"Val: {self._value(key)}")
            for key in keys
        ]
        return ["".join([start, *rows, self._frame(id, "Event: End", "EventList: Complete")]).encode()]

    def tree(self, headers: Headers) -> Sequence[Step]:
        prefix = headers["Key"].rstrip("%")
        return self._list(headers, [key for key in self.contacts if key.startswith(prefix)])

    def get(self, headers: Headers) -> Sequence[Step]:
        if headers["Key"] in self.contacts:
            return self._list(headers, [headers["Key"]])
        return answer("stored_contact_none")(headers)

    def put(self, headers: Headers) -> Sequence[Step]:
        self.contacts[headers["Key"]] = int(json.loads(headers["Val"])["expiration_time"])
        return answer("put")(headers)

    def look(self, headers: Headers) -> Sequence[Step]:
        aor = headers["Variable"].removeprefix("PJSIP_AOR(").removesuffix(",contact)")
        if aor in self.aors:
            self.contacts = {
                key: expires
                for key, expires in self.contacts.items()
                if expires > 1 or not key.startswith(f"contact/{aor};")
            }
        left = [key.removeprefix("contact/") for key in self.contacts if key.startswith(f"contact/{aor};")]
        value = ",".join(left) if aor in self.aors else ""
        return says("Response: Success", "Variable: x", f"Value: {value}")(headers)


SOON = 2_000_000_000


def slow_ping(headers: Headers) -> Sequence[Step]:
    """So that no chance of this machine makes a cache look large beside it."""
    return [Pause(0.05), *answer("ping")(headers)]


def node_with_caches() -> FakeNode:
    """A node that says of every object that it was cached, and of every cache that it is small."""
    return FakeNode(
        {
            "SorceryMemoryCacheExpireObject": answer("expire_expired"),
            "SorceryMemoryCacheExpire": answer("expire_all"),
            "SorceryMemoryCacheStale": answer("mark_stale"),
            "Ping": slow_ping,
        }
    )


def contacts_of(*keys: str) -> dict[str, int]:
    """Contacts of these keys, each newer than the one before."""
    return {f"contact/{key}": SOON + index for index, key in enumerate(keys)}


def test_exactly_the_objects_named_are_expired_and_twice() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", frozenset({"auth"}))]})
    assert result.ok
    assert result.details == Delivery(orders=1, expired=1)
    sent = [(headers["Cache"], headers["Object"]) for headers in fake.received[1:]]
    assert sent == [("res_pjsip/auth", "7001")] * 2


def test_a_node_without_caches_is_told_once_and_says_so() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", ALL)]})
    assert result.details == Delivery(orders=1, no_cache=ALL)
    assert len(fake.actions()) == 3


MANY = 3 * FEW


def test_of_very_many_objects_of_which_few_are_cached_the_whole_cache_is_expired() -> None:
    orders = [NodeOrder(str(number), frozenset({"auth"})) for number in range(MANY)]
    orders.append(NodeOrder("1", frozenset({"aor"})))
    with node_with_caches().running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": orders})
    sent = Counter((headers["Action"], headers.get("Cache")) for headers in fake.received[1:])
    assert sent["SorceryMemoryCacheExpire", "res_pjsip/auth"] == 2
    assert sent["SorceryMemoryCacheExpireObject", "res_pjsip/auth"] == LOOKS * SAMPLE
    assert sent["SorceryMemoryCacheExpireObject", "res_pjsip/aor"] == 2
    assert result.details == Delivery(MANY, expired=1, whole=frozenset({"auth"}))


def slow_mark(headers: Headers) -> Sequence[Step]:
    return [Pause(0.3), *answer("mark_stale")(headers)]


@pytest.mark.parametrize("stale", ["a full cache", "no such action"])
def test_beside_very_many_cached_objects_all_go_by_name(stale: str) -> None:
    ids = [str(number) for number in range(MANY)]
    orders = [NodeOrder(id, frozenset({"auth"})) for id in ids]
    with node_with_caches().running() as fake:
        if stale == "a full cache":
            fake.answers["SorceryMemoryCacheStale"] = slow_mark
        else:
            del fake.answers["SorceryMemoryCacheStale"]
        (result,) = Fleet((fake.node(action_timeout=20),)).deliver({"pbx1": orders})
    assert "SorceryMemoryCacheExpire" not in fake.actions()
    assert {headers["Object"] for headers in fake.received if "Object" in headers} == set(ids)
    assert result.details == Delivery(MANY, expired=MANY)


def test_what_is_expired_long_after_the_commit_is_expired_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "SETTLED_SECONDS", 0.0)
    with node_with_caches().running() as fake:
        Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", ALL)]})
    assert len(fake.actions()) == 3


def test_where_there_is_no_cache_the_rest_of_very_many_objects_is_left_out() -> None:
    orders = [NodeOrder(str(number), frozenset({"auth"})) for number in range(MANY)]
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": orders})
    assert len(fake.actions()) == LOOKS * SAMPLE
    assert result.details == Delivery(MANY, no_cache=frozenset({"auth"}))


def test_a_whole_cache_that_is_not_there_is_told_once() -> None:
    with FakeNode({"SorceryMemoryCacheExpire": answer("expire_all_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({}, whole={"pbx1"})
    assert len(fake.actions()) == 3
    assert result.details == Delivery(no_cache=ALL)


def test_contacts_of_very_many_are_read_all_at_once_and_only_their_aors_are_looked_at() -> None:
    ids = [str(number) for number in range(7000, 7001 + FEW_CONTACTS)]
    astdb = Astdb(contacts_of(*(f"{id};@a" for id in ids)), set(ids))
    with astdb.fake().running() as fake:
        orders = [NodeOrder(id, frozenset(), 0) for id in (*ids[1:], "8000", "8001")]
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": orders})
    assert result.details == Delivery(len(orders), evicted=FEW_CONTACTS)
    assert sorted(astdb.contacts) == [f"contact/{ids[0]};@a"]
    looked = [headers["Variable"] for headers in fake.received if headers["Action"] == "Getvar"]
    assert len(looked) == FEW_CONTACTS
    with astdb.fake().running() as fake:
        Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder(ids[0], frozenset(), 0)]})
    assert astdb.contacts == {}


def test_all_contacts_of_an_endpoint_are_evicted_and_no_others() -> None:
    astdb = Astdb(contacts_of("7001;@a", "7001;@b", "70010;@a", "7002;@a"), {"7001", "70010", "7002"})
    with astdb.fake().running() as fake:
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder("7001", ALL, 0)]})
    assert result.details is not None
    assert (result.details.evicted, result.details.unswept, result.details.over) == (2, 0, frozenset())
    assert sorted(astdb.contacts) == ["contact/70010;@a", "contact/7002;@a"]


def test_an_id_that_no_message_can_hold_is_left_out_and_holds_up_nothing() -> None:
    orders = [NodeOrder(id, frozenset({"auth"})) for id in ("7001", "7\r\n2", "7" * 1000)]
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": orders})
    assert result.error is None
    assert {headers["Object"] for headers in fake.received if "Object" in headers} == {"7001"}


def test_contacts_are_evicted_also_where_the_clock_of_the_node_is_far_behind_ours() -> None:
    astdb = Astdb({"contact/7001;@a": 3600}, {"7001"})
    with astdb.fake().running() as fake:
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder("7001", ALL, 0)]})
    assert result.details is not None
    assert (result.details.evicted, astdb.contacts) == (1, {})


def test_of_more_contacts_than_may_be_kept_the_newest_stay() -> None:
    astdb = Astdb(contacts_of("7001;@old", "7001;@middle", "7001;@new"), {"7001"})
    with astdb.fake().running() as fake:
        Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder("7001", ALL, 2)]})
    assert sorted(astdb.contacts) == ["contact/7001;@middle", "contact/7001;@new"]


def test_contacts_are_evicted_before_and_after_their_aors_are_expired() -> None:
    astdb = Astdb(contacts_of("7001;@a"), {"7001"})
    with astdb.fake().running() as fake:
        fake.answers["SorceryMemoryCacheExpireObject"] = self_registering(astdb)
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder("7001", ALL, 0)]})
    assert result.details is not None
    # The one there was, one of the first objects expired, and one of the AOR.
    assert result.details.evicted == 3
    assert astdb.contacts == {}


def self_registering(astdb: Astdb) -> Answer:
    def expire(headers: Headers) -> Sequence[Step]:
        astdb.contacts["contact/7001;@again"] = SOON
        return answer("expire_expired")(headers)

    return expire


def test_a_contact_whose_aor_is_gone_is_waited_for_but_not_for_ever() -> None:
    astdb = Astdb(contacts_of("7001;@a"), set())
    with astdb.fake().running() as fake:
        start = time.monotonic()
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": [NodeOrder("7001", ALL, 0)]})
    assert result.ok
    assert result.details is not None
    assert (result.details.evicted, result.details.unswept) == (1, 1)
    assert 1 <= time.monotonic() - start < 3


def test_contacts_in_the_database_are_expired_there_and_again_where_a_phone_came_back() -> None:
    astdb = Astdb(contacts_of("7001;@a", "7001;@b", "7002;@a"), {"7001", "7002"})
    orders = [NodeOrder("7001", ALL, 1), NodeOrder("7002", ALL, 1), NodeOrder("7003", ALL)]
    asked: list[tuple[str, dict[str, int]]] = []

    def expire_contacts(node: str, keep: Mapping[str, int]) -> int:
        asked.append((node, dict(keep)))
        if len(asked) == 2:
            astdb.contacts.pop("contact/7001;@a")
        return 1

    with astdb.fake().running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": orders}, expire_contacts=expire_contacts)
    assert asked == [("pbx1", {"7001": 1, "7002": 1}), ("pbx1", {"7001": 1})]
    assert result.details is not None
    assert (result.details.evicted, result.details.over) == (2, frozenset())
    assert set(fake.actions()) == {"SorceryMemoryCacheExpireObject", "Getvar"}


def test_contacts_that_do_not_go_are_named() -> None:
    astdb = Astdb(contacts_of("7001;@a"), {"7001"})
    with astdb.fake().running() as fake:
        (result,) = Fleet((fake.node(),)).deliver(
            {"pbx1": [NodeOrder("7001", ALL, 0)]}, expire_contacts=lambda node, keep: 0
        )
    assert result.details is not None
    assert result.details.over == {"7001"}


def test_everybody_is_refused_before_contacts_are_looked_for_and_only_their_aors_wait() -> None:
    astdb = Astdb(contacts_of("7001;@a"), {"7001"})
    with astdb.fake().running() as fake:
        orders = [NodeOrder("7001", ALL, 0), NodeOrder("7002", ALL)]
        Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": orders})
    sent = [(headers["Action"], headers.get("Cache"), headers.get("Object")) for headers in fake.received[1:]]
    searched = sent.index(("DBGetTree", None, None))
    expire = "SorceryMemoryCacheExpireObject"
    assert sent[:searched] == [
        (expire, "res_pjsip/auth", "7001"),
        (expire, "res_pjsip/endpoint", "7001"),
        (expire, "res_pjsip/aor", "7002"),
        (expire, "res_pjsip/auth", "7002"),
        (expire, "res_pjsip/endpoint", "7002"),
    ]
    looked = next(place for place, (action, *_) in enumerate(sent) if action == "Getvar")
    assert sent.index((expire, "res_pjsip/aor", "7001")) > looked


def test_whole_caches_are_expired_twice_and_nothing_by_name_but_phones_are_cut_off() -> None:
    astdb = Astdb(contacts_of("7001;@a"), {"7001"})
    with astdb.fake().running() as fake:
        fake.answers["SorceryMemoryCacheExpire"] = answer("expire_all")
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver(
            {"pbx1": [NodeOrder("7001", frozenset(), 0)]}, whole={"pbx1"}
        )
    assert [headers.get("Cache") for headers in fake.received[1:4]] == [
        "res_pjsip/endpoint",
        "res_pjsip/auth",
        "res_pjsip/aor",
    ]
    assert fake.actions().count("SorceryMemoryCacheExpire") == 6
    assert "SorceryMemoryCacheExpireObject" not in fake.actions()
    assert result.details == Delivery(1, whole=ALL, evicted=1)
    assert astdb.contacts == {}


def test_a_node_without_orders_is_not_contacted() -> None:
    fake = FakeNode(port=1)
    (result,) = Fleet((fake.node(),)).deliver({"pbx1": []})
    assert result.ok
    assert result.details == Delivery()


def test_one_node_that_fails_hides_no_other() -> None:
    good = FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")})
    lost = FakeNode({"SorceryMemoryCacheExpireObject": hangs_up})
    mute = FakeNode({"SorceryMemoryCacheExpireObject": silent})
    order = [NodeOrder("7001", ALL)]
    with good.running(), lost.running(), mute.running():
        nodes = (
            lost.node(name="lost"),
            mute.node(name="mute", action_timeout=0.2),
            FakeNode(port=1).node(name="down"),
            good.node(name="good"),
        )
        results = Fleet(nodes).deliver({node.name: order for node in nodes})
    assert [(result.node, result.ok) for result in results] == [
        ("lost", False),
        ("mute", False),
        ("down", False),
        ("good", True),
    ]
    assert all(result.error and result.error.startswith(f"node {result.node}: ") for result in results[:3])


def test_reading_back_gives_each_endpoint_or_none() -> None:
    def show(headers: Headers) -> Sequence[Step]:
        return answer("endpoint" if headers["Endpoint"] == "7001" else "endpoint_none")(headers)

    with FakeNode({"PJSIPShowEndpoint": show}).running() as fake:
        back = Fleet((fake.node(), FakeNode(port=1).node(name="down"))).read_back(["7001", "7999"])
    assert back["pbx1"].ok
    assert back["pbx1"].endpoints["7999"] is None
    state = back["pbx1"].endpoints["7001"]
    assert state is not None
    assert state.max_contacts == 2
    assert back["down"].error is not None


def test_what_a_look_put_into_the_caches_is_forgotten_on_the_nodes_that_are_named() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")}).running() as fake:
        nodes = (fake.node(), FakeNode(port=1).node(name="other"))
        results = Fleet(nodes).forget({"pbx1": ["7001"]})
    assert [(one.node, one.ok) for one in results] == [("pbx1", True), ("other", True)]
    sent = [(headers["Cache"], headers["Object"]) for headers in fake.received[1:]]
    assert sent == [(f"res_pjsip/{type}", "7001") for type in ("endpoint", "auth", "aor")]


def test_status_of_a_few_endpoints_asks_for_each() -> None:
    def show(headers: Headers) -> Sequence[Step]:
        return answer("endpoint" if headers["Endpoint"] == "7001" else "endpoint_none")(headers)

    with FakeNode({"PJSIPShowEndpoint": show}).running() as fake:
        (status,) = Fleet((fake.node(),)).status(["7001", "7999"])
    assert len(status.contacts) == 2
    assert status.state("7001") is DeviceState.NOT_INUSE
    assert status.state("7999") is DeviceState.INVALID


@pytest.mark.parametrize("ids", [None, [str(number) for number in range(6990, 7100)]])
def test_status_of_many_endpoints_reads_two_lists(ids: list[str] | None) -> None:
    lists = {"PJSIPShowContacts": answer("contacts"), "DeviceStateList": answer("device_states")}
    with FakeNode(lists).running() as fake:
        (status,) = Fleet((fake.node(),)).status(ids)
    assert fake.actions() == ["PJSIPShowContacts", "DeviceStateList"]
    assert [contact.aor for contact in status.contacts] == ["7001", "7001", "7002"]
    assert status.state("7001") is DeviceState.NOT_INUSE
    assert status.state("7050") is DeviceState.UNAVAILABLE


def test_a_contact_that_was_taken_away_is_not_shown_while_it_waits_for_the_sweep() -> None:
    def with_one_evicted(headers: Headers) -> Sequence[Step]:
        (text,) = answer("contacts")(headers)
        assert isinstance(text, bytes)
        return [re.sub(rb"ExpirationTime: \d+", b"ExpirationTime: 1", text, count=1)]

    lists = {"PJSIPShowContacts": with_one_evicted, "DeviceStateList": answer("device_states")}
    with FakeNode(lists).running() as fake:
        (status,) = Fleet((fake.node(),)).status()
    assert [contact.aor for contact in status.contacts] == ["7001", "7002"]


def test_status_of_a_node_that_is_down_is_its_error() -> None:
    (status,) = Fleet((FakeNode(port=1).node(),)).status()
    assert not status.ok
    assert status.contacts == ()


@pytest.mark.parametrize(
    ("ids", "answers", "did"),
    [
        (["7001"], ("expire_expired", "expire_all"), "expired 3 of 3 objects from the caches"),
        (
            ["7001"],
            ("expire_not_cached", "expire_all"),
            "expired 0 of 3 objects from the caches; 3 not cached",
        ),
        (None, ("expire_expired", "expire_all"), "expired all cached objects of type endpoint, auth and aor"),
        (
            ["7001"],
            ("expire_no_cache", "expire_all_no_cache"),
            "reloaded res_pjsip.so, because this node has no",
        ),
        (None, ("expire_no_cache", "expire_all_no_cache"), "reloaded res_pjsip.so, because this node has no"),
        ([], ("expire_expired", "expire_all"), "nothing to do"),
        (
            [str(number) for number in range(MANY)],
            ("expire_expired", "expire_all"),
            "expired all cached objects of type endpoint, auth and aor, as so many were named",
        ),
    ],
)
def test_a_reload_says_what_it_did(ids: list[str] | None, answers: tuple[str, str], did: str) -> None:
    one, everything = answers
    node = FakeNode(
        {
            "SorceryMemoryCacheExpireObject": answer(one),
            "SorceryMemoryCacheExpire": answer(everything),
            "SorceryMemoryCacheStale": answer("mark_stale"),
            "Ping": slow_ping,
            "Reload": answer("reload"),
        }
    )
    with node.running() as fake:
        (result,) = Fleet((fake.node(),)).reload(ids)
    assert result.ok
    assert result.did.startswith(did)
    assert ("Reload" in fake.actions()) is did.startswith("reloaded")


def test_a_check_tells_a_missing_class_from_a_missing_action() -> None:
    node = FakeNode(
        {
            "ListCommands": says("Response: Success", "DeviceStateList: x", "ModuleCheck: x"),
            "ModuleCheck": answer("module"),
            "PJSIPShowContacts": answer("denied"),
        }
    )
    with node.running() as fake:
        (check,) = Fleet((fake.node(),)).check(["res_pjsip.so"])
    problems = {right.action: right.problem for right in check.rights}
    assert problems["DeviceStateList"] is None
    assert "add system to its write= line" in (problems["PJSIPShowContacts"] or "")
    assert "Invalid/unknown command" in (problems["SorceryMemoryCacheExpireObject"] or "")
    assert check.modules == {"res_pjsip.so": True}
    assert check.caches == frozenset()
