"""What an administrator types is checked as a whole: every problem at once, each with its field."""

from typing import Any

import pytest

from provisioner.errors import InvalidRecord
from provisioner.records import Kind, UserSpec, validate_user
from provisioner.secret import Secret

STRONG = "fish-Kettle.42-orbit!plum"


def problems(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidRecord) as caught:
        validate_user(**fields)
    return {problem.field: problem.message for problem in caught.value.problems}


def user(**fields: Any) -> UserSpec:
    return validate_user(**{"login": "ivan", "name": "Ivan Petrov", **fields})


def test_a_user_with_login_and_name_alone_gets_one_primary_extension_of_one_line() -> None:
    spec = user()
    (extension,) = spec.extensions
    assert (spec.active, spec.email) == (True, None)
    assert (extension.kind, extension.number, extension.lines) == (Kind.PRIMARY, None, 1)
    assert user(extensions=[]) == user(extensions=None) == spec


def test_all_fields_are_taken_as_typed() -> None:
    spec = user(
        email="Ivan@Example.COM",
        active="no",
        extensions=[
            {"number": "7001", "lines": "2", "secret": STRONG},
            {"number": 7002, "lines": 3},
            {"number": "7001", "label": "support"},
            {"label": "sales"},
        ],
    )
    assert spec.email == "Ivan@example.com"
    assert spec.active is False
    assert [e.kind for e in spec.extensions] == [Kind.PRIMARY, Kind.ADDITIONAL, Kind.ALIAS, Kind.ALIAS]
    assert [e.number for e in spec.extensions] == ["7001", "7002", "7001", None]
    assert spec.extensions[0].secret == Secret(STRONG)


def test_every_problem_is_reported_at_once_with_its_field() -> None:
    found = problems(
        login="a b",
        name="x\ny",
        email="nobody",
        active="maybe",
        phone="1",
        extensions=[
            {"number": "7", "lines": 0, "secret": "abc", "colour": "red"},
            {"number": "7001", "label": "A B"},
            {"number": "7002", "kind": "boss"},
            5,
        ],
    )
    assert set(found) == {
        "login", "name", "email", "active", "phone",
        "extensions[0].number", "extensions[0].lines", "extensions[0].secret", "extensions[0].colour",
        "extensions[1].label", "extensions[2].kind", "extensions[3]",
    }  # fmt: skip


def test_missing_fields_are_named() -> None:
    assert problems() == {"login": "is missing", "name": "is missing"}


def test_the_problems_of_an_only_extension_have_the_bare_names_of_its_fields() -> None:
    assert set(problems(login="i", name="I", extensions=[{"number": "x", "lines": 100}])) == {
        "number",
        "lines",
    }


def test_extensions_that_are_no_list_are_refused() -> None:
    assert "not a list" in problems(login="i", name="I", extensions="7001")["extensions"]
    assert "not a list" in problems(login="i", name="I", extensions={"number": "7001"})["extensions"]


@pytest.mark.parametrize("number", ["00", "7001", "123456789012345"])
def test_a_number_has_2_to_15_digits(number: str) -> None:
    assert user(extensions=[{"number": number}]).extensions[0].number == number


@pytest.mark.parametrize(
    "number", ["7", "1234567890123456", "70a1", "+7001", " 7001", "٧٠٠١", "7_01", "7%", 7, -70]
)
def test_any_other_number_is_refused(number: object) -> None:
    assert "2 to 15 digits" in str(problems(login="i", name="I", extensions=[{"number": number}]))


@pytest.mark.parametrize("lines", [0, 100, -1, "0", "ten", "1.5", 1.5, True, None, "", 10**30, "9" * 5000])
def test_lines_outside_1_to_99_are_refused(lines: object) -> None:
    assert "1 to 99" in problems(login="i", name="I", extensions=[{"lines": lines}])["lines"]


