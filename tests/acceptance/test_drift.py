"""Drift on a real Asterisk: everything that somebody did past us is found in one run, and mended."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import psycopg
import pytest

from provisioner.ami import Client
from provisioner.lab import CommandResult, Lab
from provisioner.records import validate_user
from provisioner.service import users
from provisioner.settings import NodeSettings, load
from provisioner.store import Embedded
from tests.acceptance.people import AddUser, Cli, MakePhone, Person
from tests.acceptance.test_ami import put_contacts
from tests.acceptance.truth import app_of, query

# A lab of its own: what other tests leave behind would be found.
pytestmark = [pytest.mark.acceptance, pytest.mark.lab(language="pl")]

Found = set[tuple[str | None, str, str, str | None, str | None]]


@pytest.fixture
def node(lab: Lab) -> NodeSettings:
    (found,) = load(lab.config).nodes
    return found


def add_people(lab: Lab, count: int) -> list[Person]:
    """Users, of whom the fifth is deleted and the sixth disabled; in this process, which is quicker."""
    app = app_of(lab)
    logins = [f"d-{uuid.uuid4().hex[:10]}" for _ in range(count)]
    specs = [validate_user(login=login, name="Anna", extensions=[{}]) for login in logins]
    made = [users.add(app, spec) for spec in specs]
    users.delete(app, logins[4])
    users.set_active(app, logins[5], False)
    app.close()
    return [
        Person(one.user.login, one.user.name, one.user.primary.number, one.issued[0].secret) for one in made
    ]


def by_hand(lab: Lab, *statements: str) -> None:
    """What somebody types into psql, past the guard of endpoints and auths too."""
    url = Embedded(lab.home).ensure_running().set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def cache(lab: Lab, *numbers: str) -> None:
    """Have the node read these anew and keep what it read."""
    app = app_of(lab)
    fleet = app.fleet(app.nodes(None))
    fleet.reload(numbers)
    fleet.read_back(numbers)
    app.close()


def drift(cli: Cli, *options: str) -> Found:
    done = cli("drift", "--node", "--json", *options)
    assert done.code == 0, done.err
    return {
        (one["node"], one["kind"], one["endpoint_id"], one["object"], one["field"])
        for one in json.loads(done.out)["found"]
    }


def mended(cli: Cli) -> CommandResult:
    done = cli("drift", "--node", "--fix", "--yes", "--force")
    assert done.code == 0, done.err
    assert "node lab: told and proven" in done.err
    return done


def test_one_run_finds_all_that_was_done_by_hand_and_the_fix_mends_it(
    lab: Lab, cli: Cli, phone: MakePhone, node: NodeSettings
) -> None:
    people = add_people(lab, 7)
    moved, unlocked, silent, mute, gone, off, well = (one.number for one in people)
    phone(people[6])
    cache(lab, moved, unlocked, mute, well)
    by_hand(
        lab,
        f"UPDATE ps_endpoints SET context = 'open' WHERE id = '{moved}'",
        f"DELETE FROM ps_auths WHERE id = '{unlocked}'",
        f"UPDATE ps_endpoints SET language = 'de' WHERE id = '{silent}'",
        f"UPDATE ps_endpoints SET allow = 'alaw,ulow' WHERE id = '{mute}'",
        f"INSERT INTO ps_aors (id, max_contacts) VALUES ('{gone}', 1), ('4711', 1)",
        f"INSERT INTO ps_auths (id, auth_type, username) VALUES ('{gone}', 'userpass', '{gone}')",
    )
    cache(lab, silent, mute)
    by_hand(lab, f"UPDATE ps_endpoints SET language = 'pl' WHERE id = '{silent}'")
    asyncio.run(register(node, off))

    foreign = (None, "foreign", "4711", "aor", None)
    assert drift(cli) == {
        (None, "differs", moved, "endpoint", "context"),
        ("lab", "stale", moved, "endpoint", "context"),
        (None, "missing", unlocked, "auth", None),
        ("lab", "stale", silent, "endpoint", "language"),
        (None, "differs", mute, "endpoint", "allow"),
        ("lab", "refused", mute, "endpoint", None),
        (None, "left over", gone, "aor", None),
        (None, "left over", gone, "auth", None),
        ("lab", "contacts", off, None, None),
        foreign,
    }
    report = mended(cli).out
    assert f"node lab: {mute} ({people[3].login}) cannot be loaded: endpoint.allow, " in report
    assert "Asterisk knows no codec 'ulow'" in report
    assert "mended: 5 row(s) written (change " in report
    assert drift(cli, "--exit-code") == {foreign}
    assert lab.sip_register(unlocked, people[1].secret) == 200
    assert lab.sip_register(mute, people[3].secret) == 200
    assert f"{well}/sip:" in lab.asterisk.rx("pjsip show contacts")
    changed = json.loads(lab.must("history", "--json"))[0]
    assert changed["command"].endswith("drift")


async def register(node: NodeSettings, number: str) -> None:
    """A phone in astdb that no command knows of."""
    async with Client(node) as client:
        await put_contacts(client, [number])


def test_an_old_secret_in_a_cache_is_found_and_its_phone_cut_off(
    lab: Lab, cli: Cli, add_user: AddUser, phone: MakePhone
) -> None:
    person = add_user()
    kept = query(lab, "SELECT password_digest AS held FROM ps_auths WHERE id = %s", person.number)[0]["held"]
    device = phone(person, expires=600)
    by_hand(lab, f"UPDATE ps_auths SET password_digest = 'MD5:{'0' * 32}' WHERE id = '{person.number}'")
    cache(lab, person.number)
    by_hand(lab, f"UPDATE ps_auths SET password_digest = '{kept}' WHERE id = '{person.number}'")
    found = drift(cli)
    assert ("lab", "stale", person.number, "auth", "password_digest") in found
    report = mended(cli)
    assert kept not in report.out + report.err
    assert "auth.password_digest: another secret than the row's" in report.out
    assert person.number not in lab.asterisk.rx("pjsip show contacts")
    assert device.register() == 200


def test_a_deleted_endpoint_that_a_node_still_has_is_found_and_taken_away(
    lab: Lab, cli: Cli, add_user: AddUser
) -> None:
    person = add_user()
    rows = saved_rows(lab, person)
    lab.must("user", "delete", person.login, "--yes")
    by_hand(lab, *(f"INSERT INTO {table} SELECT * FROM {copy}" for table, copy in rows.items()))
    cache(lab, person.number)
    by_hand(lab, *(f"DELETE FROM {table} WHERE id = '{person.number}'" for table in rows))
    assert ("lab", "remains", person.number, "endpoint", None) in drift(cli)
    assert lab.sip_register(person.number, person.secret) == 200
    mended(cli)
    assert lab.sip_register(person.number, person.secret) == 401
    assert not [one for one in drift(cli) if one[2] == person.number]


def saved_rows(lab: Lab, person: Person) -> dict[str, str]:
    """Copies of a user's rows, by table."""
    copies = {table: f"{table}_{person.number}" for table in ("ps_auths", "ps_aors", "ps_endpoints")}
    by_hand(
        lab,
        *(
            f"CREATE TABLE {copy} AS SELECT * FROM {table} WHERE id = '{person.number}'"
            for table, copy in copies.items()
        ),
    )
    return copies


def test_a_fix_shows_what_it_found_and_asks(lab: Lab, cli: Cli, add_user: AddUser) -> None:
    number = add_user().number
    by_hand(lab, f"UPDATE ps_aors SET max_contacts = 7 WHERE id = '{number}'")
    asked = cli("drift", "--fix", stdin="n\n")
    assert asked.code == 1
    assert "aor.max_contacts: 7, and the record says 1" in asked.out
    assert "Mend this?" in asked.err
    assert cli("drift", "--exit-code").code == 3
    assert cli("drift", "--fix", stdin="y\n").code == 0
    held: list[dict[str, Any]] = query(lab, "SELECT max_contacts FROM ps_aors WHERE id = %s", number)
    assert held == [{"max_contacts": 1}]
