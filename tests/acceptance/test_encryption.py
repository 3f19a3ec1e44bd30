"""AMI, SIP and WebSocket over TLS, and encrypted sound, on a real Asterisk, with certificates made here."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from provisioner.lab import Lab, Phone
from provisioner.lab.phone import Media
from provisioner.secret import Secret
from tests import warm
from tests.acceptance.browser import Browser

pytestmark = pytest.mark.acceptance

KEYS = "/etc/asterisk/keys"
ASTERISK = {
    "transports": ["udp", "tls", "wss"],
    "tls_cert": f"{KEYS}/asterisk.crt",
    "tls_key": f"{KEYS}/asterisk.key",
    "media_encryption": "sdes",
}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def secure(engine: None, ca: trustme.CA, ca_file: Path) -> Iterator[Lab]:
    """A lab of this file alone: everything over TLS, with a certificate for 127.0.0.1."""
    lab = Lab(asterisk=ASTERISK, node={"tls": True, "tls_ca": str(ca_file)}, run=warm.run)
    keys = lab.conf_dir / "keys"
    keys.mkdir(parents=True)
    made = ca.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(keys / "asterisk.key")
    made.cert_chain_pems[0].write_to_path(keys / "asterisk.crt")
    with lab:
        yield lab


@pytest.fixture(scope="module")
def secret(secure: Lab) -> Secret:
    """That of 7000."""
    made = json.loads(secure.must("user", "add", "anna", "--name", "Anna", "--json"))
    return Secret(made["secrets"][0]["secret"])


def test_asterisk_starts_without_a_complaint(secure: Lab) -> None:
    boot, ready, _ = secure.asterisk.logs().partition("Asterisk Ready.")
    assert ready
    assert [line for line in boot.splitlines() if "WARNING" in line or "ERROR" in line] == []


def test_ami_is_spoken_over_tls(secure: Lab, secret: Secret) -> None:
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


def test_a_phone_registers_over_tls_and_only_where_it_trusts_the_certificate(
    secure: Lab, secret: Secret, ca_file: Path, tmp_path: Path
) -> None:
    with phone(secure, "7000", secret, ca_file) as mine:
        assert mine.register() == 200
        (line,) = json.loads(secure.must("status", "7000", "--json"))["extensions"]
        assert line["contacts"][0]["uri"].endswith(";transport=TLS")
        assert mine.register(Secret("not-the-secret")) == 401
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with phone(secure, "7000", secret, tmp_path / "other.pem") as stranger:
        assert stranger.register() == 0


def test_calls_are_encrypted_by_sdes_or_dtls_or_refused(secure: Lab, ca_file: Path) -> None:
    anna, boris = (add_user(secure, name, "sdes") for name in ("sdes-1", "sdes-2"))
    clara = add_user(secure, "dtls", "dtls")
    with phone(secure, *anna, ca_file, "srtp-mand") as caller:
        assert caller.register() == 200
        ways: tuple[tuple[tuple[str, Secret], Media], ...] = ((boris, "srtp-mand"), (clara, "dtls_srtp"))
        for called, media in ways:
            with phone(secure, *called, ca_file, media, answers=True) as other:
                assert other.register() == 200
                call = caller.dial(called[0])
                assert call.result() == 200
                call.hangup()
    for who in (anna, clara):
        with phone(secure, *who, ca_file) as plain:
            assert plain.register() == 200
            assert plain.dial(boris[0]).result() == 488


def test_a_webrtc_user_registers_over_wss_and_is_called_as_browsers_are(
    secure: Lab, ca: trustme.CA, ca_file: Path
) -> None:
    id, secret = add_user(secure, "browser", "sdes", "--webrtc")
    shown = dict(
        re.findall(r"^ (\w+) +: (.*)$", secure.asterisk.rx(f"pjsip show endpoint {id}"), re.MULTILINE)
    )
    for option, value in (
        ("webrtc", "yes"),
        ("media_encryption", "dtls"),
        ("dtls_auto_generate_cert", "Yes"),
    ):
        assert shown[option] == value
    for option in ("use_avpf", "ice_support", "rtcp_mux", "bundle"):
        assert shown[option] == "true"
    caller = add_user(secure, "caller", "sdes")
    with browser(secure, ca, id) as mine, phone(secure, *caller, ca_file, "srtp-mand") as other:
        assert mine.register(Secret("not-the-secret")) == 401
        assert mine.register(secret) == 200
        assert other.register() == 200
        call = other.dial(id)
        offered = mine.refuse_call()
        for line in ("UDP/TLS/RTP/SAVPF", "a=fingerprint:SHA-256", "a=ice-ufrag:", "a=rtcp-mux"):
            assert line in offered
        assert call.result() == 486


def test_webrtc_is_switched_on_and_off_at_once(secure: Lab, ca: trustme.CA) -> None:
    id, _ = add_user(secure, "switched", "sdes")
    for option, webrtc, encryption in (("--webrtc", "yes", "dtls"), ("--no-webrtc", "no", "sdes")):
        secure.must("user", "set", "switched", option)
        shown = secure.asterisk.rx(f"pjsip show endpoint {id}")
        assert re.search(rf"^ webrtc +: {webrtc}$", shown, re.MULTILINE)
        assert re.search(rf"^ media_encryption +: {encryption}$", shown, re.MULTILINE)


def test_a_browser_that_does_not_trust_the_certificate_stays_away_and_nothing_listens_in_plain_text(
    secure: Lab,
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError), browser(secure, trustme.CA(), "7000"):
        pass
    port = secure.settings["asterisk"]["ws_port"]
    with pytest.raises(ConnectionRefusedError), Browser(f"ws://127.0.0.1:{port}/ws", None, "7000"):
        pass


def browser(lab: Lab, ca: trustme.CA, id: str) -> Browser:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return Browser(f"wss://127.0.0.1:{lab.settings['asterisk']['wss_port']}/ws", context, id)


def add_user(lab: Lab, login: str, encryption: str, *options: str) -> tuple[str, Secret]:
    """A user whose calls are encrypted in this way: the endpoint id and the secret."""
    setting = {"PROVISIONER_ASTERISK_MEDIA_ENCRYPTION": encryption}
    done = lab.cli("user", "add", login, "--name", "Anna", "--json", *options, environment=setting)
    made = json.loads(done.out)
    return made["extensions"][0]["endpoint_id"], Secret(made["secrets"][0]["secret"])


def phone(
    lab: Lab,
    id: str,
    secret: Secret,
    ca: Path,
    media: Media = "plain",
    answers: bool = False,
) -> Phone:
    server = f"127.0.0.1:{lab.settings['asterisk']['tls_port']}"
    return Phone(
        id,
        secret,
        server,
        transport="tls",
        ca=ca,
        media=media,
        answers=answers,
        containers=lab.containers,
    )


def ami_port(lab: Lab) -> int:
    port = lab.settings["nodes"]["lab"]["port"]
    assert isinstance(port, int)
    return port
