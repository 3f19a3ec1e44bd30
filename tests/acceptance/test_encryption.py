"""AMI and SIP over TLS on a real Asterisk, with certificates made here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from provisioner.lab import Lab

pytestmark = pytest.mark.acceptance

KEYS = "/etc/asterisk/keys"
ASTERISK = {"tls_cert": f"{KEYS}/asterisk.crt", "tls_key": f"{KEYS}/asterisk.key"}


@pytest.fixture(scope="module")
def secure(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of this file alone: everything over TLS, with a certificate for 127.0.0.1."""
    ca = trustme.CA()
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    lab = Lab(asterisk=ASTERISK, node={"tls": True, "tls_ca": str(ca_file)})
    keys = lab.conf_dir / "keys"
    keys.mkdir(parents=True)
    made = ca.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(keys / "asterisk.key")
    made.cert_chain_pems[0].write_to_path(keys / "asterisk.crt")
    with lab:
        lab.must("user", "add", "anna", "--name", "Anna")
        yield lab


def test_asterisk_starts_without_a_complaint(secure: Lab) -> None:
    boot, ready, _ = secure.asterisk.logs().partition("Asterisk Ready.")
    assert ready
    assert [line for line in boot.splitlines() if "WARNING" in line or "ERROR" in line] == []


def test_ami_is_spoken_over_tls(secure: Lab) -> None:
    assert "ok    node lab, read back: " in secure.must("doctor")
    assert "expired" in secure.must("reload", "7000")


def test_a_node_is_not_spoken_with_that_shows_no_certificate_of_the_ca_and_its_name(
    secure: Lab, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    for variable, value, said in (
        ("TLS_CA", str(tmp_path / "other.pem"), "its certificate is not trusted: it does not come from"),
        ("TLS_SERVER_NAME", "pbx.example", "its certificate is not for pbx.example"),
        ("PORT", str(ami_port(secure) - 1), "what answers speaks no TLS"),
    ):
        done = secure.cli("reload", "7000", environment={f"PROVISIONER_NODES_LAB_{variable}": value})
        assert done.code == 1
        port = value if variable == "PORT" else ami_port(secure)
        assert f"node lab: no AMI on 127.0.0.1:{port} ({said}" in done.err


def ami_port(lab: Lab) -> int:
    port = lab.settings["nodes"]["lab"]["port"]
    assert isinstance(port, int)
    return port
