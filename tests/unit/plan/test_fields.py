"""In which fields two records differ."""

from dataclasses import replace

from hypothesis import given

from provisioner.plan import Difference, differences
from provisioner.records import Kind, User
from tests.unit.plan.people import SECRETS, part, person, users


@given(users("anna"))
def test_a_record_does_not_differ_from_itself(user: User) -> None:
    assert differences(user, replace(user)) == []


@given(users("anna"), users("anna"))
def test_records_without_a_difference_have_the_same_extensions_and_person(one: User, other: User) -> None:
    if not differences(one, other):
        by_id = [{each.endpoint_id: each for each in user.extensions} for user in (one, other)]
        assert by_id[0] == by_id[1]
        assert replace(one, extensions=()) == replace(other, extensions=())


@given(users("anna"), users("anna"))
def test_seen_from_the_other_side_old_and_new_change_places(one: User, other: User) -> None:
    turned = [Difference(field, new, old) for field, old, new in differences(one, other)]
    assert turned == differences(other, one)


def test_each_field_is_named_with_its_old_and_new_value() -> None:
    before = person("anna", part("7001", 2), part("7002", 3))
    after = replace(
        person("anna", part("7001", 1, secret=SECRETS[1]), part("7001", 1, label="support")),
        name="Anna Nowak",
        email="anna@example.net",
        active=False,
        webrtc=True,
        source=None,
    )
    assert differences(before, after) == [
        ("name", "Anna Kowalska", "Anna Nowak"),
        ("email", None, "anna@example.net"),
        ("active", True, False),
        ("webrtc", False, True),
        ("source", "office", None),
        ("7001.lines", 2, 1),
        ("7001.secret", "changed", "changed"),
        ("7001-support", None, "alias, 1 line"),
        ("7002", "additional, 3 lines", None),
    ]


def test_a_number_that_becomes_the_primary_one_changes_its_kind() -> None:
    one, two = part("7001"), part("7002")
    found = differences(person("anna", one, two), person("anna", two, one))
    assert found == [
        ("7001.kind", Kind.PRIMARY.value, Kind.ADDITIONAL.value),
        ("7002.kind", Kind.ADDITIONAL.value, Kind.PRIMARY.value),
    ]


def test_a_user_who_comes_or_goes_differs_in_all_that_the_record_has() -> None:
    anna = person()
    assert differences(None, anna) == [
        ("login", None, "anna"),
        ("name", None, "Anna Kowalska"),
        ("active", None, True),
        ("webrtc", None, False),
        ("source", None, "office"),
        ("7001", None, "primary, 1 line"),
    ]
    assert differences(anna, None) == [(field, new, old) for field, old, new in differences(None, anna)]
