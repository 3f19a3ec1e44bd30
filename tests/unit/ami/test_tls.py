"""AMI over TLS: a certificate that is not the node's own gets no secret, and one sentence says why."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
import trustme

from provisioner.ami.actions import Ping
from provisioner.ami.client import Backoff, Client
from provisioner.errors import NodeUnavailable
from provisioner.settings import NodeSettings
from tests.unit.ami.fake import FakeNode, answer


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def ping(node: NodeSettings) -> None:
    async def main() -> None:
        async with Client(node, Backoff(attempts=1)) as client:
            await client.call(Ping())

    asyncio.run(main())


def refusal(fake: FakeNode, **changes: object) -> str:
    """The error of a node that is not spoken with; nothing was said to it."""
    with fake.running(), pytest.raises(NodeUnavailable) as refused:
        ping(fake.node(tls=True, **changes))
    assert fake.received == []
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        pytest.param(["127.0.0.1"], {}, id="address"),
        pytest.param(["localhost"], {"host": "localhost"}, id="name"),
        pytest.param(["pbx.example"], {"tls_server_name": "pbx.example"}, id="another name"),
    ],
)
def test_a_node_with_a_certificate_of_its_name_is_spoken_with(
    ca: trustme.CA, ca_file: Path, names: list[str], changes: dict[str, object]
) -> None:
    with FakeNode({"Ping": answer("ping")}, certificate=ca.issue_cert(*names)).running() as fake:
        ping(fake.node(tls=True, tls_ca=ca_file, **changes))
    assert fake.actions() == ["Ping"]


def test_a_certificate_of_an_unknown_ca_is_refused_before_the_secret_is_sent(
    ca: trustme.CA, ca_file: Path
) -> None:
    others = trustme.CA().issue_cert("127.0.0.1")
    text = refusal(FakeNode(certificate=others), tls_ca=ca_file)
    assert f"does not come from the CA of {ca_file}; see nodes.pbx1.tls_ca" in text
    assert "a CA of this system" in refusal(FakeNode(certificate=ca.issue_cert("127.0.0.1")))


def test_a_certificate_of_another_name_is_refused_before_the_secret_is_sent(
    ca: trustme.CA, ca_file: Path
) -> None:
    fake = FakeNode(certificate=ca.issue_cert("pbx.example", "127.0.0.9"))
    assert "its certificate is not for 127.0.0.1" in refusal(fake, tls_ca=ca_file)
    text = refusal(fake, tls_ca=ca_file, tls_server_name="pbx2.example")
    assert "its certificate is not for pbx2.example; nodes.pbx1.tls_server_name" in text


def test_an_expired_certificate_is_refused_before_the_secret_is_sent(ca: trustme.CA, ca_file: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    old = ca.issue_cert(
        "127.0.0.1", not_before=now - datetime.timedelta(days=9), not_after=now - datetime.timedelta(days=1)
    )
    assert "its certificate has expired" in refusal(FakeNode(certificate=old), tls_ca=ca_file)
    early = ca.issue_cert("127.0.0.1", not_before=now + datetime.timedelta(days=1))
    assert "its certificate is not valid yet" in refusal(FakeNode(certificate=early), tls_ca=ca_file)


def test_a_plain_port_gets_one_clear_error(ca_file: Path) -> None:
    assert "speaks no TLS; give the port of tlsbindaddr" in refusal(FakeNode(), tls_ca=ca_file)


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeUnavailable, match=r"CA file /nowhere/ca\.pem cannot be used: No such file"):
        ping(FakeNode().node(tls=True, tls_ca="/nowhere/ca.pem"))
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(NodeUnavailable, match=r"ca\.pem cannot be used: it holds no certificate"):
        ping(FakeNode().node(tls=True, tls_ca=tmp_path / "ca.pem"))