@pytest.mark.parametrize("label", ["Support", "a-b", "a_b", "x" * 21, "ż", "a b"])
def test_a_label_has_a_to_z_and_digits_only(label: str) -> None:
    extensions = [{"number": "7001"}, {"label": label}]
    assert "a-z and 0-9" in problems(login="i", name="I", extensions=extensions)["extensions[1].label"]


@pytest.mark.parametrize(
    ("extensions", "field", "said"),
    [
        ([{"kind": "additional"}], "kind", "must be primary"),
        ([{"label": "x", "kind": "alias"}], "kind", "must be primary"),
        ([{}, {"kind": "primary"}], "extensions[1].kind", "only the first"),
        ([{}, {"kind": "alias"}], "extensions[1].label", "is missing"),
        ([{}, {"kind": "additional", "label": "x"}], "extensions[1].label", "only an alias"),
        ([{"label": "x"}], "label", "only an alias"),
        (
            [{"number": "7001"}, {"number": "7002", "label": "x"}],
            "extensions[1].number",
            "no number of this user",
        ),
        ([{"number": "7001"}, {"number": "7001"}], "extensions[1].number", "given twice"),
        ([{"number": "7001"}, {"label": "x"}, {"label": "x"}], "extensions[2].label", "given twice"),
        (
            [{"number": "7001"}, {"label": "x"}, {"number": "7001", "label": "x"}],
            "extensions[2].label",
            "twice",
        ),
    ],
)
def test_extensions_that_do_not_go_together_are_refused(
    extensions: list[dict[str, str]], field: str, said: str
) -> None:
    assert said in problems(login="i", name="I", extensions=extensions)[field]


def test_several_extensions_may_each_wait_for_the_next_free_number() -> None:
    assert len(user(extensions=[{}, {}, {}]).extensions) == 3


def test_a_chosen_secret_is_checked_with_its_lines_and_the_users_own_words() -> None:
    found = problems(
        login="ivan",
        name="Ivan Petrov",
        extensions=[
            {"number": "7001", "lines": 4, "secret": "abc"},
            {"number": "7002", "secret": "petrov-7002-ivan"},
        ],
    )
    assert "add 13 more" in found["extensions[0].secret"]
    assert "easy to guess" in found["extensions[1].secret"]


def test_the_check_of_secrets_can_be_left_to_the_caller() -> None:
    spec = validate_user(login="i", name="I", extensions=[{"secret": "abc"}], check_secrets=False)
    assert spec.extensions[0].secret == Secret("abc")


def test_a_secret_shows_neither_in_the_spec_nor_in_a_refusal() -> None:
    assert STRONG not in repr(user(extensions=[{"secret": STRONG}]))
    assert "12345" not in str(problems(login="i", name="I", extensions=[{"secret": 12345}]))
    assert "hunter2" not in str(
        problems(login="i b", name="I", extensions=[{"secret": "hunter2", "lines": 0}])
    )


@pytest.mark.parametrize(
    "email", ["ivan@example.com", "иван@пример.рф", "i+x@pbx.local", "zażółć@example.com", "a@b.test"]
)
def test_an_email_address_of_any_script_and_of_office_domains_is_accepted(email: str) -> None:
    assert user(email=email).email == email


@pytest.mark.parametrize(
    "email",
    ["ivan", "ivan@", "@x.com", "a b@x.com", "a@b", "a@@b.com", "a@b.com\n", "a@b.com;c@d.com", "a\0@b.com",
     "\ud800@b.com", "x" * 10_000 + "@b.com", "a@b.com\r\nBcc: c@d.com", 5],
)  # fmt: skip
def test_what_is_no_email_address_is_refused(email: object) -> None:
    assert "email" in problems(login="i", name="I", email=email)


def test_a_bad_secret_is_named_beside_the_other_faults_of_its_extension() -> None:
    with pytest.raises(InvalidRecord) as refused:
        validate_user(
            login="anna", name="Anna", extensions=[{"number": "1", "lines": 5, "secret": Secret("short")}]
        )
    assert [problem.field for problem in refused.value.problems] == ["number", "secret"]
    assert "add 13 more" in refused.value.problems[1].message
