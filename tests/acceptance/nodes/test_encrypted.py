"""Two nodes that speak nothing but TLS and SRTP, with phones and with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from provisioner.lab import Lab, Phone
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from tests import warm
from tests.acceptance.nodes.conftest import available, knows_other

pytestmark = pytest.mark.acceptance

KEYS = "/etc/asterisk/keys"
ASTERISK = {
    "transports": ["tls"],
    "tls_cert": f"{KEYS}/asterisk.crt",
    "tls_key": f"{KEYS}/asterisk.key",
    "media_encryption": "sdes",
    "contacts": "realtime",
}


@pytest.fixture
def secure(engine: None, tmp_path: Path) -> Iterator[tuple[Lab, Path]]:
    """The lab, and the file of the CA that its certificates come from."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    lab = Lab(nodes=2, asterisk=ASTERISK, run=warm.run)
    for node in lab.nodes.values():
        keys = node.conf_dir / "keys"
        keys.mkdir(parents=True)
        made = ca.issue_cert("127.0.0.1")
        made.private_key_pem.write_to_path(keys / "asterisk.key")
        made.cert_chain_pems[0].write_to_path(keys / "asterisk.crt")
    with lab:
        wait_for("the nodes to know each other", lambda: knows_other(lab), 20)
        yield lab, tmp_path / "ca.pem"


def phone(lab: Lab, node: str, login: str, ca: Path) -> Phone:
    """A new user's phone, registered at the node."""
    made = json.loads(lab.must("user", "add", login, "--name", login.title(), "--json"))
    number, secret = made["extensions"][0]["number"], Secret(made["secrets"][0]["secret"])
    settings = lab.settings
    port = {**settings["asterisk"], **settings["nodes"][node]}["tls_port"]
    server = f"127.0.0.1:{port}"
    device = Phone(
        number, secret, server, transport="tls", media="srtp-mand", ca=ca, containers=lab.containers
    ).start()
    assert device.register() == 200
    wait_for("the phone to answer", lambda: available(lab, node, number), 10)
    return device


def test_a_call_between_nodes_is_as_encrypted_as_one_with_a_phone(secure: tuple[Lab, Path]) -> None:
    lab, ca = secure
    with closing(phone(lab, "pbx1", "anna", ca)) as anna, closing(phone(lab, "pbx2", "ivan", ca)) as ivan:
        asterisk = lab.nodes["pbx2"].asterisk
        asterisk.rx("pjsip set logger on")
        call = anna.dial(ivan.endpoint_id)
        ivan.incoming().answer()
        assert call.result() == 200
        messages = asterisk.logs().split("\n<--- ")
    invites = [one for one in messages if "\nINVITE sip:" in one and "<sip:node-pbx1@" in one]
    assert invites
    for invite in invites:
        assert "from TLS:" in invite
        assert "RTP/SAVP " in invite
        assert "a=crypto:" in invite
