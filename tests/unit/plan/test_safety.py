"""A plan that takes much away has to be meant."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from provisioner.plan import UserChange, UserPlan, too_much
from tests.unit.plan.people import SECRETS, changed, created, deleted, part, person, told


def people(count: int, source: str | None = "office") -> list[UserChange]:
    return [deleted(person(f"u{n}", part(f"{7000 + n}"), source=source)) for n in range(count)]


def refusal(
    changes: Iterable[UserChange], of_source: int = 100, limit: int = 10, source: str | None = "office"
) -> str | None:
    plan = UserPlan(tuple(changes), source, 0, of_source)
    return too_much(plan, told(plan), limit)


def test_deleting_up_to_the_limit_is_fine_and_one_more_is_not() -> None:
    assert refusal(people(10)) is None
    assert refusal(people(11)) == (
        "it would delete 11 of the 100 users of 'office', and the limit is 10 %, 10 users: "
        "look at the plan, and give --force if that is meant"
    )


@pytest.mark.parametrize(
    "after",
    [
        person("anna", part(), active=False),
        person("anna", part(secret=SECRETS[1])),
        person("anna", part("7002")),
    ],
)
def test_users_whose_phones_are_cut_off_count_like_deleted_ones(after: object) -> None:
    assert isinstance(after, type(person()))
    cut_off = changed(person("anna", part()), after)
    found = refusal([*people(10), cut_off])
    assert found is not None
    assert "delete 10 and cut off phones of 1 of the 100 users" in found


@pytest.mark.parametrize(
    "change",
    [
        created(person()),
        changed(person(), person(name="Else")),
        changed(person("anna", part(lines=3)), person("anna", part(lines=1))),
        changed(person(active=False), person()),
    ],
)
def test_what_cuts_nobody_off_does_not_count(change: UserChange) -> None:
    assert refusal([change], of_source=10, limit=0) is None


def test_a_source_of_fewer_than_10_users_has_no_limit() -> None:
    assert refusal(people(9), of_source=9) is None
    assert refusal(people(9), of_source=10) is not None


def test_users_that_the_file_takes_over_belong_to_the_whole() -> None:
    taken = [
        changed(replace(change.user, source=None), replace(change.user, active=False))
        for change in people(12)
    ]
    assert refusal(taken, of_source=0) is not None
    assert refusal(taken, of_source=108) is None
    assert refusal(taken, of_source=107) is not None


def test_a_limit_of_100_percent_allows_all_and_one_of_0_nothing() -> None:
    assert refusal(people(100), limit=100) is None
    assert refusal(people(1), limit=0) is not None


def test_an_undo_is_not_limited_for_it_touches_only_what_it_takes_back() -> None:
    assert refusal(people(100), source=None) is None


def test_the_name_of_a_source_cannot_harm_the_terminal() -> None:
    found = refusal(people(50), source="\x1b[2Jx")
    assert found is not None
    assert found.isprintable()
