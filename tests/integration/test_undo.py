"""The way back from a change: records, rows, numbers and secrets as they were; or a conflict, and nothing."""

from __future__ import annotations

import pytest

from provisioner.errors import Conflict, NotFound
from provisioner.plan import Verb, diff
from provisioner.realtime import AORS, Rows
from provisioner.service import users
from tests.integration.office import Office, csv, logins, people

pytestmark = pytest.mark.integration

FULL = "login,name,email,active,number,kind,label,lines,secret"
BEFORE = csv(
    "anna,Anna,anna@example.org,yes,7000,,,2,Vq8-tundra-7Kf",
    "anna,,,,7050,additional,,1,",
    "anna,,,,7000,,home,1,",
    "berta,Berta,,no,7001,,,1,",
    "carl,Carl,,yes,7002,,,1,",
    columns=FULL,
)

# One change of each kind; undone, each leaves what was there before.
CHANGES = {
    "create": (BEFORE + "dora,Dora,,yes,,,,1,\n", False),
    "name and address": (BEFORE.replace("Anna,anna@example.org", "Anna Maria,"), False),
    "lines": (BEFORE.replace(",2,Vq8", ",3,Vq8"), False),
    "secret": (BEFORE.replace("Vq8-tundra-7Kf", "Wm3-pepper-9Lx"), False),
    "number": (BEFORE.replace(",7002,", ",7009,"), False),
    "extensions taken away": (
        BEFORE.replace("anna,,,,7050,additional,,1,\n", "").replace("anna,,,,7000,,home,1,\n", ""),
        False,
    ),
    "number with its alias": (BEFORE.replace(",7000,", ",7008,"), False),
    "extension added": (BEFORE + "berta,,,,7060,additional,,4,\n", False),
    "disable": (BEFORE.replace("Carl,,yes", "Carl,,no"), False),
    "enable": (BEFORE.replace("Berta,,no", "Berta,,yes"), False),
    "primary and additional change places": (
        BEFORE.replace(",7050,", ",7000,").replace("yes,7000,,,2,Vq8-tundra-7Kf", "yes,7050,,,1,"),
        False,
    ),
    "delete": (BEFORE.replace("carl,Carl,,yes,7002,,,1,\n", ""), True),
    "delete of a disabled one": (BEFORE.replace("berta,Berta,,no,7001,,,1,\n", ""), True),
    "all at once": (
        csv(
            "anna,Anna Maria,,no,7050,,,3,Wm3-pepper-9Lx",
            "carl,Carl,,yes,7009,,,1,",
            "dora,Dora,,yes,,,,1,",
            "dora,,,,,additional,,1,",
            columns=FULL,
        ),
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_undo_brings_back_records_rows_numbers_and_secrets(office: Office, name: str) -> None:
    text, prune = CHANGES[name]
    office.apply(BEFORE)
    before = office.state()
    change = office.apply(text, prune=prune).change_id
    changed = office.state()
    assert changed != before
    undone = office.undo(change)
    assert office.state() == before
    # An undo is a change like any other: taken back, it brings back what it took.
    office.undo(undone.change_id)
    assert office.state() == changed


def test_undo_of_a_restore_deletes_again(office: Office) -> None:
    office.apply(BEFORE)
    whole = office.state()
    office.apply(BEFORE.replace("carl,Carl,,yes,7002,,,1,\n", ""), prune=True)
    before = office.state()
    change = office.apply(BEFORE).change_id
    undone = office.undo(change)
    assert (logins(undone.planned), office.state()) == ([("delete", "carl")], before)
    office.undo(undone.change_id)
    assert office.state() == whole


def test_undo_of_an_adoption_gives_the_user_back(office: Office) -> None:
    assert office.run("user", "add", "anna", "--name", "Anna").exit_code == 0
    before = office.state()
    change = office.apply(csv("anna,Anna Maria"), adopt=True).change_id
    office.undo(change)
    assert office.state() == before
    assert office.users()["anna"].source is None


@pytest.mark.parametrize("verb", ["disable", "delete", "secret"])
def test_undo_takes_back_what_a_user_command_did(office: Office, verb: str) -> None:
    office.apply(BEFORE)
    before = office.state()
    assert office.run("user", verb, "carl", *(["--yes"] if verb == "delete" else [])).exit_code == 0
    assert office.state() != before
    office.undo(2)
    assert office.state() == before


def test_undo_of_an_exchange_of_numbers_gives_them_back(office: Office) -> None:
    office.set(numbers={"rest_days": 0})
    columns = "login,name,number"
    office.apply(csv("anna,Anna,7000", "berta,Berta,7001", columns=columns))
    before = office.state()
    office.undo(office.apply(csv("anna,Anna,7001", "berta,Berta,7000", columns=columns)).change_id)
    assert office.state() == before


def test_undo_of_a_big_change_is_done_whole(office: Office) -> None:
    office.apply(csv(*people(60)))
    before = office.state()
    mixed = (
        [f"{row.partition(',')[0]},Renamed" for row in people(20)]
        + people(20, first=40)
        + people(30, first=70)
    )
    applied = office.apply(csv(*mixed), prune=True, force=True)
    assert [applied.planned.plan.count(verb) for verb in Verb] == [30, 20, 20, 0]
    office.undo(applied.change_id)
    assert office.state() == before


def test_the_history_says_what_an_undo_took_back(office: Office) -> None:
    change = office.apply(BEFORE).change_id
    undone = office.undo(change).change_id
    with office.app.reading() as tx:
        assert (tx.history_change(undone or 0).undoes, tx.history_change(undone or 0).file) == (change, None)


# -- what is refused


def test_a_user_who_was_changed_again_is_a_conflict_and_nobody_is_undone(office: Office) -> None:
    change = office.apply(BEFORE).change_id
    assert office.run("user", "set", "anna", "--name", "Else").exit_code == 0
    assert office.run("user", "delete", "berta", "--yes").exit_code == 0
    before = office.everything()
    with pytest.raises(Conflict) as caught:
        office.undo(change)
    look = "was changed again, by change {0}: look with `provisioner history show {0}`, and undo that first"
    assert str(caught.value).splitlines() == [
        "Change 1 cannot be undone.",
        f"'anna': {look.format(2)}",
        f"'berta': {look.format(3)}",
    ]
    assert office.everything() == before


def test_changes_are_undone_one_after_the_other_from_the_newest(office: Office) -> None:
    states = [office.state()]
    changes = []
    for text in (BEFORE, BEFORE.replace("Carl", "Karl"), BEFORE.replace("Vq8-tundra-7Kf", "Wm3-pepper-9Lx")):
        changes.append(office.apply(text).change_id)
        states.append(office.state())
    for change, state in zip(reversed(changes), reversed(states[:-1]), strict=True):
        office.undo(change)
        assert office.state() == state


def test_a_change_that_was_taken_back_is_not_taken_back_again(office: Office) -> None:
    office.apply(BEFORE)
    change = office.apply(BEFORE.replace("Carl", "Karl")).change_id
    office.undo(change)
    before = office.everything()
    with pytest.raises(
        Conflict, match=f"'carl': is not what change {change} made of it: that was taken back"
    ):
        office.undo(change)
    assert office.everything() == before


def test_a_number_that_somebody_else_has_by_now_is_a_conflict(office: Office) -> None:
    office.set(numbers={"rest_days": 0})
    columns = "login,name,number"
    office.apply(csv("anna,Anna,7000", columns=columns))
    change = office.apply(csv("anna,Anna,7001", columns=columns)).change_id
    office.apply(csv("berta,Berta,7000", columns=columns), "other.csv")
    with pytest.raises(Conflict, match=r"cannot be undone\.\n'anna': 7000 belongs to 'berta'"):
        office.undo(change)


def test_mended_rows_are_not_taken_back(office: Office) -> None:
    office.apply(BEFORE)
    anna = users.show(office.app, "anna")
    with office.app.change() as tx:
        was = Rows({AORS: {"7000": {"max_contacts": 5}}})
        tx.note_rows(diff(Rows({AORS: {"7000": {"max_contacts": 2}}}), was), {"7000": anna})
        mended = tx.change_id
    with pytest.raises(
        Conflict, match="'anna': rows were mended, as its record says; there is nothing to take back"
    ):
        office.undo(mended)


def test_what_the_history_does_not_keep_cannot_be_undone(office: Office) -> None:
    with pytest.raises(NotFound, match="There is no change 1 in the history"):
        office.undo(1)
    change = office.apply(BEFORE).change_id
    office.query("ALTER TABLE provisioner.changes DISABLE TRIGGER USER")
    office.query("UPDATE provisioner.changes SET at = at - interval '400 days'")
    office.query("ALTER TABLE provisioner.changes ENABLE TRIGGER USER")
    office.apply(BEFORE.replace("Carl", "Karl"))
    with pytest.raises(NotFound, match=f"There is no change {change} in the history"):
        office.undo(change)


def test_undo_asks_and_shows_the_way_back(office: Office) -> None:
    office.apply(BEFORE)
    before = office.everything()
    asked = office.run("undo", 1, input="n\n")
    assert asked.exit_code == 1
    assert "- carl 'Carl': 7002 (1 line)" in asked.stdout
    assert "3 to delete" in asked.stdout
    assert "Apply this plan?" in asked.stderr
    assert office.everything() == before
    assert office.run("undo", 1, input="y\n").exit_code == 0
    assert office.users() == {}


def test_undo_has_no_limit(office: Office) -> None:
    office.apply(csv(*people(12)))
    assert office.run("undo", 1, "--yes", "--quiet").exit_code == 0
    assert office.users() == {}
