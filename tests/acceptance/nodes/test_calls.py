"""Calls between two real nodes on one database, with contacts per node and with shared ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from provisioner.lab import Lab, Phone
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from provisioner.service import App, users
from tests.acceptance.nodes.conftest import At, available, knows_other, shared
from tests.acceptance.people import AddUser
from tests.acceptance.test_drift import by_hand
from tests.acceptance.truth import query

pytestmark = pytest.mark.acceptance

Caller = Callable[[str], Phone]


def quiet(lab: Lab) -> None:
    """Until no node has a call left."""
    nodes = lab.nodes.values()
    wait_for(
        "all calls to end",
        lambda: all("0 active calls" in node.asterisk.rx("core show channels") for node in nodes),
        10,
    )


@pytest.mark.parametrize(("here", "there"), [("pbx1", "pbx2"), ("pbx2", "pbx1")])
def test_a_call_reaches_a_phone_of_the_other_node_shows_who_calls_and_can_be_returned(
    lab: Lab, add_user: AddUser, at: At, here: str, there: str
) -> None:
    anna, ivan = add_user("Anna Żółć"), add_user("Ivan")
    from_anna, to_ivan = at(here, anna), at(there, ivan)
    call = from_anna.dial(ivan.number)
    incoming = to_ivan.incoming()
    incoming.answer()
    assert call.result() == 200
    assert (incoming.display_name, incoming.number) == ("Anna Żółć", anna.number)
    call.hangup()
    assert incoming.wait_closed()
    back = to_ivan.dial(incoming.number)
    from_anna.incoming().answer()
    assert back.result() == 200
    back.hangup()
    quiet(lab)


def test_nobody_anywhere_is_said_at_once(add_user: AddUser, caller: Caller) -> None:
    """No node asks the other in circles."""
    phone, absent = caller("pbx1"), add_user()
    assert phone.dial(absent.number).result(5) == 480
    assert phone.dial("99999").result(5) == 404


def test_lines_limit_calls_from_all_nodes_together(
    lab: Lab, add_user: AddUser, at: At, caller: Caller
) -> None:
    ivan = add_user(lines=1)
    of_ivan = at("pbx2", ivan)
    at_one, at_two = caller("pbx1"), caller("pbx2")
    for first, second in ((at_one, at_two), (at_two, at_one)):
        call = first.dial(ivan.number)
        of_ivan.incoming().answer()
        assert call.result() == 200
        assert second.dial(ivan.number).result() == 486
        assert first.dial(ivan.number).result() == 486
        call.hangup()
        quiet(lab)
    assert len([call for call in of_ivan.calls if call.direction == "incoming"]) == 2


def test_devices_at_both_nodes_ring_and_the_first_to_answer_gets_the_call(
    lab: Lab, add_user: AddUser, at: At, caller: Caller
) -> None:
    ivan = add_user(lines=2)
    desk, mobile = at("pbx1", ivan), at("pbx2", ivan)
    call = caller("pbx1").dial(ivan.number)
    at_desk, at_mobile = desk.incoming(), mobile.incoming()
    at_mobile.answer()
    assert call.result() == 200
    assert at_desk.wait_closed()
    assert not at_desk.established
    call.hangup()
    quiet(lab)
    assert [len(phone.calls) for phone in (desk, mobile)] == [1, 1]


def test_a_phone_that_only_its_own_connection_reaches_is_called_from_the_other_node(
    lab: Lab, add_user: AddUser, at: At, caller: Caller
) -> None:
    ivan = add_user()
    over_tcp = at("pbx2", ivan, transport="tcp")
    call = caller("pbx1").dial(ivan.number)
    over_tcp.incoming().answer()
    assert call.result() == 200
    call.hangup()
    quiet(lab)


def test_a_disabled_user_is_not_found_from_any_node(
    app: App, add_user: AddUser, at: At, caller: Caller
) -> None:
    ivan = add_user()
    at("pbx2", ivan)
    assert all(told.ok for told in users.set_active(app, ivan.login, False).nodes)
    assert [caller(node).dial(ivan.number).result() for node in ("pbx1", "pbx2")] == [404, 404]


@shared
def test_a_contact_says_which_node_has_its_phone(lab: Lab, add_user: AddUser, at: At) -> None:
    people = {node: add_user() for node in lab.nodes}
    for node, person in people.items():
        at(node, person)
    for node, person in people.items():
        rows = query(lab, "SELECT reg_server FROM ps_contacts WHERE endpoint = %s", person.number)
        assert [row["reg_server"] for row in rows] == [node]


@shared
def test_a_phone_whose_node_is_down_is_called_directly(
    lab: Lab, add_user: AddUser, at: At, caller: Caller
) -> None:
    ivan = add_user()
    of_ivan, phone = at("pbx2", ivan), caller("pbx1")
    dead = lab.nodes["pbx2"].asterisk
    with contextlib.ExitStack() as stack:
        stack.callback(wait_for, "the nodes to know each other", lambda: knows_other(lab), 20)
        stack.callback(dead.start)
        dead.kill()
        wait_for("pbx1 to notice", lambda: not available(lab, "pbx1", "node-pbx2"), 20)
        call = phone.dial(ivan.number)
        of_ivan.incoming().answer()
        assert call.result() == 200
        call.hangup()


@shared
def test_no_uri_that_a_phone_registers_makes_others_ring(
    lab: Lab, add_user: AddUser, at: At, caller: Caller
) -> None:
    mallory, vera = add_user(), add_user()
    of_vera = at("pbx1", vera)
    by_hand(
        lab,
        "INSERT INTO ps_contacts (id, uri, endpoint, reg_server, expiration_time, qualify_frequency)"
        f" VALUES ('{mallory.number}^3B@x', '', '{mallory.number}', 'pbx1',"
        " extract(epoch FROM now())::bigint + 600, 0)",
    )
    for rest in (f"&PJSIP/{vera.number}", ",1,tT", "''", ")", "("):
        by_hand(
            lab, f"UPDATE ps_contacts SET uri = 'sip:x@127.0.0.1:9{rest}' WHERE endpoint = '{mallory.number}'"
        )
        assert caller("pbx1").dial(mallory.number).result() == 480, rest
    assert not of_vera.calls


def test_only_who_knows_the_secret_of_the_nodes_is_taken_for_one(lab: Lab, add_user: AddUser, at: At) -> None:
    ivan = add_user()
    of_ivan = at("pbx1", ivan)
    stranger = lab.phone("node-pbx2", Secret("not-the-secret-of-nodes"), node="pbx1")
    assert stranger.register() == 401
    assert stranger.dial(ivan.number).result() in (401, 403)
    assert not of_ivan.calls


def test_nobody_registers_as_a_node_even_with_its_secret(lab: Lab) -> None:
    text = (lab.nodes["pbx1"].conf_dir / "pjsip.conf").read_text(encoding="utf-8")
    (secret,) = {line.split(" = ")[1] for line in text.splitlines() if line.startswith("password = ")}
    assert lab.sip_register("node-pbx2", Secret(secret), node="pbx1") == 403
    assert lab.sip_register("node-pbx2", Secret("not-the-secret-of-nodes"), node="pbx1") == 401
