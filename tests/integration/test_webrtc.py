"""`webrtc` of a user, on its way from command and file to rows, history and back."""

from __future__ import annotations

import json

import pytest

from tests.integration.office import Office, csv

pytestmark = pytest.mark.integration

ROWS = "SELECT id, webrtc, media_encryption, dtls_auto_generate_cert FROM ps_endpoints ORDER BY id"
BROWSER, PHONE = ("yes", "dtls", "yes"), (None, None, None)


def test_the_commands_make_a_user_s_extensions_those_of_browsers_and_of_phones_again(office: Office) -> None:
    assert office.run("user", "add", "anna", "--name", "Anna", "--webrtc").exit_code == 0
    office.run("user", "extension", "add", "anna")
    assert office.query(ROWS) == [("7000", *BROWSER), ("7001", *BROWSER)]
    assert json.loads(office.run("user", "show", "anna", "--json").stdout)["webrtc"] is True
    for command in (("set", "anna", "--name", "Anna Maria"), ("disable", "anna"), ("enable", "anna")):
        assert office.run("user", *command).exit_code == 0
    assert office.query(ROWS) == [("7000", *BROWSER), ("7001", *BROWSER)]
    assert office.run("user", "set", "anna", "--no-webrtc").exit_code == 0
    assert office.query(ROWS) == [("7000", *PHONE), ("7001", *PHONE)]


def test_a_file_says_who_has_a_browser_and_history_and_undo_know_it(office: Office) -> None:
    columns = "login,name,webrtc"
    office.apply(csv("anna,Anna,no", "berta,Berta,", columns=columns))
    changed = csv("anna,Anna,yes", "berta,Berta,", columns=columns)
    planned = office.run("plan", office.file(changed))
    assert "~ anna webrtc: no -> yes\n" in planned.stdout
    applied = office.apply(changed)
    assert office.query(ROWS) == [("7000", *BROWSER), ("7001", *PHONE)]
    assert "webrtc: no -> yes" in office.run("history", "show", str(applied.change_id)).stdout
    assert office.apply(csv("anna,Anna", "berta,Berta")).change_id is None
    for form in ("csv", "yaml", "jsonl"):
        path = office.folder / f"office.{form}"
        assert office.run("export", path).exit_code == 0
        assert office.run("plan", path, "--exit-code").exit_code == 0
    assert office.run("undo", str(applied.change_id), "--yes").exit_code == 0
    assert office.query(ROWS) == [("7000", *PHONE), ("7001", *PHONE)]


@pytest.mark.parametrize("word", ["browser", "2"])
def test_a_word_that_is_neither_yes_nor_no_is_refused_with_its_place(office: Office, word: str) -> None:
    done = office.run("plan", office.file(csv(f"anna,Anna,{word}", columns="login,name,webrtc")))
    assert done.exit_code == 1
    assert f"office.csv:2: webrtc: {word!r} is neither yes nor no" in done.stderr
