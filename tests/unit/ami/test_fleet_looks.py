"""What the fleet reads from nodes: endpoints, contacts, device states, rights; scripted nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from provisioner.ami import DeviceState, Fleet
from tests.unit.ami.fake import FakeNode, Headers, Step, answer, says


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
