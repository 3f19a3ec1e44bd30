"""What the recorded answers of a real Asterisk mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from provisioner.ami.action import Action, Refused
from provisioner.ami.actions import (
    AllowedActions,
    CoreStatus,
    CoreVersion,
    ExpireCache,
    Expired,
    ExpireObject,
    Maintenance,
    MarkStale,
    ModuleLoaded,
    Ping,
    Qualify,
    ReloadModule,
    SetMaintenance,
    StartTimes,
)
from provisioner.ami.astdb import (
    ContactInStore,
    ExpireContact,
    LookAtAor,
    StoredContact,
    StoredContacts,
    expired_value,
)
from provisioner.ami.registrations import Contacts, DeviceState, DeviceStates, ShowEndpoint
from provisioner.ami.wire import LONGEST_LINE, FrameSplitter, Reply
from tests.unit.ami.fake import BANNER, recorded


def reply(name: str) -> Reply:
    head, *events = FrameSplitter().feed(BANNER + recorded(name))
    return Reply(head, events[:-1])


@pytest.mark.parametrize(
    ("action", "name", "meaning"),
    [
        (ExpireObject("endpoint", "7001"), "expire_expired", Expired.EXPIRED),
        (ExpireObject("endpoint", "7001"), "expire_not_cached", Expired.NOT_CACHED),
        (ExpireObject("endpoint", "7001"), "expire_no_cache", Expired.NO_CACHE),
        (ExpireObject("endpoint", "7001"), "unknown_action", Expired.NO_CACHE),
        (ExpireCache("endpoint"), "expire_all", Expired.EXPIRED),
        (ExpireCache("endpoint"), "expire_all_no_cache", Expired.NO_CACHE),
        (MarkStale("endpoint"), "mark_stale", True),
        (MarkStale("endpoint"), "expire_all_no_cache", False),
        (MarkStale("endpoint"), "unknown_action", False),
        (SetMaintenance("7001", on=True), "maintenance_set", Maintenance.SET),
        (SetMaintenance("7001", on=True), "maintenance_no_endpoint", Maintenance.NO_ENDPOINT),
        (SetMaintenance("7001", on=True), "unknown_action", Maintenance.UNSUPPORTED),
        (Qualify("7001"), "qualify", True),
        (Qualify("7999"), "qualify_none", False),
        (ReloadModule(), "reload", None),
        (ModuleLoaded("res_pjsip.so"), "module", True),
        (ModuleLoaded("res_none.so"), "module_none", False),
        (Ping(), "ping", None),
        (Contacts(), "contacts_none", ()),
        (ShowEndpoint("7999"), "endpoint_none", None),
        (StoredContacts("7999"), "stored_contacts_none", ()),
        (ContactInStore("contact/none"), "stored_contact_none", None),
        (LookAtAor("7999"), "look_none", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_answer_means(action: Action[Any], name: str, meaning: object) -> None:
    assert action.parse(reply(name)) == meaning


@pytest.mark.parametrize(
    ("action", "name", "why"),
    [
        (ReloadModule("res_none.so"), "reload_none", "No such module"),
        (Contacts(), "unknown_action", "Invalid/unknown command"),
        (ShowEndpoint("7001"), "unknown_action", "Invalid/unknown command"),
        (ExpireObject("endpoint", "7001"), "reload_none", "No such module"),
        (SetMaintenance("7001", on=True), "reload_none", "No such module"),
    ],
)
def test_an_unexpected_error_is_refused_with_the_words_of_the_node(
    action: Action[Any], name: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        action.parse(reply(name))


def test_versions_and_times_are_read() -> None:
    assert CoreVersion().parse(reply("core_settings")).startswith("22.10.1")
    times = CoreStatus().parse(reply("core_status"))
    assert isinstance(times, StartTimes)
    assert len(times.started) == len("2026-11-22 05:37:39")


def test_contacts_have_uri_user_agent_status_and_round_trip() -> None:
    contacts = [Contacts().event_reader()(frame) for frame in reply("contacts").events]
    assert [contact.aor for contact in contacts] == ["7001", "7001", "7002"]
    (phone,) = [contact for contact in contacts if contact.user_agent == "Żółw 📞/1"]
    assert phone.status == "Reachable"
    assert phone.uri.startswith("sip:7001@127.0.0.1:")
    assert phone.id.startswith("7001;@")
    assert phone.roundtrip_us is not None
    assert phone.roundtrip_us > 0
    assert phone.expires_at is not None
    assert phone.expires_at > 1_700_000_000
    (mute,) = [contact for contact in contacts if contact.status == "Unreachable"]
    assert mute.roundtrip_us is None


def test_device_states_are_of_pjsip_endpoints_by_id() -> None:
    states = DeviceStates().parse(reply("device_states"))
    assert states["7001"] is DeviceState.NOT_INUSE
    assert states["7401"] is DeviceState.UNAVAILABLE
    assert not any("/" in id for id in states)


@pytest.mark.parametrize(
    ("text", "state", "usable"),
    [
        ("NOT_INUSE", DeviceState.NOT_INUSE, True),
        ("Not in use", DeviceState.NOT_INUSE, True),
        ("In use", DeviceState.INUSE, True),
        ("RINGINUSE", DeviceState.RINGINUSE, True),
        ("Ring+In use", DeviceState.RINGINUSE, True),
        ("On Hold", DeviceState.ONHOLD, True),
        ("Unavailable", DeviceState.UNAVAILABLE, False),
        ("INVALID", DeviceState.INVALID, False),
        ("something new", DeviceState.UNKNOWN, False),
    ],
)
def test_both_spellings_of_a_device_state_are_one(text: str, state: DeviceState, usable: bool) -> None:
    assert DeviceState.read(text) is state
    assert state.usable is usable


def test_an_endpoint_shows_what_was_written_and_none_of_its_secrets() -> None:
    endpoint = ShowEndpoint("7001").parse(reply("endpoint"))
    assert endpoint is not None
    assert endpoint.id == "7001"
    assert endpoint.device_state is DeviceState.NOT_INUSE
    assert endpoint.context == "default"
    assert endpoint.callerid == '"Zażółć Gęślą" <7001>'
    assert endpoint.codecs == ("ulaw", "alaw")
    assert (endpoint.named_auths, endpoint.auths) == (("7001",), ("7001",))
    assert (endpoint.named_aors, endpoint.aors) == (("7001",), ("7001",))
    assert (endpoint.max_contacts, endpoint.remove_existing, endpoint.qualify_frequency) == (2, True, 60)
    assert sorted(contact.status for contact in endpoint.contacts) == ["Reachable", "Unreachable"]
    assert b"s3cret" in recorded("endpoint")
    assert "s3cret" not in repr(asdict(endpoint))


def test_allowed_actions_are_the_names_in_the_list_of_commands() -> None:
    allowed = AllowedActions().parse(reply("list_commands"))
    assert {"DeviceStateList", "Ping"} <= allowed
    assert "SorceryMemoryCacheExpireObject" not in allowed
    assert "Response" not in allowed


def test_contacts_in_astdb_are_read_with_key_and_expiration() -> None:
    contacts = StoredContacts().parse(reply("stored_contacts"))
    assert [contact.aor for contact in contacts] == ["7001", "7001", "7002"]
    assert all(contact.key.startswith(f"contact/{contact.aor};@") for contact in contacts)
    assert all(contact.expires_at > 1_700_000_000 for contact in contacts)
    assert [contact.aor for contact in StoredContacts("7001").parse(reply("stored_contacts"))] == ["7001"] * 2


def test_an_entry_that_is_no_contact_is_left_alone() -> None:
    head = {"Response": "Success", "EventList": "start"}
    entries = [
        {"Key": "/registrar/contact/7001;@a", "Val": "no json"},
        {"Key": "/registrar/contact/7001;@b", "Val": '{"expiration_time":1}'},
        {"Key": "/elsewhere/7001", "Val": '{"expiration_time":"5"}'},
        {"Key": "/registrar/contact/7001;@c", "Val": '{"expiration_time":"5"}'},
    ]
    assert StoredContacts().parse(Reply(head, entries)) == (
        StoredContact("7001", "contact/7001;@c", '{"expiration_time":"5"}', 5),
    )


def test_an_expired_contact_keeps_its_json_but_for_the_time_which_stays_a_string() -> None:
    stored = ContactInStore("contact/7001;@x").parse(reply("stored_contact"))
    assert stored is not None
    before, after = json.loads(stored.value), json.loads(expired_value(stored.value))
    assert after == {**before, "expiration_time": "1"}
    assert ExpireContact(stored).headers()["Val"] == expired_value(stored.value)


def test_a_contact_too_long_for_a_line_loses_what_only_describes_the_phone() -> None:
    fields = {
        "uri": "sip:7001@host",
        "endpoint": "7001",
        "expiration_time": "1800000000",
        "user_agent": "ż" * 900,
    }
    short = expired_value(json.dumps(fields))
    assert len(f"Val: {short}".encode()) <= LONGEST_LINE
    assert json.loads(short) == {**fields, "expiration_time": "1", "user_agent": ""}


@pytest.mark.parametrize("id", ["7001)", "a,b", "${X}", "a b", ""])
def test_an_id_that_could_end_a_dialplan_function_is_refused(id: str) -> None:
    with pytest.raises(Refused):
        LookAtAor(id).headers()
