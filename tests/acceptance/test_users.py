"""What a change of a user does to real phones on a real Asterisk, by the time the command returns."""

from __future__ import annotations

import json

import pytest

from provisioner.lab import Lab
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from tests.acceptance.people import AddUser, MakePhone, Person

pytestmark = pytest.mark.acceptance

# Everything that can be set otherwise and bears on registrations, set otherwise.
OTHERWISE = {"contacts": "realtime", "full_aor": "refuse", "driver": "odbc"}
on_both = pytest.mark.parametrize(
    "settings", ["defaults", pytest.param("otherwise", marks=pytest.mark.lab(**OTHERWISE))]
)


def rotate(lab: Lab, person: Person) -> Secret:
    made = json.loads(lab.must("user", "secret", person.login, "--json"))
    return Secret(made["secrets"][0]["secret"])


def contacts(lab: Lab, number: str, status: str = "") -> list[str]:
    found = json.loads(lab.must("status", number, "--json"))
    held = [contact for line in found["extensions"] for contact in line["contacts"]]
    return [contact["uri"] for contact in held if status in ("", contact["status"])]


def in_reach(lab: Lab, number: str, devices: int = 1) -> None:
    """Until the phones answered OPTIONS: Asterisk rings none that it cannot reach."""
    wait_for(f"{number} to be in reach", lambda: len(contacts(lab, number, "Reachable")) == devices, 5)


def shown(lab: Lab, number: str) -> str:
    return lab.asterisk.rx(f"pjsip show endpoint {number}")


@on_both
def test_two_lines_take_two_phones_and_are_in_service_within_three_seconds(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str
) -> None:
    user = add_user(lines=2)
    options = [line.split() for line in lab.asterisk.rx(f"pjsip show aor {user.number}").splitlines()]
    assert ["max_contacts", ":", "2"] in options
    phone(user)
    wait_for("the endpoint to be in service", lambda: "Not in use" in shown(lab, user.number), 3)
    phone(user)
    assert len(contacts(lab, user.number)) == 2


