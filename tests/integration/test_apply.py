"""A file becomes users: what is there afterwards, what is refused, and that nothing else is touched."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from provisioner.errors import FileError, PlanMoved, TooMuch
from provisioner.plan import UserPlan, Verb
from provisioner.records import Kind
from provisioner.service import users
from provisioner.service.apply import Job
from provisioner.service.fileplans import Asked, open_job
from provisioner.store import Transaction
from tests.integration.office import Office, csv, logins, people

pytestmark = pytest.mark.integration

SHEET = """\
login,name,email,active,number,kind,label,lines
anna,Anna Kowalska,anna@example.org,yes,7001,,,2
anna,,,,,alias,home,1
anna,,,,7050,additional,,3
ivan,Иван Петров,,no,,,,
"""
TREE = """\
- login: anna
  name: Anna Kowalska
  email: anna@example.org
  active: yes
  extensions:
    - {number: "7001", lines: 2}
    - {label: home, lines: 1}
    - {number: 7050, lines: 3}
- login: ivan
  name: Иван Петров
  email: ''
  active: no
"""
LINES = "".join(
    json.dumps(user, ensure_ascii=False) + "\n"
    for user in (
        {
            "login": "anna",
            "name": "Anna Kowalska",
            "email": "anna@example.org",
            "extensions": [
                {"number": "7001", "lines": 2},
                {"label": "home", "lines": 1},
                {"number": 7050, "lines": 3},
            ],
        },
        {"login": "ivan", "name": "Иван Петров", "active": False},
    )
)

FILES = {"office.csv": SHEET, "office.yaml": TREE, "office.jsonl": LINES}


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_users_with_extensions_and_rows(office: Office, name: str) -> None:
    applied = office.apply(FILES[name], name)
    anna, ivan = office.users()["anna"], office.users()["ivan"]
    assert (anna.name, anna.email, anna.active, anna.source) == (
        "Anna Kowalska",
        "anna@example.org",
        True,
        "office",
    )
    assert [(one.endpoint_id, one.kind, one.lines) for one in anna.extensions] == [
        ("7001", Kind.PRIMARY, 2),
        ("7001-home", Kind.ALIAS, 1),
        ("7050", Kind.ADDITIONAL, 3),
    ]
    assert (ivan.name, ivan.email, ivan.active, ivan.endpoint_ids) == ("Иван Петров", None, False, ("7000",))
    # A disabled user has no rows.
    for table in ("ps_endpoints", "ps_auths", "ps_aors"):
        ids = office.query(f"SELECT id FROM {table} ORDER BY id")
        assert ids == [("7001",), ("7001-home",), ("7050",)]
    lines = office.query("SELECT max_contacts FROM ps_aors ORDER BY id")
    assert lines == [(2,), (1,), (3,)]
    assert (applied.planned.plan.count(Verb.CREATE), applied.secrets, applied.touched) == (2, 4, 3)


@pytest.mark.parametrize("name", FILES)
def test_the_second_apply_of_a_file_writes_nothing_at_all(office: Office, name: str) -> None:
    office.apply(FILES[name], name)
    before = office.everything()
    again = office.apply(FILES[name], name, prune=True)
    assert (again.change_id, again.planned.plan.unchanged, len(again.planned.plan)) == (None, 2, 0)
    assert office.everything() == before


def test_the_three_forms_of_a_file_say_the_same(office: Office) -> None:
    office.apply(SHEET)
    before = office.everything()
    for name, text in FILES.items():
        assert office.apply(text, name).change_id is None
    assert office.everything() == before


def test_a_user_who_is_the_same_is_not_written(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    query = "SELECT ctid::text, xmin::text FROM provisioner.users WHERE login = 'berta'"
    rows = "SELECT ctid::text, xmin::text FROM {} WHERE id = '7001'"
    before = [office.query(query), *(office.query(rows.format(t)) for t in ("ps_endpoints", "ps_aors"))]
    applied = office.apply(csv("anna,Anna Maria", "berta,Berta"))
    assert logins(applied.planned) == [("change", "anna")]
    assert before == [
        office.query(query),
        *(office.query(rows.format(t)) for t in ("ps_endpoints", "ps_aors")),
    ]


def test_a_change_of_a_file_changes_records_and_rows(office: Office) -> None:
    columns = "login,name,email,active,lines"
    office.apply(csv("anna,Anna,a@example.org,yes,2", "berta,Berta,,yes,1", columns=columns))
    changed = csv("anna,Anna Maria,,yes,4", "berta,Berta,b@example.org,no,1", columns=columns)
    assert logins(office.apply(changed).planned) == [("change", "anna"), ("change", "berta")]
    anna, berta = office.users()["anna"], office.users()["berta"]
    assert (anna.name, anna.email, anna.primary.lines) == ("Anna Maria", None, 4)
    assert (berta.email, berta.active) == ("b@example.org", False)
    assert office.query("SELECT id, max_contacts FROM ps_aors") == [("7000", 4)]
    (callerid,) = office.query("SELECT callerid FROM ps_endpoints")[0]
    assert "Anna Maria" in callerid


def test_users_that_a_file_lacks_stay_without_prune_and_go_with_it(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    users.add_extension(office.app, "berta", number="7050", label=None, lines=1, secret=None)
    assert not office.plan(csv("anna,Anna")).plan
    applied = office.apply(csv("anna,Anna"), prune=True)
    assert logins(applied.planned) == [("delete", "berta")]
    assert list(office.users()) == ["anna"]
    assert office.query("SELECT id FROM ps_endpoints") == [("7000",)]


def test_prune_deletes_only_users_of_the_same_source(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    office.apply(csv("carl,Carl"), "warehouse.csv")
    with office.app.change() as tx:
        assert tx.count_of("office") == 2
    assert office.run("user", "add", "dora", "--name", "Dora").exit_code == 0
    office.apply(csv("anna,Anna"), prune=True)
    assert sorted(office.users()) == ["anna", "carl", "dora"]


def test_a_deleted_user_comes_back_with_number_and_secret(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    before, rows = office.state()
    office.apply(csv("anna,Anna"), prune=True)
    applied = office.apply(csv("anna,Anna", "berta,Berta"))
    assert logins(applied.planned) == [("restore", "berta")]
    assert (applied.secrets, office.state()) == (0, (before, rows))


def test_a_deleted_user_of_another_source_is_not_brought_back(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    old = office.users()["berta"]
    office.apply(csv("anna,Anna"), prune=True)
    applied = office.apply(csv("berta,Berta"), "warehouse.csv")
    assert logins(applied.planned) == [("create", "berta")]
    new = office.users()["berta"]
    assert (new.source, old.source) == ("warehouse", "office")
    assert new.endpoint_ids != old.endpoint_ids


def test_a_user_deleted_longer_ago_than_numbers_rest_is_a_new_one(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    old = office.users()["berta"]
    office.apply(csv("anna,Anna"), prune=True)
    for table in ("users", "extensions"):
        office.query(
            f"UPDATE provisioner.{table} SET deleted_at = deleted_at - interval '31 days' "
            "WHERE deleted_at IS NOT NULL"
        )
    applied = office.apply(csv("anna,Anna", "berta,Berta"))
    assert logins(applied.planned) == [("create", "berta")]
    new = office.users()["berta"]
    assert new.endpoint_ids == old.endpoint_ids
    assert new.primary.credentials != old.primary.credentials


def test_a_disabled_user_keeps_the_secret_until_enabled(office: Office) -> None:
    columns = "login,name,active"
    office.apply(csv("anna,Anna,yes", columns=columns))
    users_before, rows_before = office.state()
    office.apply(csv("anna,Anna,no", columns=columns))
    assert office.query("SELECT id FROM ps_endpoints UNION ALL SELECT id FROM ps_auths") == []
    assert office.users()["anna"].extensions == users_before["anna"].extensions
    office.apply(csv("anna,Anna,yes", columns=columns))
    assert office.state() == (users_before, rows_before)


def test_a_login_is_known_in_any_case_and_form(office: Office) -> None:
    office.apply(csv("zoë,Zoë"))
    applied = office.apply(csv("ZOE\u0308,Zoë"))
    assert logins(applied.planned) == [("change", "ZOË")]
    assert list(office.users()) == ["ZOË"]


# -- what is refused


def test_every_problem_of_file_and_database_is_told_with_its_place(office: Office) -> None:
    office.apply(csv("berta,Berta,7005", columns="login,name,number"), "warehouse.csv")
    office.app.close()
    assert office.run("user", "add", "hand", "--name", "Hand").exit_code == 0
    found = office.problems(
        csv(
            "anna,Anna,7005,1,",
            "berta,Bertha,,1,",
            ",Nobody,,1,",
            "carl,Carl,abc,0,",
            "carl,Carl,,1,",
            "dora,Dora,7009,1,short",
            "emil,Emil,7009,1,",
            "hand,Other,,1,",
            columns="login,name,number,lines,secret",
        )
    )
    assert [line.split(": ")[0] for line in found[:-1]] == [
        f"office.csv:{line}" for line in (2, 3, 4, 5, 5, 6, 7, 8, 9)
    ]
    text = "\n".join(found)
    assert "office.csv:2: number: 7005 belongs to 'berta'" in text
    assert "office.csv:3: login: 'berta' belongs to the source 'warehouse'" in text
    assert "office.csv:6: login: 'carl' is given twice, in line 5 already" in text
    assert "office.csv:7: secret: has 5 characters" in text
    assert "office.csv:8: number: 7009 is given twice, in line 7 already" in text
    assert "office.csv:9: login: 'hand' was made by hand" in text
    assert found[-1] == "9 problems in 8 lines of office.csv; nothing was written"


def test_a_lack_of_free_numbers_is_told_with_every_other_problem(office: Office) -> None:
    office.set(numbers={"ranges": "7000-7001"})
    found = office.problems(
        csv("anna,Anna,1", "berta,Berta,1", "carl,Carl,1", "dora,Dora,0", columns="login,name,lines")
    )
    assert [line.split(": ")[0] for line in found[:-1]] == ["office.csv:2", "office.csv:5"]
    assert "Only 2 of 3 numbers are free in 7000-7001" in found[0]


def test_a_problem_of_an_additional_number_names_its_own_line(office: Office) -> None:
    office.apply(csv("berta,Berta,7005", columns="login,name,number"), "warehouse.csv")
    found = office.problems(csv("anna,Anna,7001,", "anna,,7005,additional", columns="login,name,number,kind"))
    assert found[0] == "office.csv:3: number: 7005 belongs to 'berta'"


def test_a_user_of_another_source_may_be_confirmed_and_not_changed(office: Office) -> None:
    office.apply(csv("anna,Anna"), "warehouse.csv")
    before = office.everything()
    assert office.apply(csv("anna,Anna")).planned.plan.unchanged == 1
    assert office.everything() == before
    (found, _) = office.problems(csv("anna,Anna Maria"))
    assert found.startswith("office.csv:2: login: 'anna' belongs to the source 'warehouse', not to 'office'")
    assert office.problems(csv("anna,Anna Maria"), adopt=True)[0] == found


def test_users_made_by_hand_are_taken_over_only_by_adopt(office: Office) -> None:
    assert office.run("user", "add", "anna", "--name", "Anna").exit_code == 0
    secret = office.users()["anna"].primary
    assert office.problems(csv("anna,Anna Maria"))[0].startswith(
        "office.csv:2: login: 'anna' was made by hand"
    )
    applied = office.apply(csv("anna,Anna Maria"), adopt=True)
    assert logins(applied.planned) == [("change", "anna")]
    anna = office.users()["anna"]
    assert (anna.name, anna.source, anna.primary) == ("Anna Maria", "office", secret)
    assert office.apply(csv("anna,Anna"), adopt=False).change_id is not None


def test_the_source_is_the_name_of_the_file_or_the_one_given(office: Office) -> None:
    office.apply(csv("anna,Anna"), "branch.2.csv")
    office.apply(csv("berta,Berta"), "office.yaml.csv", source="Główny magazyn")
    assert [user.source for user in office.users().values()] == ["branch.2", "Główny magazyn"]


def test_a_source_that_cannot_be_kept_is_refused_in_a_sentence(office: Office) -> None:
    for source in ("", "x" * 201, "line\nbreak", "\x1b[31m"):
        with pytest.raises(FileError, match=r"cannot be the name of a source, .*--source") as caught:
            office.plan(csv("anna,Anna"), source=source)
        assert str(caught.value).isprintable()
    long = f"{'x' * 210}.csv"
    with pytest.raises(FileError, match="--source"):
        office.plan(csv("anna,Anna"), long)
    assert office.apply(csv("anna,Anna"), long, source="short").change_id is not None


# -- how much may go


def test_too_many_deletions_need_force(office: Office) -> None:
    office.apply(csv(*people(10)))
    before = office.everything()
    with pytest.raises(TooMuch, match=r"delete 4 of the 10 users of 'office', and the limit is 30 %"):
        office.apply(csv(*people(6)), prune=True)
    assert office.everything() == before
    assert office.apply(csv(*people(6)), prune=True, force=True).planned.plan.count(Verb.DELETE) == 4


def test_as_many_deletions_as_the_limit_allows_need_no_force(office: Office) -> None:
    office.apply(csv(*people(10)))
    office.apply(csv(*people(7)), prune=True)
    assert len(office.users()) == 7


def test_the_limit_is_a_setting(office: Office) -> None:
    office.apply(csv(*people(10)))
    office.set(apply={"limit_percent": 10})
    with pytest.raises(TooMuch, match="delete 2 of the 10"):
        office.apply(csv(*people(8)), prune=True)
    office.apply(csv(*people(9)), prune=True)


def test_a_source_of_few_users_has_no_limit(office: Office) -> None:
    office.apply(csv(*people(9)))
    office.apply(csv(*people(1)), prune=True)
    assert list(office.users()) == ["u00"]


def test_cutting_off_many_phones_counts_as_taking_away(office: Office) -> None:
    columns = "login,name,active"
    office.apply(csv(*(f"{row},yes" for row in people(10)), columns=columns))
    with pytest.raises(TooMuch, match="cut off phones of 10 of the 10 users"):
        office.apply(csv(*(f"{row},no" for row in people(10)), columns=columns))


# -- at the same time


def _meanwhile(office: Office, text: str, times: int, somebody: Callable[[], object]) -> int:
    """Apply, while somebody else does something in so many moments between plan and lock."""
    job = open_job(office.app, Asked(office.file(text))).job
    rounds = 0

    def make(tx: Transaction) -> UserPlan:
        nonlocal rounds
        plan = job.make(tx)
        rounds += 1
        if rounds <= times:
            somebody()
        return plan

    office.carry_out(Job(make))
    return rounds


def test_a_record_that_changes_before_it_is_locked_is_planned_again(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    rounds = _meanwhile(
        office,
        csv("anna,Anna Maria", "berta,Berta", "carl,Carl"),
        1,
        lambda: office.query("UPDATE provisioner.users SET email = 'new@example.org'"),
    )
    assert rounds == 2
    assert (office.users()["anna"].name, office.users()["anna"].email) == ("Anna Maria", "new@example.org")
    assert office.numbers() == {"anna": ["7000"], "berta": ["7001"], "carl": ["7002"]}


def test_a_user_who_is_deleted_before_the_lock_comes_back(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    secret = office.users()["anna"].primary
    rounds = _meanwhile(
        office, csv("anna,Anna Maria"), 1, lambda: office.run("user", "delete", "anna", "--yes")
    )
    assert rounds == 2
    assert office.users()["anna"].name == "Anna Maria"
    assert office.users()["anna"].primary == secret


def test_records_that_never_stand_still_are_given_up(office: Office) -> None:
    office.apply(csv(*people(10)))
    step = itertools.count()

    def rename() -> None:
        """One who is in the plan and not locked yet, and one who will be in the next."""
        now = next(step)
        query = "UPDATE provisioner.users SET name = %s WHERE login = ANY (%s)"
        office.query(query, f"Other {now}", [f"u{now:02}", f"u{now + 1:02}"])

    with pytest.raises(PlanMoved, match="the records change faster than they can be locked"):
        _meanwhile(office, csv("u00,New", *people(9, first=1)), 99, rename)
    assert office.query("SELECT count(*) FROM provisioner.changes") == [(1,)]
