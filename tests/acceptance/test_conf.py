"""The rendered files on a real Asterisk: it starts quietly, and every setting does what it says."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from provisioner.lab import Lab, Phone
from provisioner.lab.waiting import free_port, wait_for
from provisioner.secret import Secret
from tests import warm
from tests.acceptance.people import AddUser, Cli, MakePhone

pytestmark = pytest.mark.acceptance

VARIANTS = [
    pytest.param({}, id="default"),
    pytest.param({"contacts": "realtime", "full_aor": "refuse"}, id="contacts in the database"),
    pytest.param({"driver": "odbc", "contacts": "realtime"}, id="odbc"),
    pytest.param({"caches": False, "transports": ["udp", "tcp"], "sip_threads": 2}, id="no caches"),
]


def marked(variants: list[Any]) -> list[Any]:
    """The variants as parameters of tests, each on a lab of its own settings."""
    return [pytest.param(*one.values, id=one.id, marks=pytest.mark.lab(**one.values[0])) for one in variants]


@pytest.mark.parametrize("asterisk", marked(VARIANTS))
def test_asterisk_starts_without_a_complaint(lab: Lab, asterisk: dict[str, Any]) -> None:
    wait_for("Asterisk to say that it is ready", lambda: "Asterisk Ready." in lab.asterisk.logs(), 20)
    boot = lab.asterisk.logs().partition("Asterisk Ready.")[0]
    assert [line for line in boot.splitlines() if "WARNING" in line or "ERROR" in line] == []


@pytest.mark.parametrize("asterisk", marked(VARIANTS))
def test_a_phone_registers_and_a_wrong_secret_does_not(
    lab: Lab, add_user: AddUser, asterisk: dict[str, Any]
) -> None:
    anna = add_user()
    assert lab.sip_register(anna.number, anna.secret) == 200
    assert lab.sip_register(anna.number, Secret("not-the-secret")) == 401
    assert lab.sip_register("99999", anna.secret) == 401
    in_astdb = f"/registrar/contact/{anna.number};" in lab.asterisk.rx("database show registrar")
    assert in_astdb == (asterisk.get("contacts") != "realtime")
    assert f"{anna.number}/sip:{anna.number}@" in lab.asterisk.rx("pjsip show contacts")


@pytest.mark.parametrize("asterisk", marked(VARIANTS))
def test_objects_are_cached_as_the_settings_say(lab: Lab, asterisk: dict[str, Any]) -> None:
    for kind in ("endpoint", "auth", "aor"):
        shown = lab.asterisk.rx(f"sorcery memory cache show res_pjsip/{kind}")
        assert ("Number of seconds before object expires: 3600" in shown) == asterisk.get("caches", True)


@pytest.mark.parametrize("asterisk", marked(VARIANTS))
def test_sip_has_as_many_threads_as_the_settings_say(lab: Lab, asterisk: dict[str, Any]) -> None:
    # ``s`` are those from the start, ``d`` others that came when there was much to do.
    shown = lab.asterisk.rx("core show taskprocessors like taskpool/s:pjsip")
    assert shown.count("taskpool/s:pjsip-") == asterisk.get("sip_threads", 4)


@pytest.mark.parametrize("asterisk", marked(VARIANTS))
def test_one_phone_too_many_replaces_or_is_refused(
    add_user: AddUser, phone: MakePhone, lab: Lab, asterisk: dict[str, Any]
) -> None:
    anna = add_user(lines=2)
    for expires in (60, 120):
        phone(anna, expires=expires)
    third = phone(anna, register=False, expires=120)
    assert third.register() == (403 if asterisk.get("full_aor") == "refuse" else 200)
    contacts = lab.asterisk.rx("pjsip show contacts")
    assert contacts.count(f" {anna.number}/sip:") == 2


@pytest.mark.lab(caches=False, transports=["udp", "tcp"], sip_threads=2)
def test_a_phone_registers_over_tcp(lab: Lab, add_user: AddUser) -> None:
    anna = add_user()
    phone = Phone(anna.number, anna.secret, lab.sip, transport="tcp", containers=lab.containers)
    with phone:
        assert phone.register() == 200


def test_contacts_survive_a_restart(lab: Lab, add_user: AddUser) -> None:
    anna = add_user()
    assert lab.sip_register(anna.number, anna.secret, expires=3600) == 200
    lab.asterisk.restart()
    assert f"{anna.number}/sip:" in lab.asterisk.rx("pjsip show contacts")


def test_the_realm_of_the_challenge_is_the_one_of_the_digests(lab: Lab) -> None:
    assert 'realm="asterisk"' in challenge(lab)


def test_the_ami_account_can_do_what_we_need_and_nothing_else(lab: Lab) -> None:
    refused = {"Command": "Command: core show uptime", "Originate": "Channel: Local/1@users\r\nExten: 1"}
    refused |= {"UpdateConfig": "SrcFilename: pjsip.conf", "Setvar": "Variable: X\r\nValue: 1"}
    with ami(lab) as wire:
        for action, fields in refused.items():
            assert "Permission denied" in ask(wire, f"Action: {action}\r\n{fields}")
        allowed = "Action: SorceryMemoryCacheExpireObject\r\nCache: res_pjsip/auth\r\nObject: none"
        assert "Permission denied" not in ask(wire, allowed)


@pytest.mark.parametrize("driver", ["pgsql", "odbc"])
def test_awkward_secrets_and_another_schema_reach_asterisk_unchanged(engine: None, driver: str) -> None:
    database = {"asterisk_schema": "telephony", "asterisk_password": 'it\'s; a \\ "long" #pass [word] = >'}
    lab = Lab(asterisk={"driver": driver}, database=database, run=warm.run)
    try:
        lab.write_settings()
        (lab.home / "ami.secret").write_text('a;b \\;c [x] #include "y" \'=> ż\n', encoding="utf-8")
        with lab:
            answer = json.loads(lab.must("user", "add", "anna", "--name", "Anna", "--json"))
            secret = Secret(answer["secrets"][0]["secret"])
            assert lab.sip_register(answer["extensions"][0]["endpoint_id"], secret) == 200
            assert lab.asterisk.logs().count("ERROR") == 0
    finally:
        lab.close()


def test_rendered_files_match_until_somebody_edits_one(lab: Lab, cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "asterisk"
    assert cli("conf", "render", str(folder)).code == 0
    assert cli("conf", "diff", str(folder), "--exit-code").code == 0
    with (folder / "rtp.conf").open("a") as file:
        file.write("strictrtp = no\n")
    (folder / "pjsip.conf").write_text("[mine]\nsecret = hunter2\n")
    shown = cli("conf", "diff", str(folder), "--exit-code")
    assert shown.code == 3
    assert "strictrtp" in shown.out
    assert "hunter2" not in shown.out
    refused = cli("conf", "render", str(folder))
    assert refused.code == 1
    assert "pjsip.conf" in refused.err
    assert "rtp.conf" in refused.err
    assert cli("conf", "render", str(folder), "--force").code == 0
    assert cli("conf", "diff", str(folder), "--exit-code").code == 0


def options(transport: str, server: str) -> bytes:
    lines = [
        f"OPTIONS sip:{server} SIP/2.0",
        f"Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK-{free_port()};rport",
        f"From: <sip:nobody@{server}>;tag=1",
        f"To: <sip:{server}>",
        f"Call-ID: options-{free_port()}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def challenge(lab: Lab) -> str:
    """What Asterisk answers to a request of somebody it does not know."""
    host, _, port = lab.sip.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(5)
        wire.connect((host, int(port)))
        wire.send(options("UDP", lab.sip))
        return wire.recv(4096).decode()


def ami(lab: Lab) -> socket.socket:
    """A session of the lab's AMI account, logged in."""
    wire = socket.create_connection(("127.0.0.1", lab.settings["nodes"]["lab"]["port"]), 5)
    secret = (lab.home / "ami.secret").read_text().strip()
    greeted = ask(wire, f"Action: Login\r\nUsername: provisioner\r\nSecret: {secret}\r\nEvents: off")
    assert "Authentication accepted" in greeted
    return wire


def ask(wire: socket.socket, action: str) -> str:
    wire.sendall(f"{action}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = wire.recv(4096)
        assert chunk, "AMI closed the session"
        answer += chunk
    return answer.decode()