def test_a_third_phone_replaces_the_oldest(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    user = add_user(lines=2)
    phone(user, expires=600)
    oldest = contacts(lab, user.number)
    phone(user, expires=1200)
    phone(user, expires=1800)
    left = contacts(lab, user.number)
    assert len(left) == 2
    assert oldest[0] not in left


@pytest.mark.lab(**OTHERWISE)
def test_a_third_phone_is_refused_with_403(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    user = add_user(lines=2)
    phone(user)
    phone(user)
    in_reach(lab, user.number, 2)
    before = contacts(lab, user.number)
    assert phone(user, register=False).register() == 403
    assert contacts(lab, user.number) == before


@on_both
def test_a_third_incoming_call_gets_busy_while_an_outgoing_one_goes_through(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str
) -> None:
    wanted, other = add_user(lines=2), add_user()
    its_phone = phone(wanted, answers=True)
    phone(other, answers=True)
    callers = [phone(add_user()) for _ in range(3)]
    in_reach(lab, wanted.number)
    in_reach(lab, other.number)
    calls = [caller.dial(wanted.number) for caller in callers[:2]]
    assert [call.result() for call in calls] == [200, 200]
    assert callers[2].dial(wanted.number).result() == 486
    assert its_phone.dial(other.number).result() == 200
    calls[0].hangup()
    wait_for("a line to be free", lambda: callers[2].dial(wanted.number).result() == 200, 3)


@on_both
def test_a_new_secret_refuses_the_old_one_and_cuts_its_phone_off(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str
) -> None:
    user, caller = add_user(), phone(add_user())
    old_phone = phone(user, answers=True)
    in_reach(lab, user.number)
    call = caller.dial(user.number)
    assert call.result() == 200
    call.hangup()
    renewed = rotate(lab, user)
    assert lab.sip_register(user.number, user.secret) == 401
    assert contacts(lab, user.number) == []
    assert caller.dial(user.number).result() == 480
    assert len([one for one in old_phone.calls if one.direction == "incoming"]) == 1
    assert phone(user, register=False).register(renewed) == 200


@on_both
@pytest.mark.parametrize("lines", [2, 1])
def test_a_lowered_limit_cuts_off_the_oldest_and_the_newest_stay(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str, lines: int
) -> None:
    user = add_user(lines=3)
    registered = []
    for expires in (600, 1200, 1800):
        phone(user, expires=expires)
        registered += [uri for uri in contacts(lab, user.number) if uri not in registered]
    lab.must("user", "set", user.login, "--lines", str(lines))
    assert sorted(contacts(lab, user.number)) == sorted(registered[-lines:])


@pytest.mark.lab(**OTHERWISE, min_expiration=1)
def test_a_phone_that_stays_under_a_lowered_limit_goes_on_registering(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    user = add_user(lines=2)
    first = phone(user, expires=10)
    (its_contact,) = contacts(lab, user.number)
    second = phone(user, expires=10)
    in_reach(lab, user.number, 2)
    lab.must("user", "set", user.login, "--lines", "1")
    (kept,) = contacts(lab, user.number)
    stays, goes = (first, second) if kept == its_contact else (second, first)
    assert stays.next_status(12) == 200
    goes.wait_status(403, 12)
    assert stays.next_status(12) == 200


@pytest.mark.parametrize(
    "driver",
    [
        pytest.param("pgsql", marks=pytest.mark.lab(contacts="realtime", min_expiration=1)),
        pytest.param("odbc", marks=pytest.mark.lab(**OTHERWISE, min_expiration=1)),
    ],
)
def test_a_phone_whose_contact_is_in_the_database_goes_on_being_registered(
    lab: Lab, add_user: AddUser, phone: MakePhone, driver: str
) -> None:
    user = add_user()
    its_phone = phone(user, expires=6)
    its_contact = contacts(lab, user.number)
    assert len(its_contact) == 1
    for _ in range(2):
        assert its_phone.next_status(8) == 200
        assert contacts(lab, user.number) == its_contact


@on_both
def test_a_disabled_user_cannot_register_be_rung_or_call_until_enabled(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str
) -> None:
    user, other = add_user(), add_user()
    its_phone, caller = phone(user, answers=True), phone(other, answers=True)
    in_reach(lab, user.number)
    in_reach(lab, other.number)
    lab.must("user", "disable", user.login)
    assert "Unable to find object" in shown(lab, user.number)
    assert contacts(lab, user.number) == []
    assert "\tdisabled\t" in lab.must("status", user.number)
    assert caller.dial(user.number).result() == 404
    assert its_phone.dial(other.number).result() == 401
    assert lab.sip_register(user.number, user.secret) == 401
    lab.must("user", "enable", user.login)
    assert its_phone.register() == 200
    in_reach(lab, user.number)
    assert caller.dial(user.number).result() == 200


@on_both
def test_a_deleted_user_is_gone_and_comes_back_with_number_and_secret(
    lab: Lab, add_user: AddUser, phone: MakePhone, settings: str
) -> None:
    user, caller = add_user(), phone(add_user())
    its_phone = phone(user, answers=True)
    in_reach(lab, user.number)
    lab.must("user", "delete", user.login, "--yes")
    assert "Unable to find object" in shown(lab, user.number)
    assert caller.dial(user.number).result() == 404
    assert lab.sip_register(user.number, user.secret) == 401
    assert add_user().number != user.number
    taken = lab.cli("user", "add", f"{user.login}-heir", "--name", "Heir", "--extension", user.number)
    assert taken.code == 1
    assert user.number in taken.err
    lab.must("user", "restore", user.login)
    assert its_phone.register() == 200
    in_reach(lab, user.number)
    assert caller.dial(user.number).result() == 200


def test_an_alias_has_its_own_secret_and_rings_under_its_own_name(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    user, caller = add_user(), phone(add_user())
    made = json.loads(lab.must("user", "extension", "add", user.login, "--alias", "support", "--json"))
    alias = Person(user.login, user.name, f"{user.number}-support", Secret(made["secrets"][0]["secret"]))
    phone(alias, answers=True)
    in_reach(lab, alias.number)
    assert caller.dial(alias.number).result() == 200
    assert lab.sip_register(alias.number, user.secret) == 401
    lab.must("user", "extension", "delete", user.login, alias.number, "--yes")
    assert caller.dial(alias.number).result() == 404
    assert lab.sip_register(alias.number, alias.secret) == 401
    assert lab.sip_register(user.number, user.secret) == 200
