"""The fleet and the contacts that it takes away, against scripted nodes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from provisioner.ami import Delivery, Fleet
from provisioner.ami.eviction import FEW_CONTACTS
from provisioner.plan import NodeOrder
from tests.unit.ami.fake import Answer, FakeNode, Headers, Step, answer, says

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


def contacts_of(*keys: str) -> dict[str, int]:
    """Contacts of these keys, each newer than the one before."""
    return {f"contact/{key}": SOON + index for index, key in enumerate(keys)}


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
