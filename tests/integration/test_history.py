"""The history of files that were applied: who, when, from what, and what became of whom."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.integration.office import SECRETS, Office, csv, people, sha256

pytestmark = pytest.mark.integration

TEXT = csv(f"anna,Anna,{SECRETS[0]}", "berta,Berta,", columns="login,name,secret")


def test_a_change_tells_its_file_by_name_and_sum_and_who_made_it(office: Office) -> None:
    path = office.file(TEXT)
    assert office.run("apply", path, "--yes").exit_code == 0
    (change,) = json.loads(office.run("history", "--json").stdout)
    assert change["actor"] == "tester"
    assert change["command"] == "provisioner apply"
    assert (change["file"], change["file_sha256"]) == (str(path), sha256(path))
    assert (change["undoes"], change["counts"]) == (None, {"create": 2})
    assert datetime.fromisoformat(change["at"]).tzinfo is not None
    *_, row = office.run("history").stdout.splitlines()
    assert row.split("\t")[2:] == ["tester", "provisioner apply", str(path), "2 created"]


def test_changes_are_listed_newest_first_and_of_one_user_alone(office: Office) -> None:
    office.apply(TEXT)
    office.apply(csv("anna,Anna Maria", "berta,Berta"))
    office.apply(csv("anna,Anna Maria"), prune=True)
    office.undo(3)

    def ids(*words: object) -> list[int]:
        return [change["change"] for change in json.loads(office.run("history", *words, "--json").stdout)]

    assert ids() == [4, 3, 2, 1]
    assert ids("--limit", 2) == [4, 3]
    assert ids("anna") == [2, 1]
    assert ids("BERTA") == [4, 3, 1]
    assert ids("nobody") == []
    row = office.run("history", "--limit", "1").stdout.splitlines()[-1]
    assert row.endswith("\tundoes 3\t1 restored")


def test_changes_are_listed_from_a_moment_on(office: Office) -> None:
    office.apply(TEXT)
    _make_older(office, days=3)
    office.apply(csv("anna,Anna Maria", "berta,Berta"))

    def ids(since: datetime) -> list[int]:
        words = ("history", "--since", f"{since:%Y-%m-%dT%H:%M}", "--json")
        return [change["change"] for change in json.loads(office.run(*words).stdout)]

    now = datetime.now()
    assert ids(now - timedelta(days=4)) == [2, 1]
    assert ids(now - timedelta(days=1)) == [2]
    assert ids(now + timedelta(days=1)) == []


def test_one_change_is_shown_as_the_plan_that_it_was(office: Office) -> None:
    path = office.file(TEXT)
    office.apply(TEXT)
    office.apply(csv(f"anna,Anna Maria,{SECRETS[1]}", columns="login,name,secret"), prune=True)
    first = office.run("history", "show", 1).stdout.splitlines()
    assert first[0].endswith(" by tester, test")
    assert first[1].startswith(f"from {path}, SHA-256 ")
    assert first[2:] == [
        "+ anna 'Anna': 7000 (1 line); new secret",
        "+ berta 'Berta': 7001 (1 line); new secret",
    ]
    assert office.run("history", "show", 2).stdout.splitlines()[2:] == [
        "~ anna name: 'Anna' -> 'Anna Maria'",
        "~ anna 7000.secret: changed",
        "- berta 'Berta': 7001 (1 line); 7001 rests",
    ]
    shown = json.loads(office.run("history", "show", 2, "--json").stdout)
    assert [(change["verb"], change["login"]) for change in shown["changes"]] == [
        ("change", "anna"),
        ("delete", "berta"),
    ]
    assert shown["changes"][0]["fields"] == {
        "name": {"old": "Anna", "new": "Anna Maria"},
        "7000.secret": "changed",
    }


def test_a_long_change_is_folded_unless_all_of_it_is_asked_for(office: Office) -> None:
    office.apply(csv(*people(60)))
    assert "+ ... and 10 more to create" in office.run("history", "show", 1).stdout
    assert len(office.run("history", "show", 1, "--full").stdout.splitlines()) == 62


def test_an_unknown_change_is_answered_with_where_to_look(office: Office) -> None:
    for id in (1, 0, 2**70):
        done = office.run("history", "show", id)
        assert done.exit_code == 1
        assert f"There is no change {id} in the history: `provisioner history` lists" in done.stderr


def test_an_apply_that_fails_or_changes_nothing_is_no_history(office: Office) -> None:
    office.apply(TEXT)
    office.apply(TEXT)
    assert office.run("apply", office.file(csv("anna,")), "--yes").exit_code == 1
    assert office.run("apply", office.file(TEXT + "x,X,\n"), input="n\n").exit_code == 1
    assert office.query("SELECT id FROM provisioner.changes") == [(1,)]


@pytest.mark.parametrize(("keep_days", "left"), [(10, [2]), (0, [1, 2]), (365, [1, 2])])
def test_what_is_older_than_the_setting_is_forgotten_with_the_next_change(
    office: Office, keep_days: int, left: list[int]
) -> None:
    office.set(history={"keep_days": keep_days})
    office.apply(TEXT)
    _make_older(office, days=11)
    office.apply(TEXT)
    assert office.query("SELECT id FROM provisioner.changes") == [(1,)]
    office.apply(TEXT.replace(SECRETS[0], SECRETS[1]))
    kept = [id for (id,) in office.query("SELECT id FROM provisioner.changes ORDER BY id")]
    assert kept == left
    assert office.query("SELECT DISTINCT change_id FROM provisioner.past_secrets") == [(2,)]
    assert list(office.users()) == ["anna", "berta"]


def _make_older(office: Office, days: int) -> None:
    """As if all changes had been made so long ago."""
    office.query("ALTER TABLE provisioner.changes DISABLE TRIGGER USER")
    office.query("UPDATE provisioner.changes SET at = at - make_interval(days => %s)", days)
    office.query("ALTER TABLE provisioner.changes ENABLE TRIGGER USER")
