"""A plan in a file says what was agreed to, and what differs from it now."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import PlanError
from provisioner.plan import UserChange, UserPlan
from provisioner.plan.report import data, head
from provisioner.plan.saved import Origin, dump, is_saved, load, moved, snapshot
from tests.unit.plan.people import (
    SECRETS,
    changed,
    created,
    deleted,
    part,
    person,
    plans,
    restored,
    secrets_of,
    told,
)

ORIGIN = Origin("/srv/office/users.csv", "5e" * 32, "csv", "cp1251", "office", prune=True, adopt=False)


def lines(plan: UserPlan, origin: Origin = ORIGIN) -> list[str]:
    return list(dump(plan, origin, told(plan)))


def plan_of(*changes: UserChange) -> UserPlan:
    return UserPlan(changes, "office")


def differing(then: UserPlan, now: UserPlan) -> list[str]:
    return moved(load(lines(then), "x.plan").changes, now, told(now))


@settings(max_examples=40)
@given(plans)
def test_the_same_plan_has_not_moved(plan: UserPlan) -> None:
    assert differing(plan, plan) == []
    assert load(lines(plan), "x.plan").changes == snapshot(plan, told(plan))


@settings(max_examples=40)
@given(plans, plans)
def test_a_plan_has_moved_exactly_when_its_data_differ(one: UserPlan, other: UserPlan) -> None:
    same = list(data(one, told(one))) == list(data(other, told(other)))
    assert (differing(one, other) == []) == same


@settings(max_examples=40)
@given(plans, plans)
def test_what_is_said_of_a_moved_plan_is_printable(one: UserPlan, other: UserPlan) -> None:
    assert all(line.isprintable() for line in differing(one, other))


@settings(max_examples=40)
@given(plans)
def test_no_secret_and_no_digest_is_in_the_file(plan: UserPlan) -> None:
    written = "".join(lines(plan))
    for secret in secrets_of(plan):
        assert secret not in written


@settings(max_examples=40)
@given(plans)
def test_the_file_is_a_header_and_one_line_of_json_for_each_change(plan: UserPlan) -> None:
    header, *rest = (json.loads(line) for line in lines(plan))
    assert header == {"provisioner_plan": 1, "origin": asdict(ORIGIN), **head(plan)}
    assert rest == list(data(plan, told(plan)))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines(plan))


texts = st.text(max_size=20)


@given(st.builds(Origin, texts, texts, texts, st.none() | texts, texts, st.booleans(), st.booleans()))
def test_where_a_plan_comes_from_is_read_as_it_was_written(origin: Origin) -> None:
    assert load(lines(plan_of(), origin), "x.plan").origin == origin


def test_a_path_that_is_no_text_can_be_written_as_utf_8() -> None:
    path = b"/srv/\xff.csv".decode("utf-8", "surrogateescape")
    (header,) = lines(plan_of(), replace(ORIGIN, file=path))
    assert load([header.encode().decode()], "x.plan").origin.file == path


def test_where_a_change_stands_in_the_input_makes_no_difference() -> None:
    change = created(person())
    assert differing(plan_of(replace(change, line=2)), plan_of(replace(change, line=3))) == []


@pytest.mark.parametrize(
    ("then", "now", "sentence"),
    [
        (plan_of(), plan_of(created(person())), "'anna': now also to create"),
        (plan_of(deleted(person())), plan_of(), "'anna': no longer to delete"),
        (plan_of(restored(person())), plan_of(created(person())), "'anna': to create instead of to restore"),
        (
            plan_of(changed(person(), person(name="A"))),
            plan_of(changed(person(), person(name="B"))),
            "'anna': name: 'Anna Kowalska' -> 'B' instead of 'Anna Kowalska' -> 'A'",
        ),
        (
            plan_of(changed(person(), person(name="A"))),
            plan_of(changed(person(), person("anna", part(secret=SECRETS[1]), name="A"))),
            "'anna': 7001.secret: changed instead of unchanged",
        ),
        (
            plan_of(changed(person("anna", part(lines=2)), person("anna", part(lines=2), name="A"))),
            plan_of(changed(person("anna", part(lines=3)), person("anna", part(lines=3), name="A"))),
            "'anna': extensions are other than saved",
        ),
    ],
)
def test_each_difference_is_one_sentence(then: UserPlan, now: UserPlan, sentence: str) -> None:
    assert differing(then, now) == [sentence]


def test_other_settings_that_mean_something_else_on_the_nodes_are_a_difference() -> None:
    plan = plan_of(changed(person(), person(name="A")))
    agreed = snapshot(plan, [()])
    assert moved(agreed, plan, told(plan)) == ["'anna': what nodes do is other than saved"]


def test_what_somebody_wrote_into_the_file_cannot_harm_the_terminal() -> None:
    change = {"verb": "\x1b[2J", "login": "anna", "fields": {"\x1b[1m": "\r\nok"}}
    other = {**change, "verb": "create"}
    now = plan_of(created(person()))
    for edited in (change, other, {**change, "login": "b\x1b"}):
        found = moved({"anna": json.dumps(edited)}, now, told(now))
        assert found
        assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("first", ["", "login,name\n", '{"login": "anna"}\n', "[1]\n", "\x00"])
def test_a_file_that_is_no_plan_is_told_from_one(first: str) -> None:
    assert not is_saved(first)
    with pytest.raises(PlanError, match=r"x\.plan is no saved plan"):
        load([first], "x.plan")


def test_a_plan_is_known_by_its_first_line() -> None:
    assert is_saved(lines(plan_of())[0])


def test_a_file_that_was_cut_off_is_refused() -> None:
    whole = lines(plan_of(created(person("a", part("7001"))), created(person("b", part("7002")))))
    with pytest.raises(PlanError, match=r"x\.plan has 1 of its 2 changes"):
        load(whole[:-1], "x.plan")
    with pytest.raises(PlanError, match=r"x\.plan:3 is no line of a saved plan"):
        load([*whole[:-1], whole[-1][:50]], "x.plan")


@pytest.mark.parametrize("line", ["x\n", "[]\n", "{}\n", '{"login": 1, "fields": {}}\n', "[" * 100_000])
def test_a_broken_line_is_named(line: str) -> None:
    with pytest.raises(PlanError, match=r"x\.plan:2 "):
        load([lines(plan_of(created(person())))[0], line], "x.plan")


def edited(**header: object) -> list[str]:
    return [json.dumps({**json.loads(lines(plan_of())[0]), **header}) + "\n"]


@pytest.mark.parametrize(
    "header",
    [
        edited(origin=None),
        edited(origin={"file": "x"}),
        edited(origin={**asdict(ORIGIN), "more": 1}),
        edited(origin={**asdict(ORIGIN), "prune": "yes"}),
        edited(origin={**asdict(ORIGIN), "file": None}),
        edited(totals=[1]),
        edited(totals={"create": 1}),
        edited(totals={"create": 1, "change": 0, "delete": 0, "restore": "0"}),
        edited(provisioner_plan=2),
        ['{"provisioner_plan": 1\n'],
        ['{"provisioner_plan": 1}\n'],
    ],
)
def test_a_header_with_other_values_is_refused(header: list[str]) -> None:
    with pytest.raises(PlanError, match=r"x\.plan.*plan again"):
        load(header, "x.plan")
