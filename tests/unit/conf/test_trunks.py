"""Several nodes on one database: each knows the way to the others, and the secret that all of them show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioner.conf import DatabaseAccess, render
from provisioner.errors import ConfError
from provisioner.secret import Secret
from provisioner.settings import AsteriskSettings, NodeSettings, Settings


def cluster(asterisk: dict[str, Any] | None = None, **second: Any) -> Settings:
    """Two nodes; what is given besides is said of the second."""
    secret = Secret("ami secret")
    return Settings(
        home=Path("/nowhere"),
        asterisk=AsteriskSettings(**(asterisk or {})),
        nodes=(
            NodeSettings(name="pbx1", host="10.0.0.1", secret=secret),
            NodeSettings(name="pbx2", host="10.0.0.2", secret=secret, **second),
        ),
    )


def files_of(settings: Settings, node: str, access: DatabaseAccess) -> dict[str, str]:
    return render(settings, settings.node(node), access)


def passwords(pjsip: str) -> set[str]:
    return set(re.findall(r"^password = (\S+)$", pjsip, re.MULTILINE))


def test_each_node_knows_the_others_and_not_itself(access: DatabaseAccess) -> None:
    settings = cluster()
    for here, there in (("pbx1", "pbx2"), ("pbx2", "pbx1")):
        pjsip = files_of(settings, here, access)["pjsip.conf"]
        assert f"[node-{there}]\ntype = endpoint" in pjsip
        assert f"[node-{here}]\ntype = endpoint" not in pjsip
        assert f"from_user = node-{here}\n" in pjsip


def test_a_node_on_its_own_has_no_trunk_and_no_secret_for_one(
    settings: Settings, access: DatabaseAccess
) -> None:
    files = render(settings, settings.nodes[0], access)
    assert "node-" not in files["pjsip.conf"]
    assert "config,pjsip.conf" not in files["sorcery.conf"]
    assert not passwords(files["pjsip.conf"])


def test_all_nodes_have_one_secret_that_changes_with_that_of_the_database(access: DatabaseAccess) -> None:
    settings = cluster()
    first, second = (passwords(files_of(settings, node, access)["pjsip.conf"]) for node in ("pbx1", "pbx2"))
    assert first == second
    assert len(first) == 1
    assert not any(access.password.reveal() in secret for secret in first)
    other = replace(access, password=Secret("another"))
    assert passwords(files_of(settings, "pbx1", other)["pjsip.conf"]).isdisjoint(first)


@pytest.mark.parametrize(
    ("second", "uri"),
    [
        ({}, "sip:10.0.0.2:5060"),
        ({"sip_port": 5080}, "sip:10.0.0.2:5080"),
        ({"sip_host": "pbx2.example.net"}, "sip:pbx2.example.net:5060"),
        ({"bind_address": "192.0.2.2"}, "sip:192.0.2.2:5060"),
        ({"bind_address": "2001:db8::2", "sip_port": 5070}, "sip:[2001:db8::2]:5070"),
        ({"bind_address": "192.0.2.2", "sip_host": "198.51.100.2"}, "sip:198.51.100.2:5060"),
    ],
)
def test_a_node_is_reached_where_it_is_bound_unless_the_settings_say_where(
    access: DatabaseAccess, second: dict[str, Any], uri: str
) -> None:
    pjsip = files_of(cluster({"bind_address": "0.0.0.0"}, **second), "pbx1", access)["pjsip.conf"]
    assert f"contact = {uri}\n" in pjsip


@pytest.mark.parametrize(
    ("asterisk", "uri"),
    [
        ({"transports": ("tls", "udp")}, "sip:10.0.0.2:5060"),
        ({"transports": ("tls", "tcp")}, r"sip:10.0.0.2:5060\;transport=tcp"),
        ({"transports": ("wss", "tls")}, r"sip:10.0.0.2:5061\;transport=tls"),
        (
            {"transports": ("udp", "tls"), "media_encryption": "sdes"},
            r"sip:10.0.0.2:5061\;transport=tls",
        ),
    ],
)
def test_calls_between_nodes_go_over_a_transport_that_there_is_and_that_hides_keys(
    access: DatabaseAccess, asterisk: dict[str, Any], uri: str
) -> None:
    tls = {"bind_address": "0.0.0.0", "tls_cert": "/etc/a.crt", "tls_key": "/etc/a.key"}
    files = files_of(cluster({**tls, **asterisk}), "pbx1", access)
    assert f"contact = {uri}\n" in files["pjsip.conf"]
    assert "res_pjsip_outbound_authenticator_digest" in files["modules.conf"]
    assert ("media_encryption = sdes" in files["pjsip.conf"]) == ("media_encryption" in asterisk)


def test_nodes_that_only_browsers_can_reach_are_refused(access: DatabaseAccess) -> None:
    with pytest.raises(ConfError, match=r"asterisk\.transports: several nodes"):
        files_of(cluster({"transports": ("ws",)}), "pbx1", access)


def test_what_a_node_has_of_its_own_is_in_its_own_files_alone(access: DatabaseAccess) -> None:
    settings = cluster({}, bind_address="192.0.2.2", sip_port=5080, rtp_first=30000, rtp_last=31000)
    first, second = files_of(settings, "pbx1", access), files_of(settings, "pbx2", access)
    assert "bind = 127.0.0.1:5060\n" in first["pjsip.conf"]
    assert "bind = 192.0.2.2:5080\n" in second["pjsip.conf"]
    assert "rtpstart = 10000\n" in first["rtp.conf"]
    assert "rtpstart = 30000\nrtpend = 31000\n" in second["rtp.conf"]


def test_shared_contacts_are_followed_and_others_asked_for(access: DatabaseAccess) -> None:
    shared = files_of(cluster({"contacts": "realtime"}), "pbx1", access)["extensions.conf"]
    apart = files_of(cluster(), "pbx1", access)["extensions.conf"]
    assert "reg_server" in shared
    assert "reg_server" not in apart
    assert "PJSIP_DIAL_CONTACTS(node-pbx2,,${ID})" in apart


def test_ports_that_do_not_go_together_are_refused_with_the_name_of_the_node() -> None:
    with pytest.raises(ValueError, match=r"nodes\.pbx2: rtp_first is above rtp_last"):
        cluster({}, rtp_first=40000)
