"""Commands over two real nodes: each answers for itself, and no phone counts twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from provisioner.lab import Lab, Phone
from provisioner.lab.waiting import wait_for
from provisioner.service import App, nodes, status_data, users
from tests.acceptance.nodes.conftest import At, available, knows_other, per_node, shared
from tests.acceptance.people import AddUser, Cli, Person
from tests.acceptance.test_drift import by_hand

pytestmark = pytest.mark.acceptance

NODES = ("pbx1", "pbx2")


def phones(app: App, *numbers: str, node: str | None = None) -> list[tuple[str, str]]:
    """Node and extension of each phone that `status` shows, of endpoints alone that somebody has."""
    shown = status_data(nodes.status(app, numbers, node))["extensions"]
    assert not [line for line in shown if line["login"] is None]
    return sorted((line["node"], line["endpoint_id"]) for line in shown for _ in line["contacts"])


def language(lab: Lab, node: str, person: Person) -> str:
    """What a node holds of an endpoint; it keeps what it read."""
    shown = lab.nodes[node].asterisk.rx(f"pjsip show endpoint {person.number}")
    lines = [line.split() for line in shown.splitlines()]
    return next(words[2] for words in lines if words[:2] == ["language", ":"])


@contextmanager
def down(lab: Lab, node: str) -> Iterator[None]:
    """A node crashes, and comes back in the end."""
    asterisk = lab.nodes[node].asterisk
    asterisk.kill()
    try:
        yield
    finally:
        asterisk.start()
        wait_for("the nodes to know each other", lambda: knows_other(lab), 20)


@per_node
def test_a_new_secret_is_in_force_on_every_node(lab: Lab, app: App, add_user: AddUser) -> None:
    person = add_user(lines=2)
    assert [lab.sip_register(person.number, person.secret, node=node) for node in NODES] == [200, 200]
    new = users.rotate_secret(app, person.login, None, None).issued[0].secret
    assert [lab.sip_register(person.number, person.secret, node=node) for node in NODES] == [401, 401]
    assert [lab.sip_register(person.number, new, node=node) for node in NODES] == [200, 200]


def test_status_shows_each_phone_once_with_the_node_that_it_registered_at(
    app: App, add_user: AddUser, at: At
) -> None:
    people = {node: add_user(lines=2) for node in NODES}
    for node, person in people.items():
        at(node, person)
    at("pbx2", people["pbx1"])
    first, second = (people[node].number for node in NODES)
    there = sorted([("pbx1", first), ("pbx2", first), ("pbx2", second)])
    assert phones(app, first, second) == there
    assert [one for one in phones(app) if one[1] in (first, second)] == there
    assert phones(app, first, second, node="pbx1") == [("pbx1", first)]


@shared
def test_a_node_that_asks_all_phones_since_its_start_counts_none_twice(
    lab: Lab, app: App, add_user: AddUser, at: At
) -> None:
    person = add_user()
    at("pbx2", person)
    with down(lab, "pbx1"):
        pass
    asked = lab.nodes["pbx1"].asterisk
    wait_for("pbx1 to ask it", lambda: "Avail" in asked.rx(f"pjsip show aor {person.number}"), 20)
    assert phones(app, person.number) == [("pbx2", person.number)]


@shared
def test_a_phone_of_a_node_that_is_no_more_is_shown_once_and_still_called(
    lab: Lab, app: App, add_user: AddUser, at: At, caller: Callable[[str], Phone]
) -> None:
    person = add_user()
    phone = at("pbx2", person)
    by_hand(lab, f"UPDATE ps_contacts SET reg_server = 'renamed' WHERE endpoint = '{person.number}'")
    assert len(phones(app, person.number)) == 1
    call = caller("pbx1").dial(person.number)
    phone.incoming().answer()
    assert call.result() == 200
    call.hangup()


@shared
def test_a_node_that_is_down_hides_no_other(lab: Lab, cli: Cli, add_user: AddUser, at: At) -> None:
    people = {node: add_user() for node in NODES}
    for node, person in people.items():
        at(node, person)
    with down(lab, "pbx2"):
        shown = cli("status", *(person.number for person in people.values()))
        reloaded = json.loads(cli("reload", people["pbx1"].number, "--json").out)
        wait_for("pbx1 to notice", lambda: not available(lab, "pbx1", "node-pbx2"), 20)
        checked = cli("doctor")
    assert shown.code == 1
    assert "node pbx2" in shown.err
    assert "node pbx1" not in shown.err
    contacts = [line.split("\t")[4] for line in shown.out.splitlines() if "sip:" in line]
    assert contacts == ["pbx1"]
    assert [(one["node"], one["ok"]) for one in reloaded] == [("pbx1", True), ("pbx2", False)]
    assert checked.code == 1
    assert "ok    node pbx1, read back" in checked.out
    assert "FAIL  node pbx1, other nodes: no answer by SIP from pbx2" in checked.out


@per_node
def test_the_doctor_walks_to_every_node(cli: Cli, add_user: AddUser) -> None:
    add_user()
    checked = cli("doctor")
    assert checked.code == 0, checked.out
    for node in NODES:
        assert f"node {node}, read back" in checked.out
        assert f"node {node}, other nodes: it reaches all of them by SIP" in checked.out


@per_node
def test_reload_has_the_nodes_read_again_that_were_named(lab: Lab, cli: Cli, add_user: AddUser) -> None:
    person = add_user()
    assert [language(lab, node, person) for node in NODES] == ["en", "en"]
    by_hand(lab, f"UPDATE ps_endpoints SET language = 'de' WHERE id = '{person.number}'")
    assert [language(lab, node, person) for node in NODES] == ["en", "en"]
    assert cli("reload", person.number, "--node", "pbx2").code == 0
    assert [language(lab, node, person) for node in NODES] == ["en", "de"]
    done: list[dict[str, Any]] = json.loads(cli("reload", person.number, "--json").out)
    assert [(one["node"], one["ok"]) for one in done] == [("pbx1", True), ("pbx2", True)]
    assert [language(lab, node, person) for node in NODES] == ["de", "de"]
    by_hand(lab, f"UPDATE ps_endpoints SET language = 'en' WHERE id = '{person.number}'")
    assert cli("reload", person.number).code == 0


@per_node
def test_drift_names_the_one_node_whose_cache_is_old_and_mends_that_one(
    lab: Lab, cli: Cli, add_user: AddUser
) -> None:
    person = add_user()
    by_hand(lab, f"UPDATE ps_endpoints SET language = 'de' WHERE id = '{person.number}'")
    assert cli("reload", person.number, "--node", "pbx2").code == 0
    assert [language(lab, node, person) for node in NODES] == ["en", "de"]
    by_hand(lab, f"UPDATE ps_endpoints SET language = 'en' WHERE id = '{person.number}'")

    def found() -> list[tuple[str, str, str]]:
        shown = json.loads(cli("drift", "--node", "--json").out)["found"]
        mine = [one for one in shown if one["endpoint_id"] == person.number]
        return [(one["node"], one["kind"], one["field"]) for one in mine]

    assert found() == [("pbx2", "stale", "language")]
    assert cli("drift", "--node", "--fix", "--yes", "--force").code == 0
    assert found() == []
    assert [language(lab, node, person) for node in NODES] == ["en", "en"]
