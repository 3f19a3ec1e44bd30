"""What is exported is a file that says the same again."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from provisioner.files import Format, template
from tests.integration.office import Office, csv

pytestmark = pytest.mark.integration

FORMATS = ["csv", "yaml", "jsonl"]
STARTS = {"csv": "login,name,", "yaml": "- login: anna\n", "jsonl": '{"login": "anna", '}


@pytest.mark.parametrize("form", FORMATS)
def test_a_template_is_a_file_that_plan_takes(office: Office, form: str) -> None:
    path = office.folder / f"users.{form}"
    done = office.run("export", "--template", "--format", form)
    assert (done.exit_code, done.stdout) == (0, template(Format(form)))
    assert office.run("export", "--template", path).exit_code == 0
    assert path.read_text(encoding="utf-8") == done.stdout
    assert office.run("plan", path, "--exit-code").exit_code == 3
    assert office.run("apply", path, "--yes").exit_code == 0
    assert office.run("plan", path, "--exit-code").exit_code == 0
    assert office.numbers() == {"anna.kowalska": ["7001"], "ivan.petrov": ["7000", "7000-home"]}


@pytest.mark.parametrize("form", FORMATS)
def test_the_form_is_that_of_the_file_s_name_unless_said(office: Office, form: str) -> None:
    office.apply(csv("anna,Anna"))
    path = office.folder / f"users.{form.upper()}"
    assert office.run("export", path).exit_code == 0
    assert path.read_text(encoding="utf-8").startswith(STARTS[form])
    plain = office.folder / "users.txt"
    assert office.run("export", plain, "--format", form).exit_code == 0
    assert plain.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_without_a_name_the_form_is_json_lines(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    assert office.run("export").stdout.startswith(STARTS["jsonl"])
    assert office.run("export", office.folder / "users").exit_code == 0
    assert (office.folder / "users").read_text(encoding="utf-8").startswith(STARTS["jsonl"])


@pytest.mark.parametrize("name", ["users.yml", "users.ndjson"])
def test_a_name_that_apply_reads_as_a_form_is_exported_in_it(office: Office, name: str) -> None:
    office.apply(csv("anna,Anna"))
    path = office.folder / name
    assert office.run("export", path).exit_code == 0
    assert office.run("plan", path, "--exit-code").exit_code == 0


def test_a_spreadsheet_is_not_exported_under_another_form_s_name(office: Office) -> None:
    path = office.folder / "users.xlsx"
    done = office.run("export", path)
    assert done.exit_code == 1
    assert "xlsx is only read" in done.stderr
    assert not path.exists()


def test_only_the_users_of_a_source_are_exported_where_it_is_named(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    office.apply(csv("carl,Carl"), "warehouse.csv")
    rows = office.run("export", "--format", "csv", "--source", "warehouse").stdout.splitlines()
    assert [row.partition(",")[0] for row in rows] == ["login", "carl"]
    assert len(office.run("export", "--format", "csv").stdout.splitlines()) == 4
    assert office.run("export", "--format", "csv", "--source", "none").stdout.count("\n") == 1


@pytest.mark.parametrize("form", FORMATS)
def test_nobody_is_exported_as_a_file_of_nobody(office: Office, form: str) -> None:
    path = office.folder / f"users.{form}"
    assert office.run("export", path).exit_code == 0
    assert office.run("plan", path, "--exit-code").exit_code == 0


def test_a_deleted_user_is_not_exported_and_a_disabled_one_is(office: Office) -> None:
    office.apply(csv("anna,Anna,no", "berta,Berta,yes", columns="login,name,active"))
    assert office.run("user", "delete", "berta", "--yes").exit_code == 0
    (_, row) = office.run("export", "--format", "csv").stdout.splitlines()
    assert row == "anna,Anna,,no,no,7000,primary,,1"


def test_an_export_that_fails_leaves_the_file_that_was_there(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    path = office.folder / "users.csv"
    assert office.run("export", path).exit_code == 0
    before = path.read_text(encoding="utf-8")
    office.query("ALTER TABLE provisioner.extensions RENAME COLUMN lines TO gone")
    done = office.run("export", path)
    assert done.exit_code == 1
    assert path.read_text(encoding="utf-8") == before
    assert _files(office.folder) == ["office.csv", "users.csv"]


def test_a_file_that_cannot_be_written_is_named(office: Office) -> None:
    done = office.run("export", office.folder / "no-such-folder" / "users.csv")
    assert done.exit_code == 1
    assert "users.csv: cannot be written: No such file or directory" in done.stderr


def test_the_place_and_rights_of_a_file_stay_when_it_is_written_anew(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    (office.folder / "there").mkdir()
    path, link = office.folder / "there" / "users.csv", office.folder / "users.csv"
    path.touch(mode=0o640)
    link.symlink_to(path)
    assert office.run("export", link).exit_code == 0
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert "anna,Anna" in path.read_text(encoding="utf-8")


def test_a_pipe_is_written_to_and_stays_one(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    pipe = office.folder / "users.csv"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert office.run("export", pipe).exit_code == 0
    reader.join(timeout=30)
    assert pipe.is_fifo()
    assert "anna,Anna" in read[0]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())
