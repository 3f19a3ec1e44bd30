"""Secrets of users who come from files: made once, given to one file, shown nowhere."""

from __future__ import annotations

import csv as csv_module
import logging
from pathlib import Path

import pytest

from provisioner.errors import FileError, StoreError
from provisioner.service.apply import apply
from provisioner.service.fileplans import Asked, open_job
from tests.integration.office import SECRETS, Office, csv, md5

pytestmark = pytest.mark.integration

COLUMNS = "login,name,secret"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv_module.DictReader(stream))


def md5s(office: Office) -> dict[str, str]:
    """Endpoint id to the digest of its secret."""
    return {
        part.endpoint_id: part.credentials.md5 for user in office.users().values() for part in user.extensions
    }


def test_the_secrets_that_are_made_go_to_one_file_for_the_owner_alone(office: Office) -> None:
    out = office.folder / "secrets.csv"
    rows = (f"anna,Anna,,,{SECRETS[0]}", "berta,Berta,,,", "berta,,,home,")
    applied = office.apply(csv(*rows, columns="login,name,number,label,secret"), out=out)
    assert out.stat().st_mode & 0o777 == 0o600
    found = read(out)
    assert [(row["login"], row["number"], row["endpoint_id"]) for row in found] == [
        ("berta", "7001", "7001"),
        ("berta", "7001", "7001-home"),
    ]
    assert applied.secrets == 2
    assert md5s(office) == {
        "7000": md5("7000", SECRETS[0]),
        **{row["endpoint_id"]: md5(row["endpoint_id"], row["secret"]) for row in found},
    }


def test_no_file_is_made_where_no_secret_is(office: Office) -> None:
    out = office.folder / "secrets.csv"
    office.apply(csv(f"anna,Anna,{SECRETS[0]}", columns=COLUMNS), out=out)
    office.apply(csv("anna,Anna Maria"), out=out)
    office.apply(csv("anna,Anna Maria"), out=out)
    assert not out.exists()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_there_is_refused_before_anything(office: Office, link: bool) -> None:
    out = office.folder / "secrets.csv"
    if link:
        out.symlink_to(office.folder / "elsewhere.csv")
    else:
        out.write_text("the only copy", encoding="utf-8")
    before = office.everything()
    done = office.run("apply", office.file(csv("anna,Anna")), "--secrets-out", out, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is there already" in done.stderr
    assert office.everything() == before
    with pytest.raises(FileError, match="is there already"):
        office.apply(csv("anna,Anna"), out=out)
    assert link or out.read_text(encoding="utf-8") == "the only copy"
    assert office.users() == {}


def test_a_file_that_cannot_be_written_leaves_nothing_written(office: Office) -> None:
    with pytest.raises(FileError, match=r"cannot write .*no-such-folder"):
        office.apply(csv("anna,Anna"), out=office.folder / "no-such-folder" / "secrets.csv")
    assert office.users() == {}


def test_the_file_is_gone_when_the_apply_fails(office: Office) -> None:
    out = office.folder / "secrets.csv"
    office.query("ALTER TABLE ps_aors ADD CONSTRAINT none CHECK (id <> '7001')")
    with pytest.raises(StoreError):
        office.apply(csv("anna,Anna", "berta,Berta"), out=out)
    assert not out.exists()
    assert (office.users(), office.query("SELECT id FROM ps_auths")) == ({}, [])


def test_the_file_is_on_disk_before_anything_is_written(office: Office) -> None:
    out = office.folder / "secrets.csv"
    job = open_job(office.app, Asked(office.file(csv("anna,Anna")))).job
    seen: list[int] = []

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "written":
            (unfinished,) = office.folder.glob("secrets.csv.*.unfinished")
            seen.append(len(read(unfinished)))

    apply(office.app, job, show=lambda planned: None, secrets_out=out, progress=progress)
    assert seen == [1]


def test_the_command_says_where_the_secrets_are(office: Office) -> None:
    out = office.folder / "secrets.csv"
    done = office.run("apply", office.file(csv("anna,Anna")), "--secrets-out", out, "--yes")
    assert done.exit_code == 0, done.output
    assert f"the new secrets are in {out}" in done.stderr
    (row,) = read(out)
    assert row["secret"] not in done.output
    again = office.run("apply", office.file(csv("anna,Anna", "berta,Berta")), "--yes")
    assert "the new secrets are shown nowhere" in again.stderr


def test_a_secret_stays_until_a_row_gives_another(office: Office) -> None:
    columns = "login,name,lines,secret"
    office.apply(csv(f"anna,Anna,1,{SECRETS[0]}", "berta,Berta,1,", columns=columns))
    first = md5s(office)
    for text in (
        csv("anna,Anna,1,", "berta,Berta,1,", columns=columns),
        csv("anna,Anna Maria,2,", "berta,Bertha,2,", columns=columns),
        csv(f"anna,Anna,1,{SECRETS[0]}", "berta,Berta,1,", columns=columns),
        csv("anna,Anna", "berta,Berta"),
    ):
        assert office.apply(text).secrets == 0
        assert md5s(office) == first
    office.apply(csv(f"anna,Anna,1,{SECRETS[1]}", "berta,Berta,1,", columns=columns))
    assert md5s(office) == {"7000": md5("7000", SECRETS[1]), "7001": first["7001"]}


def test_the_secrets_that_were_made_can_be_put_into_the_file(office: Office) -> None:
    out = office.folder / "secrets.csv"
    office.apply(csv("anna,Anna"), out=out)
    (row,) = read(out)
    assert not office.plan(csv(f"anna,Anna,{row['secret']}", columns=COLUMNS)).plan


def test_no_secret_and_no_digest_is_shown_or_logged_or_in_the_history(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    out = office.folder / "secrets.csv"
    first = office.file(csv(f"anna,Anna,{SECRETS[0]}", "berta,Berta,", columns=COLUMNS))
    shown = [office.run("plan", first, "--full"), office.run("plan", first, "--json")]
    shown += [office.run("apply", first, "--yes", "--json", "--secrets-out", out)]
    second = office.file(csv(f"anna,Anna,{SECRETS[1]}", f"berta,Berta,{SECRETS[2]}", columns=COLUMNS))
    digests = list(md5s(office).values())
    shown += [office.run("plan", second), office.run("apply", second, "--yes")]
    weak = office.file(csv("carl,Carl,carl-7000-carl", "anna,Anna,anna-7000-anna", columns=COLUMNS))
    shown += [office.run("apply", weak, "--yes"), office.run("--debug", "plan", weak)]
    shown += [
        office.run("history", "show", 1),
        office.run("history", "show", 2, "--json"),
        office.run("export"),
    ]
    text = "\n".join(done.output + repr(done.exception) for done in shown) + caplog.text
    text += str(office.query("SELECT h::text FROM provisioner.history AS h"))
    text += str(office.query("SELECT c::text FROM provisioner.changes AS c"))
    text += str(office.query("SELECT o::text FROM provisioner.outbox AS o"))
    (made,) = read(out)
    hidden = [*SECRETS, made["secret"], "carl-7000-carl", "anna-7000-anna", *digests, *md5s(office).values()]
    assert [word for word in hidden if word in text] == []
    assert "7000.secret: changed" in text
    assert "easy to guess" in text
