"""What a change of users means on the nodes is known before anything is written."""

from dataclasses import replace

import pytest
from hypothesis import given

from provisioner.errors import SchemaOutdated
from provisioner.plan import NodeOrder, UserChange, Verb, diff, effects, effects_of, orders, summarise
from provisioner.realtime import Rows, compile_user
from provisioner.records import User
from tests.unit.plan.people import SECRETS, changed, changes, created, deleted, part, person, restored
from tests.unit.realtime.people import COLUMNS, Options, columns

ALL = frozenset({"endpoint", "auth", "aor"})


def told(change: UserChange) -> tuple[NodeOrder, ...]:
    return effects(change, Options(), COLUMNS)


def rows(user: User | None) -> Rows:
    return Rows() if user is None else compile_user(user, Options(), COLUMNS)


@given(changes)
def test_they_are_the_orders_of_the_difference_between_the_rows(change: UserChange) -> None:
    before = None if change.verb in (Verb.CREATE, Verb.RESTORE) else change.before
    assert told(change) == orders(diff(rows(change.after), rows(before)))


def test_a_new_user_s_objects_are_read_anew_and_nobody_is_cut_off() -> None:
    anna = person("anna", part("7002"), part("7001"))
    new = frozenset({"state"})
    assert told(created(anna)) == (NodeOrder("7001", ALL, None, new), NodeOrder("7002", ALL, None, new))


@pytest.mark.parametrize("change", [deleted(person()), changed(person(), person(active=False))])
def test_a_user_who_is_deleted_or_disabled_loses_all_phones(change: UserChange) -> None:
    assert told(change) == (NodeOrder("7001", ALL, 0),)


@pytest.mark.parametrize("change", [restored(person()), changed(person(active=False), person())])
def test_a_user_who_is_restored_or_enabled_is_like_a_new_one(change: UserChange) -> None:
    assert told(change) == told(created(person()))


@pytest.mark.parametrize(
    "change",
    [
        created(person(active=False)),
        deleted(person(active=False)),
        changed(person(active=False), person(name="Else", active=False)),
        changed(person(), replace(person(), email="a@example.net", source=None)),
    ],
)
def test_what_nodes_know_nothing_of_means_nothing_to_them(change: UserChange) -> None:
    assert told(change) == ()


def test_a_new_secret_cuts_off_and_fewer_lines_keep_the_newest() -> None:
    before = person("anna", part("7001"), part("7002", 3), part("7003"))
    after = person("anna", part("7001", secret=SECRETS[1]), part("7002", 2))
    assert told(changed(before, after)) == (
        NodeOrder("7001", frozenset({"auth"}), 0),
        NodeOrder("7002", frozenset({"aor", "endpoint"}), 2),
        NodeOrder("7003", ALL, 0),
    )


def test_many_changes_mean_what_each_of_them_does() -> None:
    some = [created(person("a", part("7001"))), deleted(person("b", part("7002")))]
    assert list(effects_of(some, Options(), COLUMNS)) == [told(change) for change in some]


def test_a_database_that_lacks_a_column_is_found_before_anything_is_planned() -> None:
    with pytest.raises(SchemaOutdated, match=r"ps_auths\.realm"):
        list(effects_of([], Options(), columns(without=frozenset({("ps_auths", "realm")}))))


def test_the_summary_counts_each_object_and_endpoint_once() -> None:
    one = (NodeOrder("7001", ALL, 0), NodeOrder("7002", frozenset({"aor"}), 2))
    other = (NodeOrder("7001", ALL), NodeOrder("7000", frozenset({"auth"}), 0), NodeOrder("7002", ALL, 0))
    found = summarise([one, (), other])
    assert (found.objects, found.cut_off, found.trimmed) == (7, ("7000", "7001", "7002"), ())
    assert summarise([one]).trimmed == ("7002",)
