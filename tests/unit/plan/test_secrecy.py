"""No secret is in anything that is printed of a plan of rows."""

import json

from hypothesis import given

from provisioner.plan import diff, orders
from provisioner.realtime import AUTHS, SECRET_COLUMNS, Rows
from tests.unit.plan.rows import rows


def secrets(some: Rows) -> set[str]:
    return {str(v) for _, _, row in some for c, v in row.items() if c in SECRET_COLUMNS and v is not None}


@given(rows, rows)
def test_no_secret_is_in_anything_that_is_printed_of_a_plan(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    data = [change.as_dict() for change in plan]
    shown = [plan, list(plan), orders(plan), [change.fields for change in plan], json.dumps(data)]
    printed = "\n".join([*map(str, shown), *map(repr, shown)])
    for secret in secrets(wanted) | secrets(actual):
        assert secret not in printed


def test_a_change_says_of_a_secret_only_that_it_changed() -> None:
    wanted = Rows({AUTHS: {"7002": {"password_digest": "MD5:new", "realm": "asterisk"}}})
    actual = Rows({AUTHS: {"7002": {"password_digest": "MD5:old", "realm": "asterisk"}}})
    (change,) = diff(wanted, actual)
    assert change.as_dict() == {
        "table": AUTHS,
        "id": "7002",
        "action": "update",
        "fields": {"password_digest": "changed"},
    }
