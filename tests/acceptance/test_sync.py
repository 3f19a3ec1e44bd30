"""The daemon beside a real Asterisk and real phones: what anybody commits is in force a moment later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from provisioner.lab import Lab
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from provisioner.store import Embedded
from tests.acceptance.people import AddUser, MakePhone
from tests.integration.conftest import address
from tests.integration.daemons import Daemon

pytestmark = pytest.mark.acceptance

Sql = psycopg.Connection[tuple[Any, ...]]

in_astdb_and_realtime = pytest.mark.parametrize(
    "contacts", ["astdb", pytest.param("realtime", marks=pytest.mark.lab(contacts="realtime"))]
)


@pytest.fixture
def daemon(lab: Lab) -> Iterator[Daemon]:
    """It leads, and the node has been told everything."""
    made = Daemon(lab.config, lab.home)
    try:
        made.until("node is told")
        yield made
    finally:
        assert made.stop()[0] == 0


@pytest.fixture
def psql(lab: Lab) -> Iterator[Sql]:
    """Somebody else in the database, who knows nothing of us."""
    url = Embedded(lab.home).ensure_running()
    with psycopg.connect(address(url), autocommit=True) as connection:
        yield connection


def rekey(psql: Sql, number: str, secret: str) -> None:
    psql.execute(
        "UPDATE ps_auths SET password = %s, password_digest = NULL, md5_cred = NULL WHERE id = %s",
        [secret, number],
    )


def shown(lab: Lab, number: str) -> list[str]:
    found = json.loads(lab.must("status", number, "--json"))
    return [contact["uri"] for line in found["extensions"] for contact in line["contacts"]]


@in_astdb_and_realtime
def test_a_secret_changed_by_psql_is_in_force_and_its_phone_cut_off(
    lab: Lab, add_user: AddUser, phone: MakePhone, daemon: Daemon, psql: Sql, contacts: str
) -> None:
    user = add_user()
    phone(user)
    assert len(shown(lab, user.number)) == 1
    rekey(psql, user.number, "a-new-one-by-psql")
    wait_for("its phone to be cut off", lambda: not shown(lab, user.number), 20)
    assert lab.sip_register(user.number, user.secret) == 401
    assert lab.sip_register(user.number, Secret("a-new-one-by-psql")) == 200


@in_astdb_and_realtime
def test_an_endpoint_deleted_by_psql_is_refused_and_its_phone_cut_off(
    lab: Lab, add_user: AddUser, phone: MakePhone, daemon: Daemon, psql: Sql, contacts: str
) -> None:
    user = add_user()
    phone(user)
    with psql.transaction():
        for table in ("ps_endpoints", "ps_aors", "ps_auths"):
            psql.execute(f"DELETE FROM {table} WHERE id = %s".encode(), [user.number])
    wait_for("its phone to be cut off", lambda: user.number not in lab.asterisk.rx("pjsip show contacts"), 20)
    assert lab.sip_register(user.number, user.secret) == 401


def test_a_node_that_is_killed_hears_what_was_changed_meanwhile(
    lab: Lab, add_user: AddUser, phone: MakePhone, daemon: Daemon, psql: Sql
) -> None:
    user = add_user()
    phone(user, expires=600)
    lab.asterisk.kill()
    daemon.until("node is not told")
    rekey(psql, user.number, "a-new-one-by-psql")
    lab.asterisk.start()
    daemon.until("node is back")
    wait_for("its phone to be cut off", lambda: not shown(lab, user.number), 20)
    assert lab.sip_register(user.number, user.secret) == 401
    assert lab.sip_register(user.number, Secret("a-new-one-by-psql")) == 200


def test_a_command_leaves_telling_to_the_daemon_and_returns_when_it_is_done(
    lab: Lab, add_user: AddUser, phone: MakePhone, daemon: Daemon
) -> None:
    user = add_user()
    phone(user)
    told = len(daemon.logged("told"))
    made = json.loads(lab.must("user", "secret", user.login, "--json"))
    assert [node["ok"] for node in made["nodes"]] == [True]
    assert len(daemon.logged("told")) > told
    assert lab.sip_register(user.number, user.secret) == 401
    assert lab.sip_register(user.number, Secret(made["secrets"][0]["secret"])) == 200
