"""`provisioner doctor`, `status` and `reload` on a real chain, whole and broken link by link."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from provisioner.lab import Lab
from provisioner.lab.waiting import free_port
from provisioner.store import Embedded
from tests import warm
from tests.acceptance.people import AddUser, MakePhone

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def own_lab(engine: None) -> Iterator[Lab]:
    """A lab of this file alone, with one user, to break and mend."""
    with Lab(run=warm.run) as lab:
        lab.must("user", "add", "anna", "--name", "Anna")
        yield lab


def sql(lab: Lab, *statements: str) -> None:
    url = Embedded(lab.home).ensure_running().set(drivername="postgresql")
    text = url.render_as_string(hide_password=False)
    with closing(psycopg.connect(text, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def complaints(lab: Lab, *arguments: str) -> dict[str, str]:
    """What the doctor finds wrong: the check, and what was found with how to mend it."""
    done = lab.cli("doctor", "--json", *arguments)
    found = json.loads(done.out)
    wrong: dict[str, str] = {}
    for one in found:
        if not one["ok"]:
            wrong[one["check"]] = f"{wrong.get(one['check'], '')}{one['found']} / {one['mend']}\n"
    assert done.code == (1 if wrong else 0)
    assert all(one["mend"] for one in found if not one["ok"])
    return wrong


def change_file(lab: Lab, name: str, pattern: str, new: str) -> str:
    """Edit one of Asterisk's files and start it on that; returns the old text."""
    path = lab.conf_dir / name
    old = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, new, old, flags=re.MULTILINE)
    assert changed != old
    path.write_text(changed, encoding="utf-8")
    lab.asterisk.restart()
    return old


def put_back(lab: Lab, name: str, text: str) -> None:
    (lab.conf_dir / name).write_text(text, encoding="utf-8")
    lab.asterisk.restart()


def test_the_doctor_finds_a_whole_chain_whole(own_lab: Lab) -> None:
    done = own_lab.cli("doctor", "--conf", str(own_lab.conf_dir))
    assert done.code == 0
    for link in ("settings", "database", "files", "node lab", "node lab, caches", "node lab, read back"):
        assert f"ok    {link}: " in done.out
    assert "it reads endpoint 7000 as the database has it" in done.out


def test_the_doctor_names_each_class_that_the_ami_user_lacks_and_none_is_there_in_vain(own_lab: Lab) -> None:
    text = (own_lab.conf_dir / "manager.conf").read_text(encoding="utf-8")
    assert re.search("^read =$", text, re.MULTILINE)
    (held,) = re.findall(r"^write = (.*)$", text, re.MULTILINE)
    for lacking in held.split(","):
        others = ",".join(name for name in held.split(",") if name != lacking)
        old = change_file(own_lab, "manager.conf", "^write =.*$", f"write = {others}")
        try:
            wrong = complaints(own_lab, "--conf", str(own_lab.conf_dir))
        finally:
            put_back(own_lab, "manager.conf", old)
        rights = wrong["node lab, rights"].splitlines()
        assert rights
        for line in rights:
            assert f": add {lacking}" in line
            assert f" / give its user the class {lacking}" in line
        assert "manager.conf is edited" in wrong["files"]
    assert complaints(own_lab, "--conf", str(own_lab.conf_dir)) == {}


def test_the_doctor_names_browsers_that_cannot_reach_asterisk(own_lab: Lab) -> None:
    own_lab.must("user", "add", "webber", "--name", "W", "--webrtc")
    wrong = complaints(own_lab)["browsers"]
    assert "webber cannot register: webrtc, and asterisk.transports has no wss / add wss" in wrong
    own_lab.must("user", "delete", "webber", "--yes")


def test_the_doctor_sees_caches_that_are_not_as_configured(own_lab: Lab) -> None:
    old = change_file(own_lab, "sorcery.conf", "^auth/cache.*$", "")
    try:
        assert "caches aor, endpoint; the settings say aor, auth, endpoint" in str(complaints(own_lab))
    finally:
        put_back(own_lab, "sorcery.conf", old)


def test_the_doctor_notices_a_driver_that_cannot_log_in(own_lab: Lab) -> None:
    old = change_file(own_lab, "res_pgsql.conf", "^dbpass *=.*$", "dbpass=wrong")
    try:
        wrong = complaints(own_lab)
        assert "endpoint 7000 cannot be loaded" in wrong["node lab, read back"]
    finally:
        put_back(own_lab, "res_pgsql.conf", old)
    assert complaints(own_lab) == {}


