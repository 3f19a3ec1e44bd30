"""A plan of users in words and as data: complete, printable, and without any secret."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings

from provisioner.plan import UserChange, UserPlan, Verb, differences
from provisioner.plan.report import data, head, lines, totals
from provisioner.records import user_data
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


def said(*changes: UserChange, full: bool = False, limit: int = 50) -> list[str]:
    plan = UserPlan(changes, "office")
    return list(lines(plan, told(plan), full=full, limit=limit))


def shown(change: UserChange) -> dict[str, object]:
    plan = UserPlan((change,), "office")
    (found,) = data(plan, told(plan))
    return found


@settings(max_examples=40)
@given(plans)
def test_no_secret_and_no_digest_is_in_anything_that_is_said_of_a_plan(plan: UserPlan) -> None:
    orders = told(plan)
    everything = "\n".join(
        [*lines(plan, orders, full=True), totals(plan, orders), json.dumps([head(plan), *data(plan, orders)])]
    )
    for secret in secrets_of(plan):
        assert secret not in everything


@settings(max_examples=40)
@given(plans)
def test_every_line_is_printable_and_every_user_is_named(plan: UserPlan) -> None:
    found = list(lines(plan, told(plan), full=True))
    assert all(line.isprintable() for line in found)
    assert totals(plan, told(plan)).isprintable()
    for change in plan:
        if change.before != change.after or change.verb is not Verb.UPDATE:
            differing = differences(change.before, change.after)
            assert not differing or any(f" {change.user.login}" in line for line in found)


@settings(max_examples=40)
@given(plans)
def test_the_data_survives_json_and_counts_what_it_holds(plan: UserPlan) -> None:
    found = list(data(plan, told(plan)))
    assert json.loads(json.dumps(found)) == found
    counts = head(plan)["totals"]
    assert counts.pop("unchanged") == plan.unchanged
    assert counts == {verb.value: sum(one["verb"] == verb for one in found) for verb in Verb}


def test_users_who_come_have_a_line_each_with_their_extensions() -> None:
    both = person("anna", part(), part("7001", 2, label="support"))
    assert said(created(both), restored(person("boris", part("7002"), name="Boris", active=False))) == [
        "+ anna 'Anna Kowalska': 7001 (1 line), 7001-support (2 lines); new secrets",
        "+ boris 'Boris': 7002 (1 line); disabled",
    ]


def test_a_user_who_goes_has_one_line_with_what_it_means() -> None:
    assert said(deleted(person("anna", part(), part("7002"), part("7001", label="x")))) == [
        "- anna 'Anna Kowalska': 7001 (1 line), 7002 (1 line), 7001-x (1 line); "
        "phones of 7001, 7001-x, 7002 are cut off; 7001, 7002 rest"
    ]


def test_a_changed_user_has_a_line_for_each_field_and_one_for_each_meaning() -> None:
    before = person("anna", part("7001", 3), part("7002"), part("7003"))
    after = replace(
        person("anna", part("7001", 2), part("7002", secret=SECRETS[1]), part("7004")), email="a@example.net"
    )
    assert said(changed(before, after)) == [
        "~ anna email: nothing -> 'a@example.net'",
        "~ anna 7001.lines: 3 -> 2",
        "~ anna 7002.secret: changed",
        "~ anna 7003: taken away",
        "~ anna 7004: new, additional, 1 line",
        "~ anna: phones of 7002, 7003 are cut off",
        "~ anna: 7001 keeps its 2 newest phones",
        "~ anna: 7003 rests",
    ]


def test_a_user_who_is_disabled_shows_what_is_cut_off() -> None:
    assert said(changed(person(), person(active=False))) == [
        "~ anna active: yes -> no",
        "~ anna: phones of 7001 are cut off",
    ]


def test_a_restored_user_also_shows_what_differs_from_the_deleted_record() -> None:
    assert said(restored(person(), person(name="Anna Nowak", active=True))) == [
        "+ anna 'Anna Nowak': 7001 (1 line)",
        "+ anna name: 'Anna Kowalska' -> 'Anna Nowak'",
    ]


def test_a_number_that_changes_hands_does_not_rest() -> None:
    found = said(deleted(person("anna")), created(person("boris")))
    assert not any("rest" in line for line in found)


def test_what_is_taken_away_stands_last() -> None:
    signs = said(
        deleted(person("a", part("7001"))),
        changed(person("b", part("7002")), person("b", part("7002"), name="B")),
        created(person("c", part("7003"))),
    )
    assert [line[:3] for line in signs] == ["+ c", "~ b", "- a"]


def test_of_each_verb_the_first_are_shown_and_the_rest_counted() -> None:
    many = [created(person(f"u{n}", part(f"{7000 + n}"))) for n in range(1203)]
    few = [deleted(person(f"x{n}", part(f"{9000 + n}"))) for n in range(3)]
    found = said(*many, *few, limit=3)
    assert [line.split(" '")[0] for line in found] == [
        "+ u0", "+ u1", "+ u10", "+ ... and 1,200 more to create (--full shows all)", "- x0", "- x1", "- x2",
    ]  # fmt: skip
    assert len(said(*many, *few, limit=3, full=True)) == 1206


def test_a_hostile_value_cannot_harm_the_terminal() -> None:
    before, after = person(name="\x1b[2J\r\n" + "y" * 500), person(name="\u202eevil")
    (line,) = said(changed(before, after))
    assert line.isprintable()
    assert len(line) < 150


def test_the_totals_are_one_line_that_also_tells_who_is_cut_off() -> None:
    plan = UserPlan(
        (
            created(person("a", part("7001"))),
            deleted(person("b", part("7002"))),
            changed(person("c", part("7003", 3)), person("c", part("7003", 1))),
        ),
        "office",
        1097,
    )
    assert totals(plan, told(plan)) == (
        "1 to create, 1 to change, 1 to delete, 1,097 unchanged; phones of 1 extension are cut off; "
        "older phones of 1 extension are cut off"
    )
    assert totals(UserPlan((), "office", 3), ()) == "no changes, 3 unchanged"
    assert totals(UserPlan(), ()) == "no changes"


def test_the_data_of_a_change_tells_fields_secrets_and_nodes() -> None:
    before = person("anna", part("7001", 3), part("7002"))
    after = person("anna", part("7001", 2), part("7002", secret=SECRETS[1]))
    assert shown(replace(changed(before, after), line=12)) == {
        "verb": "change",
        "login": "anna",
        "line": 12,
        "fields": {"7001.lines": {"old": 3, "new": 2}, "7002.secret": "changed"},
        "extensions": user_data(after)["extensions"],
        "secrets": ["7002"],
        "nodes": {
            "expire": {"7001": ["aor", "endpoint"], "7002": ["auth"]},
            "cut_off": ["7002"],
            "keep": {"7001": 2},
        },
    }


def test_the_data_of_a_new_and_of_a_deleted_user_hold_the_whole_record() -> None:
    anna = person()
    new, gone = shown(created(anna)), shown(deleted(anna))
    assert (new["verb"], new["secrets"], gone["verb"], gone["secrets"]) == ("create", ["7001"], "delete", [])
    assert new["extensions"] == gone["extensions"] == user_data(anna)["extensions"]
    assert isinstance(new["fields"], dict)
    assert new["fields"]["name"] == {"old": None, "new": "Anna Kowalska"}


def test_effects_that_belong_to_another_plan_are_refused() -> None:
    plan = UserPlan((created(person()),), "office")
    with pytest.raises(ValueError):
        list(data(plan, ()))
    with pytest.raises(ValueError):
        list(lines(plan, ()))
