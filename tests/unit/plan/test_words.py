"""A plan in words and as JSON: readable, and without any secret."""

import json

from hypothesis import given

from provisioner.plan import Plan, diff, orders, summary, words
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, SECRET_COLUMNS, Rows
from tests.unit.plan.rows import rows


def secrets(some: Rows) -> set[str]:
    return {str(v) for _, _, row in some for c, v in row.items() if c in SECRET_COLUMNS and v is not None}


@given(rows, rows)
def test_no_secret_is_in_anything_that_is_printed_of_a_plan(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    printed = "\n".join(
        [str(plan), repr(plan), *map(str, plan), *words(plan), summary(plan), json.dumps(plan.as_list()),
         str(orders(plan)), f"{plan}", str([change.fields for change in plan])]
    )  # fmt: skip
    for secret in secrets(wanted) | secrets(actual):
        assert secret not in printed


@given(rows, rows)
def test_every_change_is_said_in_printable_lines(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    lines = words(plan)
    assert all(line.isprintable() for line in lines)
    for change in plan:
        assert any(change.id in line and change.object in line for line in lines)
    assert bool(lines) == bool(plan)


def test_the_words_of_a_plan() -> None:
    actual = Rows(
        {
            AUTHS: {"7002": {"password_digest": "MD5:old"}, "7003": {}},
            AORS: {"7002": {"max_contacts": 2}, "7003": {}},
            ENDPOINTS: {"7002": {"callerid": None}, "7003": {}},
        }
    )
    wanted = Rows(
        {
            AUTHS: {"7001": {}, "7002": {"password_digest": "MD5:new"}},
            AORS: {"7001": {}, "7002": {"max_contacts": 1}},
            ENDPOINTS: {"7001": {}, "7002": {"callerid": '"A^3BB" <7002>'}},
        }
    )
    plan = diff(wanted, actual)
    assert words(plan) == [
        "+ 7001 auth, aor, endpoint",
        "~ 7002 auth.password_digest: changed",
        "~ 7002 aor.max_contacts: 2 -> 1",
        "~ 7002 endpoint.callerid: nothing -> '\"A;B\" <7002>'",
        "- 7003 auth, aor, endpoint",
    ]
    assert summary(plan) == "1 to create, 1 to update, 1 to delete"
    assert plan.as_list()[3] == {
        "table": AUTHS,
        "id": "7002",
        "action": "update",
        "fields": {"password_digest": "changed"},
    }


def test_a_plan_without_changes_says_so() -> None:
    assert words(Plan()) == []
    assert summary(Plan()) == "no changes"


def test_a_hostile_value_cannot_harm_the_terminal() -> None:
    wanted = Rows({ENDPOINTS: {"7001": {"context": "b"}}})
    actual = Rows({ENDPOINTS: {"7001": {"context": "\x1b[31m\r\nx" + "y" * 500}}})
    (line,) = words(diff(wanted, actual))
    assert line.isprintable()
    assert len(line) < 150
