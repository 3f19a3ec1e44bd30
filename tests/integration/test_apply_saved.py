"""A plan in a file: carried out when it is still what would happen, and otherwise what moved is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.integration.office import SECRETS, Office, csv, sha256

pytestmark = pytest.mark.integration

COLUMNS = "login,name,lines"
ROWS = ("anna,Anna,1", "berta,Berta,1")
TEXT = csv(*ROWS, columns=COLUMNS)


def saved(office: Office, text: str = TEXT, *options: object) -> Path:
    """The plan of a file, saved."""
    plan = office.folder / "monday.plan"
    done = office.run("plan", office.file(text), "--out", plan, *options)
    assert done.exit_code == 0, done.output
    return plan


def refused(office: Office, plan: Path) -> Result:
    """The plan is not carried out, and nothing is written."""
    before = office.everything()
    done = office.run("apply", plan, "--yes")
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert office.everything() == before
    return done


def test_a_saved_plan_is_carried_out_while_nothing_moved(office: Office) -> None:
    plan = saved(office)
    assert office.users() == {}
    assert office.run("apply", plan, "--yes").exit_code == 0
    assert office.numbers() == {"anna": ["7000"], "berta": ["7001"]}
    with office.app.reading() as tx:
        (change,) = tx.history()
    path = office.folder / "office.csv"
    assert (change.file, change.file_sha256) == (str(path), sha256(path))


def test_a_saved_plan_keeps_its_source_prune_and_adopt(office: Office) -> None:
    office.apply(TEXT, source="hq")
    assert office.run("user", "add", "hand", "--name", "Hand").exit_code == 0
    plan = saved(office, csv("anna,Anna", "hand,Hand"), "--source", "hq", "--prune", "--adopt")
    assert office.run("apply", plan, "--yes").exit_code == 0
    assert {login: user.source for login, user in office.users().items()} == {"anna": "hq", "hand": "hq"}


def test_a_saved_plan_shows_itself_and_asks(office: Office) -> None:
    plan = saved(office)
    done = office.run("apply", plan, input="n\n")
    assert done.exit_code == 1
    assert "+ anna 'Anna': 7000 (1 line); new secret" in done.stdout
    assert office.users() == {}


def test_a_saved_plan_takes_no_other_options(office: Office) -> None:
    plan = saved(office)
    done = office.run("apply", plan, "--prune", "--yes")
    assert (done.exit_code, office.users()) == (2, {})
    assert "a saved plan knows its source and options" in done.stderr


def test_a_saved_plan_is_applied_once(office: Office) -> None:
    plan = saved(office)
    assert office.run("apply", plan, "--yes").exit_code == 0
    done = refused(office, plan)
    assert done.stderr.splitlines() == [
        "error: Nothing was written: the plan that was agreed to is not the one of now.",
        "error: 'anna': no longer to create",
        "error: 'berta': no longer to create",
    ]


def test_a_record_that_changed_since_is_named_with_both_values(office: Office) -> None:
    office.apply(TEXT)
    plan = saved(office, csv("anna,Anna,3", "berta,Berta,1", columns=COLUMNS))
    assert office.run("user", "set", "anna", "--lines", "2").exit_code == 0
    assert "'anna': 7000.lines: '2' -> '3' instead of '1' -> '3'" in refused(office, plan).stderr


def test_a_number_that_was_given_meanwhile_is_named(office: Office) -> None:
    plan = saved(office)
    assert office.run("user", "add", "hand", "--name", "Hand").exit_code == 0
    assert "'anna': extensions are other than saved" in refused(office, plan).stderr


@pytest.mark.parametrize("change", ["file", "gone"])
def test_a_file_that_is_another_by_now_is_named(office: Office, change: str) -> None:
    plan = saved(office)
    path = office.folder / "office.csv"
    if change == "gone":
        path.unlink()
        why = f"{path}, which the plan was made from, is gone"
    else:
        path.write_text(TEXT + "\n", encoding="utf-8")
        why = f"{path} has changed since the plan was made"
    assert refused(office, plan).stderr == f"error: Nothing was written: {why}; plan again.\n"


def test_a_plan_file_that_was_cut_off_is_no_plan(office: Office) -> None:
    plan = saved(office)
    whole = plan.read_text(encoding="utf-8")
    half, last = whole.rstrip("\n").rsplit("\n", 1)
    for text, why in (
        (half + "\n", "has 1 of its 2 changes; plan again"),
        (f"{half}\n{last[:20]}", ":3 is no line of a saved plan; plan again"),
        (whole[:40], ":1 is no line of a saved plan; plan again"),
    ):
        plan.write_text(text, encoding="utf-8")
        assert why in refused(office, plan).stderr


@pytest.mark.parametrize("edit", [{"format": "docx"}, {"file": 7}, {"source": ["x"]}, {"sha256": "0" * 64}])
def test_a_plan_file_that_somebody_edited_is_refused_in_a_sentence(
    office: Office, edit: dict[str, object]
) -> None:
    plan = saved(office)
    header, *lines = plan.read_text(encoding="utf-8").splitlines()
    data = json.loads(header)
    data["origin"].update(edit)
    plan.write_text("\n".join([json.dumps(data), *lines, ""]), encoding="utf-8")
    stderr = refused(office, plan).stderr
    assert stderr.startswith("error: ")
    assert "unexpected" not in stderr
    assert "plan again" in stderr


def test_a_saved_plan_holds_no_secret(office: Office) -> None:
    text = csv(f"anna,Anna,{SECRETS[0]}", "berta,Berta,", columns="login,name,secret")
    plan = saved(office, text)
    office.apply(text)
    kept = plan.read_text(encoding="utf-8")
    assert SECRETS[0] not in kept
    again = saved(office, text.replace(SECRETS[0], SECRETS[1])).read_text(encoding="utf-8")
    assert SECRETS[1] not in again
    assert '"7000.secret": "changed"' in again
    for user in office.users().values():
        assert user.primary.credentials.md5 not in again


def test_a_plan_is_not_saved_over_the_file_that_it_is_made_from(office: Office) -> None:
    path = office.file(TEXT)
    done = office.run("plan", path, "--out", office.folder / "." / "office.csv")
    assert done.exit_code == 1
    assert "name another file" in done.stderr
    assert path.read_text(encoding="utf-8") == TEXT


def test_a_plan_of_standard_input_is_not_saved(office: Office) -> None:
    plan = office.folder / "monday.plan"
    done = office.run("plan", "-", "--out", plan, input=TEXT)
    assert done.exit_code == 1
    assert "a plan of standard input cannot be saved" in done.stderr
    assert not plan.exists()
