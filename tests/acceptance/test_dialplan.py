"""The rendered dialplan on a real Asterisk, with real phones that call each other."""

from __future__ import annotations

import pytest

from provisioner.lab import Call, Lab
from provisioner.lab.waiting import wait_for
from tests.acceptance.people import AddUser, MakePhone, Person

pytestmark = pytest.mark.acceptance


def reachable(lab: Lab, person: Person, devices: int = 1) -> None:
    """Until Asterisk has asked the phones and got an answer: it rings no device that it cannot reach."""

    def asked() -> bool:
        contacts = lab.asterisk.rx("pjsip show contacts").splitlines()
        mine = [line for line in contacts if f" {person.number}/sip:" in line]
        return sum(" Avail " in line for line in mine) == devices

    wait_for(f"{devices} devices of {person.number} to be reachable", asked, 5)


@pytest.mark.parametrize("name", ["Anna Kowalska", "Zażółć Gęślą Jaźń", "Иван Иванов", "ab;cd^ef%g_h"])
def test_a_phone_shows_who_calls(lab: Lab, add_user: AddUser, phone: MakePhone, name: str) -> None:
    anna, ivan = add_user(name), add_user("Ivan")
    from_anna, to_ivan = phone(anna), phone(ivan)
    reachable(lab, ivan)
    call = from_anna.dial(ivan.number)
    incoming = to_ivan.incoming()
    incoming.answer()
    assert call.result() == 200
    assert (incoming.display_name, incoming.number) == (name, anna.number)
    call.hangup()
    incoming.wait_closed()


def test_a_number_that_nobody_has_is_not_found(add_user: AddUser, phone: MakePhone) -> None:
    assert phone(add_user()).dial("99999").result() == 404


def test_a_user_without_a_phone_is_temporarily_unavailable(add_user: AddUser, phone: MakePhone) -> None:
    absent = add_user()
    assert phone(add_user()).dial(absent.number).result() == 480


def test_a_phone_that_lost_power_is_not_waited_for(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    ivan = add_user()
    lost = phone(ivan)
    reachable(lab, ivan)
    lost.kill()
    lab.asterisk.rx(f"pjsip qualify {ivan.number}")
    wait_for("Asterisk to notice", lambda: _unreachable(lab, ivan), 10)
    assert phone(add_user()).dial(ivan.number).result() == 480


def test_nothing_but_a_number_rings_anybody(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    ivan, olga = add_user(), add_user()
    phones = [phone(ivan), phone(olga)]
    reachable(lab, ivan)
    reachable(lab, olga)
    caller = phone(add_user())
    targets = [
        f"{ivan.number}%26PJSIP%2F{olga.number}",
        f"{ivan.number}%2Fsip:{olga.number}",
        f"{ivan.number};{olga.number}",
        *(
            f"{ivan.number}{end}"
            for end in ("%2C60", "%22", "%7B", "%5D%3F", "%0D%0A", "%20", "_", "%25", "-")
        ),
        *("%24%7BEXTEN%7D", "%24%7BSHELL(id)%7D", f"a{ivan.number}", f"%20{ivan.number}", "7"),
    ]
    assert {target: caller.dial(target).result() for target in targets} == dict.fromkeys(targets, 404)
    assert [one.calls for one in phones] == [(), ()]


def test_lines_limit_incoming_calls_and_not_outgoing_ones(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    ivan, olga = add_user(lines=2), add_user()
    of_ivan = phone(ivan)
    phone(olga)
    reachable(lab, ivan)
    reachable(lab, olga)
    caller = phone(add_user())
    taken = [caller.dial(ivan.number) for _ in range(2)]
    assert [call.wait_ringing() for call in taken] == [True, True]
    of_ivan.incoming().answer()
    assert caller.dial(ivan.number).result() == 486
    outgoing = [of_ivan.dial(olga.number), of_ivan.dial("99999")]
    assert outgoing[0].wait_ringing()
    assert outgoing[1].result() == 404
    assert len([call for call in of_ivan.calls if call.direction == "incoming"]) == 2


def test_a_line_is_free_again_when_its_call_ends(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    ivan = add_user(lines=1)
    of_ivan = phone(ivan)
    reachable(lab, ivan)
    caller = phone(add_user())
    for _ in range(3):
        call = caller.dial(ivan.number)
        incoming = of_ivan.incoming()
        incoming.answer()
        assert call.result() == 200
        assert caller.dial(ivan.number).result() == 486
        call.hangup()
        incoming.wait_closed()
        wait_for("Asterisk to end the call", lambda: "0 active calls" in _channels(lab), 5)


def test_of_many_calls_at_once_exactly_as_many_ring_as_there_are_lines(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    ivan = add_user(lines=3)
    of_ivan = phone(ivan)
    reachable(lab, ivan)
    callers = [phone(add_user()) for _ in range(3)]
    calls: list[Call] = [caller.dial(ivan.number) for _ in range(4) for caller in callers]
    rung = [call.wait_ringing() for call in calls]
    assert sum(rung) == 3
    assert {call.result() for call in calls if not call.ringing} == {486}
    assert len([call for call in of_ivan.calls if call.direction == "incoming"]) == 3


def test_all_devices_ring_and_the_first_to_answer_gets_the_call(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    ivan = add_user(lines=2)
    desk, mobile = phone(ivan), phone(ivan)
    reachable(lab, ivan, devices=2)
    call = phone(add_user()).dial(ivan.number)
    at_desk, at_mobile = desk.incoming(), mobile.incoming()
    at_mobile.answer()
    assert call.result() == 200
    assert at_desk.wait_closed()
    assert not at_desk.established


def test_an_alias_is_called_by_its_own_name(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    ivan = add_user()
    lab.must("user", "extension", "add", ivan.login, "--alias", "support")
    caller = phone(add_user())
    assert caller.dial(f"{ivan.number}-support").result() == 480
    assert caller.dial(f"{ivan.number}-other").result() == 404


def test_a_disabled_user_is_not_found(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    ivan = add_user()
    lab.must("user", "disable", ivan.login)
    assert phone(add_user()).dial(ivan.number).result() == 404


def test_lamps_follow_every_number(lab: Lab) -> None:
    shown = lab.asterisk.rx("dialplan show users")
    assert shown.count("hint: PJSIP/${EXTEN}") == 14


def _channels(lab: Lab) -> str:
    return lab.asterisk.rx("core show channels")


def _unreachable(lab: Lab, person: Person) -> bool:
    lines = lab.asterisk.rx("pjsip show contacts").splitlines()
    return any(f" {person.number}/sip:" in line and "Unavail" in line for line in lines)