def test_the_doctor_sees_rows_that_open_a_door(own_lab: Lab) -> None:
    sql(
        own_lab,
        "INSERT INTO ps_auths (id, auth_type, username, password) VALUES ('a_b', 'userpass', 'a_b', 'x')",
        "INSERT INTO ps_endpoints (id, auth) VALUES ('a_b', 'a_b')",
        "ALTER TABLE ps_endpoints DISABLE TRIGGER USER",
        "INSERT INTO ps_endpoints (id) VALUES ('open')",
        "ALTER TABLE ps_endpoints ENABLE TRIGGER USER",
    )
    try:
        wrong = str(complaints(own_lab))
        assert "without an auth" in wrong
        assert "open" in wrong
        assert "a_b" in wrong
    finally:
        sql(
            own_lab,
            "DELETE FROM ps_endpoints WHERE id IN ('a_b', 'open')",
            "DELETE FROM ps_auths WHERE id = 'a_b'",
        )
    # Nobody has told the node of what was changed by hand.
    assert "not told yet" in str(complaints(own_lab))
    own_lab.must("reload")
    assert complaints(own_lab) == {}


def test_the_database_refuses_an_endpoint_without_auth(own_lab: Lab) -> None:
    with pytest.raises(psycopg.Error):
        sql(own_lab, "INSERT INTO ps_endpoints (id) VALUES ('open')")
    with pytest.raises(psycopg.Error):
        sql(own_lab, "DELETE FROM ps_auths WHERE id = '7000'")


def test_a_role_with_too_many_rights_is_found_and_mended(own_lab: Lab) -> None:
    sql(own_lab, "GRANT UPDATE ON ps_auths TO asterisk")
    assert "ps_auths" in str(complaints(own_lab))
    own_lab.must("db", "upgrade")
    assert complaints(own_lab) == {}


def test_a_node_that_is_down_shows_and_hides_no_other(own_lab: Lab) -> None:
    secret = {"PROVISIONER_NODES_GONE_SECRET": "x", "PROVISIONER_NODES_GONE_PORT": str(free_port())}
    done = own_lab.cli("status", "--json", environment=secret)
    found = json.loads(done.out)
    assert done.code == 1
    assert [line["node"] for line in found["extensions"]] == ["lab"]
    errors = {one["node"]: one["error"] for one in found["nodes"]}
    assert errors["lab"] is None
    assert "no AMI on 127.0.0.1:" in errors["gone"]
    text = own_lab.cli("status", environment=secret)
    assert text.code == 1
    assert "7000" in text.out
    assert text.err.startswith("error: node gone: no AMI")
    alone = own_lab.cli("status", "--node", "lab", environment=secret)
    assert (alone.code, alone.err) == (0, "")


def test_a_change_while_a_node_is_away_is_written_queued_and_told_by_the_next_command(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    user = add_user()
    phone(user)
    port = str(free_port())
    away = lab.cli("user", "secret", user.login, environment={"PROVISIONER_NODES_LAB_PORT": port})
    assert away.code == 1
    assert "error: written, but node lab not told: node lab: no AMI on 127.0.0.1:" in away.err
    assert lab.sip_register(user.number, user.secret) == 200
    assert "told of 1 changed endpoint" in lab.must("reload")
    assert lab.sip_register(user.number, user.secret) == 401
    assert "nothing was due" in lab.must("reload")


def test_status_joins_records_with_what_the_node_holds(lab: Lab, add_user: AddUser, phone: MakePhone) -> None:
    user = add_user("Zażółć Иван", lines=3)
    phone(user)
    (line,) = json.loads(lab.must("status", user.number, "--json"))["extensions"]
    assert (line["login"], line["name"], line["lines"]) == (user.login, "Zażółć Иван", 3)
    (contact,) = line["contacts"]
    assert contact["uri"].startswith(f"sip:{user.number}")
    assert "baresip" in contact["user_agent"]


def test_reload_reads_a_row_again_that_was_changed_by_hand(lab: Lab, add_user: AddUser) -> None:
    user = add_user()
    sql(lab, f"UPDATE ps_aors SET max_contacts = 7 WHERE id = '{user.number}'")
    shown = f"pjsip show aor {user.number}"
    assert re.search(r"max_contacts +: 1$", lab.asterisk.rx(shown), re.MULTILINE)
    assert "expired" in lab.must("reload", user.number)
    assert re.search(r"max_contacts +: 7$", lab.asterisk.rx(shown), re.MULTILINE)


def test_export_gives_every_user_and_no_secret(lab: Lab, add_user: AddUser) -> None:
    user = add_user("Anna; 'Ż'", lines=2)
    lines = [json.loads(line) for line in lab.must("export").splitlines()]
    (mine,) = [one for one in lines if one["login"] == user.login]
    assert mine["name"] == user.name
    assert mine["extensions"] == [{"number": user.number, "kind": "primary", "lines": 2}]
