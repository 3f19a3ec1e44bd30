"""Which numbers the users of a file get, and which they cannot have."""

from __future__ import annotations

import itertools

import pytest

from provisioner.service import users
from tests.integration.office import Office, csv, md5

pytestmark = pytest.mark.integration

NUMBER = "login,name,number"


def test_numbers_are_given_by_login_whatever_the_order_of_rows(office: Office) -> None:
    rows = ["carl,Carl", "Anna,Anna", "berta,Berta"]
    for order in itertools.permutations(rows):
        planned = office.plan(csv(*order))
        given = {change.user.login: change.user.primary.number for change in planned.plan}
        assert given == {"Anna": "7000", "berta": "7001", "carl": "7002"}


def test_numbers_that_a_file_names_are_never_given_to_others(office: Office) -> None:
    office.apply(csv("anna,Anna,", "berta,Berta,7001", "carl,Carl,", "dora,Dora,7000", columns=NUMBER))
    assert office.numbers() == {"anna": ["7002"], "berta": ["7001"], "carl": ["7003"], "dora": ["7000"]}


def test_numbers_that_rest_are_held_or_foreign_are_not_given(office: Office) -> None:
    office.apply(csv("held,Held,7000", "rests,Rests,7001", columns=NUMBER), "old.csv")
    office.apply(csv("held,Held,7000", columns=NUMBER), "old.csv", prune=True)
    office.query("INSERT INTO ps_aors (id) VALUES ('7002')")
    office.apply(csv("anna,Anna", "berta,Berta"))
    assert office.numbers()["anna"] == ["7003"]
    assert office.numbers()["berta"] == ["7004"]


def test_numbers_that_rest_are_held_or_foreign_are_refused_with_the_reason(office: Office) -> None:
    office.apply(csv("held,Held,7000", "rests,Rests,7001", columns=NUMBER), "old.csv")
    office.apply(csv("held,Held,7000", columns=NUMBER), "old.csv", prune=True)
    office.query("INSERT INTO ps_aors (id) VALUES ('7002')")
    found = office.problems(csv("a,A,7000", "b,B,7001", "c,C,7002", "d,D,7003", columns=NUMBER))
    assert found[0] == "office.csv:2: number: 7000 belongs to 'held'"
    assert found[1].startswith("office.csv:3: number: 7001 rests until ")
    assert found[1].endswith("its last user was 'rests'")
    assert found[2].startswith("office.csv:4: number: 7002 is in use by rows of Asterisk's tables")
    assert found[3] == "3 problems in 3 lines of office.csv; nothing was written"


def test_a_user_takes_an_own_number_back_that_rests(office: Office) -> None:
    office.apply(csv("anna,Anna,7000", columns=NUMBER))
    office.apply(csv("anna,Anna,7050", columns=NUMBER))
    office.apply(csv("anna,Anna,7000", columns=NUMBER))
    assert office.numbers() == {"anna": ["7000"]}
    assert office.query("SELECT id FROM ps_endpoints") == [("7000",)]


def test_a_number_change_gives_a_secret_that_fits_it(office: Office) -> None:
    columns = "login,name,number,secret"
    office.apply(csv("anna,Anna,7000,Vq8-tundra-7Kf", columns=columns))
    office.apply(csv("anna,Anna,7050,Vq8-tundra-7Kf", columns=columns))
    primary = office.users()["anna"].primary
    assert (primary.number, primary.credentials.md5) == ("7050", md5("7050", "Vq8-tundra-7Kf"))


# -- numbers that change hands


def test_a_number_does_not_change_hands_while_it_would_rest(office: Office) -> None:
    office.apply(csv("anna,Anna,7000", columns=NUMBER))
    (found, _) = office.problems(csv("anna,Anna,7001", "berta,Berta,7000", columns=NUMBER))
    assert found == (
        "office.csv:3: number: 7000 belongs to 'anna', who gives it up here; then it rests for 30 days"
    )
    deleted = office.problems(csv("berta,Berta,7000", columns=NUMBER), prune=True)
    assert deleted[0].startswith("office.csv:2: number: 7000 belongs to 'anna', who gives it up here")


