"""The plan leads from the rows there are to the rows wanted, and nowhere else."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.plan import Action, Change, Plan, diff, same
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, TABLES, Rows
from provisioner.secret import Secret
from tests.unit.plan.rows import rows


def aor(**values: str | int | None) -> Rows:
    return Rows({AORS: {"7001": values}})


def applied(plan: Plan, actual: Rows) -> Rows:
    """The rows after the plan was carried out on these."""
    tables = {table: dict(actual[table]) for table in TABLES}
    for change in plan:
        there = tables[change.table]
        assert (change.id in there) == (change.action is not Action.CREATE)
        if change.action is Action.DELETE:
            del there[change.id]
        else:
            there[change.id] = {**there.get(change.id, {}), **change.new_values()}
    return Rows(tables)


@given(rows)
def test_rows_as_they_should_be_need_no_change(some: Rows) -> None:
    assert not diff(some, some)


@given(rows, rows)
def test_carrying_the_plan_out_gives_the_wanted_rows(wanted: Rows, actual: Rows) -> None:
    assert applied(diff(wanted, actual), actual) == wanted


@given(rows, rows)
def test_after_the_plan_nothing_is_left_to_do(wanted: Rows, actual: Rows) -> None:
    assert not diff(wanted, applied(diff(wanted, actual), actual))


@given(rows, rows, st.randoms())
def test_the_order_of_rows_and_columns_does_not_matter(
    wanted: Rows, actual: Rows, chance: random.Random
) -> None:
    def shuffled(some: Rows) -> Rows:
        made = {}
        for table in chance.sample(TABLES, len(TABLES)):
            ids = chance.sample(sorted(some[table]), len(some[table]))
            made[table] = {
                id: {
                    c: some[table][id][c]
                    for c in chance.sample(sorted(some[table][id]), len(some[table][id]))
                }
                for id in ids
            }
        return Rows(made)

    plan, other = diff(wanted, actual), diff(shuffled(wanted), shuffled(actual))
    assert plan == other
    assert repr(plan) == repr(other)


@given(rows, rows)
def test_nothing_but_the_ids_named_is_touched(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual, endpoint_ids={"7001"})
    assert {change.id for change in plan} <= {"7001"}
    assert plan == diff(wanted.only({"7001"}), actual.only({"7001"}))


@given(rows, rows)
def test_changes_are_sorted_however_they_were_given(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    assert Plan(tuple(reversed(plan.changes))) == plan
    assert [change.id for change in plan] == sorted(change.id for change in plan)


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("max_contacts", 2, "2"),
        ("qualify_timeout", 3.0, "3"),
        ("qualify_timeout", 3.0, 3),
        ("remove_existing", True, "yes"),
        ("remove_existing", "true", "yes"),
        ("remove_existing", "0", "no"),
        ("direct_media", "off", "no"),
        ("transport", None, None),
    ],
)
def test_values_that_asterisk_reads_alike_are_the_same(column: str, one: object, other: object) -> None:
    assert same(column, one, other)
    assert same(column, other, one)


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("max_contacts", 2, 3),
        ("max_contacts", 0, None),
        ("remove_existing", "yes", "no"),
        ("remove_existing", None, "no"),
        ("context", "on", "yes"),
        ("callerid", "", None),
        ("password", "1", 1.5),
    ],
)
def test_other_values_differ(column: str, one: object, other: object) -> None:
    assert not same(column, one, other)


def test_a_missing_column_is_the_same_as_an_empty_one() -> None:
    assert not diff(aor(max_contacts=1, mailboxes=None), aor(max_contacts="1"))


def test_columns_that_are_not_ours_are_left_alone() -> None:
    assert not diff(aor(max_contacts=1), aor(max_contacts=1, mailboxes="7001@default"))


def test_a_created_row_names_all_its_columns() -> None:
    (change,) = diff(aor(max_contacts=1, mailboxes=None), Rows())
    assert change.action is Action.CREATE
    assert change.new_values() == {"max_contacts": 1, "mailboxes": None}


def test_an_updated_row_names_only_what_differs() -> None:
    (change,) = diff(aor(max_contacts=2, remove_existing="yes"), aor(max_contacts=1, remove_existing="yes"))
    assert (change.action, dict(change.fields)) == (Action.UPDATE, {"max_contacts": (1, 2)})


def test_a_deleted_row_keeps_what_it_held() -> None:
    (change,) = diff(Rows(), aor(max_contacts=1, mailboxes=None))
    assert (change.action, dict(change.fields)) == (Action.DELETE, {"max_contacts": (1, None)})


def test_the_new_value_of_a_secret_is_there_for_the_one_who_writes_it() -> None:
    (change,) = diff(
        Rows({AUTHS: {"7001": {"password": "new"}}}), Rows({AUTHS: {"7001": {"password": "old"}}})
    )
    assert change.fields["password"] == (Secret("old"), Secret("new"))
    assert change.new_values() == {"password": "new"}


@given(rows, rows)
def test_written_in_order_no_endpoint_is_ever_without_its_auth(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    written = list(plan.in_write_order())
    assert sorted(written, key=lambda change: change.key) == list(plan)
    for id in plan_ids(plan):
        order = [(change.table, change.action) for change in written if change.id == id]
        for before, after in [
            ((AUTHS, Action.CREATE), (ENDPOINTS, Action.CREATE)),
            ((ENDPOINTS, Action.DELETE), (AUTHS, Action.DELETE)),
        ]:
            if before in order and after in order:
                assert order.index(before) < order.index(after)


def plan_ids(plan: Plan) -> set[str]:
    return {change.id for change in plan}


def test_the_objects_of_a_plan_are_named_as_asterisk_names_them() -> None:
    wanted = Rows({table: {"7001": {}} for table in TABLES})
    assert diff(wanted, Rows()).objects() == (("auth", "7001"), ("aor", "7001"), ("endpoint", "7001"))


def test_an_empty_plan_is_false() -> None:
    assert not Plan()
    assert len(Plan()) == 0
    assert Plan((Change(AORS, "7001", Action.DELETE, {}),))
