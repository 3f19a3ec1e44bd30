"""What an entry of a file asks of the record there is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner.errors import InvalidRecord
from provisioner.plan import UserChange, Verb
from provisioner.plan.compare import Comparison, Held, lacking
from provisioner.records import (
    Credentials,
    Entry,
    Extension,
    IssuedSecret,
    Kind,
    Part,
    User,
    digest,
    endpoint_id,
)
from provisioner.secret import Secret

CHOSEN = Secret("Vq8-tundra-7Kf")
OTHER = Secret("Wm3-pepper-9Lx")
LONG = Secret("Wm3-pepper-9Lx-canoe")
MADE = Secret("xxxxxxxxyyyyyyyyzzzzzzzz")


def make(id: str, secret: Secret | None) -> tuple[Credentials, IssuedSecret]:
    """As the service makes them, but the made secret is known."""
    credentials = digest(secret or MADE, id, "asterisk")
    if secret is not None:
        credentials = replace(credentials, chosen_length=len(secret.reveal()))
    return credentials, IssuedSecret(id, secret or MADE, secret is None)


def held(
    number: str,
    kind: Kind = Kind.PRIMARY,
    label: str | None = None,
    lines: int = 2,
    secret: Secret | None = None,
) -> Extension:
    return Extension(number, kind, lines, make(endpoint_id(number, label), secret)[0], label)


def record(*parts: Extension, source: str | None = "office", active: bool = True) -> User:
    extensions = parts or (held("7000"),)
    return User("anna", "Anna", "anna@example.org", active, extensions, source)


def part(
    number: str | None = None,
    kind: Kind = Kind.PRIMARY,
    label: str | None = None,
    lines: int | None = None,
    secret: Secret | None = None,
    line: int | None = None,
) -> Part:
    return Part(number, kind, label, lines, secret, line)


def entry(
    *parts: Part,
    login: str = "anna",
    name: str = "Anna",
    email: str | None = None,
    active: bool | None = None,
    webrtc: bool | None = None,
    complete: bool = False,
) -> Entry:
    return Entry(login, name, email, active, parts or (part(),), complete, line=12, webrtc=webrtc)


def change(
    wanted: Entry,
    there: User | None = None,
    *,
    deleted: bool = False,
    adopt: bool = False,
    free: tuple[str, ...] = (),
) -> UserChange | None:
    record_there = None if there is None else Held(7, there, deleted)
    assert lacking(wanted, there) == len(free)
    return Comparison("office", make, "users.csv", adopt).change(wanted, record_there, iter(free))


def after(wanted: Entry, there: User | None = None, **options: object) -> User:
    found = change(wanted, there, **options)  # type: ignore[arg-type]
    assert found is not None
    assert found.after is not None
    return found.after


def problems(wanted: Entry, there: User | None = None, **options: object) -> list[str]:
    with pytest.raises(InvalidRecord) as caught:
        change(wanted, there, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def ids(user: User) -> list[str]:
    return list(user.endpoint_ids)


# -- what is not said


def test_what_is_not_said_stays_as_it_is() -> None:
    there = replace(record(held("7000", lines=3), active=False), webrtc=True)
    assert change(entry(), there) is None


def test_what_is_not_said_of_a_new_user_is_the_default() -> None:
    made = after(entry(), free=("7000",))
    assert (made.email, made.active, made.webrtc, made.source) == (None, True, False, "office")
    assert [(one.endpoint_id, one.kind, one.lines) for one in made.extensions] == [("7000", Kind.PRIMARY, 1)]


def test_what_is_said_and_the_same_is_no_change() -> None:
    wanted = entry(part("7000", lines=2), email="anna@example.org", active=True, complete=True)
    assert change(wanted, record()) is None


@pytest.mark.parametrize(
    ("wanted", "field", "value"),
    [
        (entry(name="Anna Maria"), "name", "Anna Maria"),
        (entry(email="a@example.org"), "email", "a@example.org"),
        (entry(active=False), "active", False),
        (entry(webrtc=True), "webrtc", True),
        (entry(login="Anna"), "login", "Anna"),
    ],
)
def test_one_field_that_differs_is_the_only_one_that_changes(
    wanted: Entry, field: str, value: object
) -> None:
    found = change(wanted, record())
    assert found is not None
    assert (found.verb, found.id, found.line, found.issued) == (Verb.UPDATE, 7, 12, ())
    assert found.before == record()
    assert found.after == replace(record(), **{field: value})  # type: ignore[arg-type]


def test_an_empty_address_takes_the_one_there_away() -> None:
    assert after(entry(email=""), record()).email is None
    assert change(entry(email=""), replace(record(), email=None)) is None


def test_lines_change_without_a_new_secret() -> None:
    found = change(entry(part(lines=5)), record())
    assert found is not None
    assert found.after is not None
    assert found.after.primary == replace(record().primary, lines=5)
    assert found.issued == ()


# -- which extensions are spoken of


def test_an_incomplete_entry_leaves_other_extensions() -> None:
    there = record(held("7000"), held("7005", Kind.ADDITIONAL), held("7000", Kind.ALIAS, "home"))
    assert change(entry(), there) is None
    assert ids(after(entry(part(lines=9)), there)) == ["7000", "7005", "7000-home"]


def test_a_complete_entry_takes_the_others_away() -> None:
    there = record(held("7000"), held("7005", Kind.ADDITIONAL), held("7006", Kind.ADDITIONAL))
    found = change(entry(part(), part("7006", Kind.ADDITIONAL), complete=True), there)
    assert found is not None
    assert found.after == replace(there, extensions=(there.extensions[0], there.extensions[2]))
    assert found.lost == {"7005"}


def test_the_order_of_extensions_in_a_file_is_no_change() -> None:
    there = record(held("7000"), held("7006", Kind.ADDITIONAL), held("7005", Kind.ADDITIONAL))
    asked = (part("7000"), part("7005", Kind.ADDITIONAL), part("7006", Kind.ADDITIONAL))
    assert change(entry(*asked, complete=True), there) is None


def test_new_extensions_stand_after_those_there_by_id() -> None:
    there = record(held("7000"), held("7006", Kind.ADDITIONAL))
    asked = [part("7000"), *(part(number, Kind.ADDITIONAL) for number in ("7009", "7006", "7001"))]
    assert ids(after(entry(*asked, complete=True), there)) == ["7000", "7006", "7001", "7009"]


def test_an_additional_extension_without_a_number_is_the_one_that_nobody_names() -> None:
    there = record(held("7000"), held("7005", Kind.ADDITIONAL), held("7006", Kind.ADDITIONAL))
    asked = (part(), part(None, Kind.ADDITIONAL, lines=4), part("7005", Kind.ADDITIONAL))
    assert [one.lines for one in after(entry(*asked, complete=True), there).extensions] == [2, 2, 4]


def test_one_more_extension_without_a_number_gets_a_free_one() -> None:
    there = record(held("7000"), held("7005", Kind.ADDITIONAL))
    asked = (part(), part(None, Kind.ADDITIONAL), part(None, Kind.ADDITIONAL))
    assert ids(after(entry(*asked, complete=True), there, free=("7001",))) == ["7000", "7005", "7001"]


def test_an_additional_number_can_become_the_primary_one() -> None:
    there = record(held("7000"), held("7005", Kind.ADDITIONAL))
    found = change(entry(part("7005"), part("7000", Kind.ADDITIONAL), complete=True), there)
    assert found is not None
    assert found.after is not None
    assert [(one.endpoint_id, one.kind) for one in found.after.extensions] == [
        ("7005", Kind.PRIMARY),
        ("7000", Kind.ADDITIONAL),
    ]
    assert found.issued == ()


# -- numbers


def test_a_new_number_comes_with_a_new_secret_and_the_old_lines() -> None:
    found = change(entry(part("7050")), record(held("7000", lines=6)))
    assert found is not None
    assert found.after is not None
    assert [(one.endpoint_id, one.lines) for one in found.after.extensions] == [("7050", 6)]
    assert [(new.endpoint_id, new.generated) for new in found.issued] == [("7050", True)]
    assert found.lost == {"7000"}


def test_a_number_that_is_not_spoken_of_is_kept() -> None:
    assert after(entry(name="Maria"), record()).primary.number == "7000"


def test_numbers_are_given_in_the_order_of_extensions() -> None:
    asked = (part(), part(None, Kind.ADDITIONAL), part("7100", Kind.ADDITIONAL), part(None, Kind.ADDITIONAL))
    made = after(entry(*asked, complete=True), free=("7000", "7001", "7002"))
    assert sorted(ids(made)) == ["7000", "7001", "7002", "7100"]
    assert made.primary.number == "7000"


def test_nobody_lacks_a_number_that_has_or_names_one() -> None:
    assert lacking(entry(), record()) == 0
    assert lacking(entry(part("7050")), None) == 0
    assert lacking(entry(part("7050"), part(None, Kind.ALIAS, "home")), None) == 0
    assert lacking(entry(part(), part(None, Kind.ALIAS, "home")), None) == 1


# -- aliases


def test_an_alias_without_a_number_is_one_of_the_primary_number() -> None:
    asked = (part(), part(None, Kind.ALIAS, "home"))
    assert ids(after(entry(*asked, complete=True), free=("7000",))) == ["7000", "7000-home"]
    assert ids(after(entry(*asked, complete=True), record())) == ["7000", "7000-home"]


def test_an_alias_there_is_no_change() -> None:
    there = record(held("7000"), held("7000", Kind.ALIAS, "home"))
    assert change(entry(part(), part(None, Kind.ALIAS, "home"), complete=True), there) is None
    assert change(entry(part("7000"), part("7000", Kind.ALIAS, "home"), complete=True), there) is None


def test_aliases_go_with_the_primary_number_where_a_file_gives_all() -> None:
    there = record(held("7000"), held("7000", Kind.ALIAS, "home"))
    found = change(entry(part("7050"), part(None, Kind.ALIAS, "home"), complete=True), there)
    assert found is not None
    assert found.after is not None
    assert ids(found.after) == ["7050", "7050-home"]
    assert found.lost == {"7000", "7000-home"}


def test_an_alias_of_a_number_that_goes_is_a_problem() -> None:
    there = record(held("7000"), held("7000", Kind.ALIAS, "home"))
    (problem,) = problems(entry(part("7050")), there)
    assert problem.startswith("users.csv:12: number: 7000-home is an alias of 7000")


# -- secrets


def test_the_secret_there_given_again_is_no_change() -> None:
    there = record(held("7000", secret=CHOSEN))
    assert change(entry(part(secret=CHOSEN)), there) is None


def test_a_made_secret_given_back_by_a_file_is_no_change() -> None:
    assert change(entry(part(secret=MADE)), record()) is None


def test_another_secret_replaces_the_one_there() -> None:
    found = change(entry(part(secret=OTHER)), record(held("7000", secret=CHOSEN)))
    assert found is not None
    assert found.after is not None
    assert found.after.primary == held("7000", secret=OTHER)
    assert found.new_secrets == ("7000",)
    assert [(new.secret, new.generated) for new in found.issued] == [(OTHER, False)]


def test_a_user_without_a_secret_gets_a_made_one() -> None:
    found = change(entry(), free=("7000",))
    assert found is not None
    assert [(new.endpoint_id, new.secret, new.generated) for new in found.issued] == [("7000", MADE, True)]


@pytest.mark.parametrize(
    ("weak", "why"), [("anna-anna-7000", "easy to guess"), ("short", "12 characters are needed")]
)
def test_a_weak_secret_is_refused_without_being_shown(weak: str, why: str) -> None:
    (problem,) = problems(entry(part("7000", secret=Secret(weak), line=14)))
    assert problem.startswith("users.csv:14: secret: ")
    assert why in problem
    assert weak not in problem


def test_a_weak_secret_that_is_there_already_is_not_judged_again() -> None:
    weak = Secret("anna-anna-7000")
    assert change(entry(part(secret=weak)), record(held("7000", secret=weak))) is None


def test_a_chosen_secret_must_be_long_enough_for_the_lines() -> None:
    (problem,) = problems(entry(part("7000", lines=5, secret=OTHER)))
    assert "18 characters are needed for 5 lines" in problem
    assert after(entry(part("7000", lines=5, secret=LONG))).primary.lines == 5


def test_more_lines_ask_for_a_longer_chosen_secret() -> None:
    there = record(held("7000", lines=3, secret=CHOSEN))
    (problem,) = problems(entry(part(lines=4)), there)
    assert problem == (
        "users.csv:12: lines: the chosen secret of 7000 has 14 characters, 4 lines need 16; "
        "first give it a new one"
    )
    assert problems(entry(part(lines=4, secret=CHOSEN)), there) == [problem]
    assert after(entry(part(lines=4, secret=LONG)), there).primary.lines == 4
    assert after(entry(part(lines=1)), there).primary.lines == 1


def test_a_chosen_secret_too_short_from_before_is_no_matter_while_lines_stay() -> None:
    there = record(held("7000", lines=9, secret=CHOSEN))
    assert after(entry(part(lines=9), name="Maria"), there).name == "Maria"


# -- whose users


def test_a_new_user_belongs_to_the_file() -> None:
    assert after(entry(), free=("7000",)).source == "office"


def test_a_user_of_another_source_may_be_confirmed() -> None:
    assert change(entry(), record(source="warehouse")) is None


def test_a_user_of_another_source_is_not_changed_even_by_adopting() -> None:
    for adopt in (False, True):
        (problem,) = problems(entry(name="Maria"), record(source="warehouse"), adopt=adopt)
        assert problem == (
            "users.csv:12: login: 'anna' belongs to the source 'warehouse', not to 'office', "
            "and would change: do it there"
        )


def test_a_user_made_by_hand_is_changed_only_by_adopting() -> None:
    (problem,) = problems(entry(name="Maria"), record(source=None))
    assert problem == (
        "users.csv:12: login: 'anna' was made by hand, and would change: "
        "--adopt makes such users those of 'office'"
    )
    adopted = after(entry(name="Maria"), record(source=None), adopt=True)
    assert (adopted.name, adopted.source) == ("Maria", "office")


def test_adopting_a_user_that_is_the_same_changes_its_source_alone() -> None:
    assert after(entry(), record(source=None), adopt=True) == record()
    assert change(entry(), record(source=None)) is None


def test_every_problem_of_an_entry_is_told_at_once() -> None:
    there = record(held("7000", secret=CHOSEN), held("7000", Kind.ALIAS, "home"), source="warehouse")
    found = problems(entry(part("7050", secret=Secret("short"))), there)
    assert [problem.split(": ")[1] for problem in found] == ["login", "secret", "number"]


# -- restore


def test_a_deleted_user_comes_back_with_number_and_secret() -> None:
    found = change(entry(), record(), deleted=True)
    assert found is not None
    assert (found.verb, found.before, found.after, found.id) == (Verb.RESTORE, record(), record(), 7)
    assert (found.issued, found.lost) == ((), frozenset())


def test_a_restored_user_is_what_the_file_says_and_the_file_s_own() -> None:
    found = change(entry(name="Maria", active=True), record(source=None, active=False), deleted=True)
    assert found is not None
    assert found.after == replace(record(), name="Maria")


def test_a_restored_user_with_another_number_gets_another_secret() -> None:
    found = change(entry(part("7050")), record(), deleted=True)
    assert found is not None
    assert found.after is not None
    assert ids(found.after) == ["7050"]
    assert [new.endpoint_id for new in found.issued] == ["7050"]