@pytest.mark.parametrize("after", ["anna,Anna,7001", None])
def test_a_number_changes_hands_in_one_go_where_numbers_do_not_rest(
    office: Office, after: str | None
) -> None:
    office.set(numbers={"rest_days": 0})
    office.apply(csv("anna,Anna,7000", columns=NUMBER))
    rows = [after] if after else []
    office.apply(csv(*rows, "berta,Berta,7000", columns=NUMBER), prune=True)
    assert office.numbers() == ({"anna": ["7001"]} if after else {}) | {"berta": ["7000"]}
    ids = sorted(id for numbers in office.numbers().values() for id in numbers)
    for table in ("ps_endpoints", "ps_auths", "ps_aors"):
        assert office.query(f"SELECT id FROM {table} ORDER BY id") == [(id,) for id in ids]
    (callerid,) = office.query("SELECT callerid FROM ps_endpoints WHERE id = '7000'")[0]
    assert "Berta" in callerid


def test_two_users_exchange_numbers_where_numbers_do_not_rest(office: Office) -> None:
    office.set(numbers={"rest_days": 0})
    columns = "login,name,number,secret"
    first, second = "Vq8-tundra-7Kf", "Wm3-pepper-9Lx"
    office.apply(csv(f"anna,Anna,7000,{first}", f"berta,Berta,7001,{second}", columns=columns))
    office.apply(csv(f"anna,Anna,7001,{first}", f"berta,Berta,7000,{second}", columns=columns))
    assert office.numbers() == {"anna": ["7001"], "berta": ["7000"]}
    digests = office.query("SELECT id, password_digest FROM ps_auths ORDER BY id")
    assert [(id, text.partition(",")[0]) for id, text in digests] == [
        ("7000", f"MD5:{md5('7000', second)}"),
        ("7001", f"MD5:{md5('7001', first)}"),
    ]
    assert not office.plan(csv("anna,Anna,7001", "berta,Berta,7000", columns=NUMBER)).plan


def test_three_users_pass_numbers_round_with_their_aliases(office: Office) -> None:
    office.set(numbers={"rest_days": 0})
    columns = "login,name,number,label"

    def rows(*numbers: str) -> str:
        return csv(
            *(
                row
                for login, number in zip("abc", numbers, strict=True)
                for row in (f"{login},{login.upper()},{number},", f"{login},,{number},home")
            ),
            columns=columns,
        )

    office.apply(rows("7000", "7001", "7002"))
    office.apply(rows("7001", "7002", "7000"))
    assert office.numbers() == {
        "a": ["7001", "7001-home"],
        "b": ["7002", "7002-home"],
        "c": ["7000", "7000-home"],
    }
    assert not office.plan(rows("7001", "7002", "7000")).plan
    assert office.query("SELECT count(*) FROM ps_endpoints") == [(6,)]


def test_a_number_moves_from_one_s_additional_to_another_s_primary(office: Office) -> None:
    office.set(numbers={"rest_days": 0})
    columns = "login,name,number,kind"
    office.apply(csv("anna,Anna,7000,", "anna,,7050,additional", "berta,Berta,7001,", columns=columns))
    office.apply(csv("anna,Anna,7000,", "berta,Berta,7050,", columns=columns))
    assert office.numbers() == {"anna": ["7000"], "berta": ["7050"]}


def test_a_number_that_another_user_keeps_unspoken_is_refused(office: Office) -> None:
    office.apply(csv("anna,Anna", "berta,Berta"))
    users.add_extension(office.app, "anna", number="7050", label=None, lines=1, secret=None)
    found = office.problems(csv("anna,Anna,", "berta,Berta,7050", columns=NUMBER))
    assert found[0] == "office.csv:3: number: 7050 belongs to 'anna'"


def test_a_number_of_a_user_who_is_pruned_is_not_given_to_another(office: Office) -> None:
    office.apply(csv("anna,Anna"))
    office.apply(csv("berta,Berta"), prune=True)
    assert office.numbers() == {"berta": ["7001"]}
