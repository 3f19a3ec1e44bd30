"""Many administrators at once: real processes of the command line on one database and one Asterisk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from provisioner.lab import CommandResult, Lab
from provisioner.lab.sipp import register_many
from provisioner.secret import Secret
from tests.acceptance.inside import Database

pytestmark = pytest.mark.acceptance

WRITERS = 8
EACH = 25


def add_some(lab: Lab, writer: int) -> list[CommandResult]:
    """What one administrator does: one command after the other, each a process of its own."""
    return [
        lab.cli("user", "add", f"crowd-{writer}-{count}", "--name", f"Crowd {writer}.{count}", "--json")
        for count in range(EACH)
    ]


@pytest.mark.timeout(600)
@pytest.mark.lab(qualify_frequency=0)
def test_two_hundred_users_added_by_eight_writers_have_numbers_of_their_own_and_all_register(
    lab: Lab,
) -> None:
    with ThreadPoolExecutor(WRITERS) as writers:
        done = [
            one for part in writers.map(lambda writer: add_some(lab, writer), range(WRITERS)) for one in part
        ]
    assert [one.err for one in done if one.code] == []
    added = [json.loads(one.out) for one in done]
    secrets = {user["secrets"][0]["extension"]: Secret(user["secrets"][0]["secret"]) for user in added}
    assert len(secrets) == WRITERS * EACH
    assert sorted(secrets) == numbers_from(7000, WRITERS * EACH)
    assert all(node["ok"] for user in added for node in user["nodes"])
    statuses = register_many(lab.sip, secrets, containers=lab.containers)
    assert {id: status for id, status in statuses.items() if status != 200} == {}
    assert records_and_rows(lab, added) == {"records": True, "rows": True, "outbox": True}
    assert held_by_asterisk(lab) == set(secrets)


def numbers_from(first: int, count: int) -> list[str]:
    return [str(number) for number in range(first, first + count)]


def records_and_rows(lab: Lab, added: Sequence[dict[str, object]]) -> dict[str, bool]:
    """Whether records, rows and queue are what the commands said that they made."""
    database = Database(lab)
    told = {(user["login"], part["number"]) for user in added for part in user["extensions"]}  # type: ignore[attr-defined]
    listed = json.loads(lab.must("user", "list", "--json"))
    kept = {(user["login"], part["number"]) for user in listed for part in user["extensions"]}
    rows = database.ask(
        "SELECT e.id, e.auth, e.aors, a.username, o.max_contacts FROM ps_endpoints e "
        "JOIN ps_auths a ON a.id = e.auth JOIN ps_aors o ON o.id = e.aors ORDER BY 1"
    )
    counts = [
        database.ask(f"SELECT count(*) FROM {table}") for table in ("ps_endpoints", "ps_auths", "ps_aors")
    ]
    return {
        "records": kept == told and len(listed) == len(added),
        "rows": rows == [(id, id, id, id, 1) for id in sorted(number for _, number in told)]
        and counts == [[(len(added),)]] * 3,
        "outbox": database.ask("SELECT object_id FROM provisioner.outbox") == [],
    }


def held_by_asterisk(lab: Lab) -> set[str]:
    """The extensions with a registered contact, as the node says."""
    found = json.loads(lab.must("status", "--json"))
    return {line["endpoint_id"] for line in found["extensions"] if len(line["contacts"]) == 1}
