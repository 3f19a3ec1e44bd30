"""PostgreSQL over TLS: we and Asterisk's drivers check its certificate as the settings say, or the URL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from provisioner.errors import LabError
from provisioner.lab import Lab
from provisioner.lab.containers import Container, Containers
from provisioner.lab.waiting import free_port, wait_for
from tests import warm

pytestmark = pytest.mark.acceptance

IMAGES = Path(__file__).resolve().parents[2] / "scripts/images"
CA = "/etc/asterisk/keys/db-ca.pem"
# The server's key has to be its own; whoever comes without TLS is refused.
SPEAK_TLS = """
    install -o postgres -m 0600 /secrets/server.key /secrets/server.crt "$PGDATA"
    sed -i 's/^host /hostssl /' "$PGDATA/pg_hba.conf"
    setpriv --reuid postgres --regid postgres --init-groups psql -qAt \\
        -c 'ALTER SYSTEM SET ssl = on' -c 'SELECT pg_reload_conf()'
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ca.pem`` signed the server's certificate, for 127.0.0.1 and no other name; ``other.pem`` did not."""
    folder = tmp_path_factory.mktemp("files")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    made = ca.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(folder / "server.key")
    made.cert_chain_pems[0].write_to_path(folder / "server.crt")
    (folder / "database").write_text("the-owner-s-password\n")
    return folder


@pytest.fixture(scope="module")
def url(engine: None, files: Path) -> Iterator[str]:
    """A PostgreSQL that is spoken with over TLS alone."""
    subprocess.run([IMAGES, "postgres"], stdout=subprocess.DEVNULL, check=True)
    containers, port = Containers(), free_port()
    server = containers.start(
        "provisioner/postgres:dev",
        "postgres",
        mounts={files: ("/secrets", "ro")},
        environment={"PGPORT": str(port)},
    )
    wait_for("PostgreSQL", lambda: ready(server), 30)
    server.run("sh", "-euc", SPEAK_TLS)
    yield f"postgresql://provisioner:the-owner-s-password@127.0.0.1:{port}/provisioner"
    containers.close()


@pytest.fixture(scope="module")
def lab(url: str, files: Path) -> Iterator[Lab]:
    """A lab of this file alone, on that server."""
    certificates = {"sslrootcert": str(files / "ca.pem"), "asterisk_sslrootcert": CA}
    lab = Lab(database={"url": url, **certificates}, run=warm.run)
    keys = lab.conf_dir / "keys"
    keys.mkdir(parents=True)
    keys.joinpath("db-ca.pem").write_bytes((files / "ca.pem").read_bytes())
    with lab:
        lab.must("user", "add", "anna", "--name", "Anna")
        yield lab


@pytest.mark.parametrize("driver", ["pgsql", "odbc"])
def test_asterisk_checks_the_certificate_with_either_driver(lab: Lab, files: Path, driver: str) -> None:
    setting = {"PROVISIONER_ASTERISK_DRIVER": driver}
    assert lab.cli("conf", "render", str(lab.conf_dir), environment=setting).code == 0
    lab.asterisk.restart()
    assert lab.cli("doctor", environment=setting).code == 0
    trusted = lab.conf_dir / "keys" / "db-ca.pem"
    trusted.write_bytes((files / "other.pem").read_bytes())
    lab.asterisk.restart()
    done = lab.cli("doctor", environment=setting)
    trusted.write_bytes((files / "ca.pem").read_bytes())
    assert done.code == 1
    assert "read back: " in done.out
    assert "7000 cannot be loaded" in done.out


def test_we_refuse_a_certificate_of_another_ca_or_of_another_name(lab: Lab, url: str, files: Path) -> None:
    for settings, why in (
        ({"SSLROOTCERT": str(files / "other.pem")}, "certificate verify failed"),
        ({"SSLROOTCERT": "/nowhere/ca.pem"}, "does not exist"),
        ({"URL": url.replace("127.0.0.1", "localhost")}, 'does not match host name "localhost"'),
    ):
        done = lab.cli(
            "user",
            "list",
            environment={f"PROVISIONER_DATABASE_{key}": text for key, text in settings.items()},
        )
        assert done.code == 1
        assert why in done.err
        assert "sslmode and sslrootcert of database" in done.err
        assert "the-owner-s-password" not in done.err


def test_what_the_url_says_wins(lab: Lab, url: str, files: Path) -> None:
    said = f"{url}?sslmode=verify-ca&sslrootcert={files / 'ca.pem'}"
    strict = {"PROVISIONER_DATABASE_URL": said.replace("127.0.0.1", "localhost")}
    strict["PROVISIONER_DATABASE_SSLROOTCERT"] = "/nowhere/ca.pem"
    assert lab.cli("user", "list", environment=strict).code == 0
    shown = lab.cli("db", "url", environment=strict).out
    assert "sslmode=verify-ca" in shown
    assert "/nowhere" not in shown


def ready(server: Container) -> bool:
    try:
        return "accepting" in server.run("pg_isready", "-h", "127.0.0.1")
    except LabError:
        return False
