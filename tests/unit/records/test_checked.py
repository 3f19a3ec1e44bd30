"""The quick way of checking says what the whole way says, for any input."""

import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provisioner.errors import InvalidRecord, Problem
from provisioner.records import Entry, entry_of, fields, login, login_key, parse_login, text, validate_user
from provisioner.records.checked import check_entry

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]

NAMES = st.sampled_from(["Anna Kowalska", "Иван Петров", " Zażółć ", "", "x\ny", "\u200d", "=1+1", 5, None])
NUMBERS = st.sampled_from(["7001", "7002", "0070", 7003, "7", "", None, True])
PERSONS = st.fixed_dictionaries(
    {},
    optional={
        "login": st.sampled_from(["ivan", "Иван", "zażółć", "e\u0301va", "a b", "", "x" * 65, 7, None]),
        "name": NAMES,
        "email": st.sampled_from(["", "a@b.com", "Ivan.P@Example.COM", "Info@b.com", "a@x.local", "a", None]),
        "active": st.sampled_from(["yes", "NO", True, 0, "maybe", ""]),
        "phone": st.just("1"),
    },
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "number": NUMBERS,
        "kind": st.sampled_from(["primary", "additional", "alias", "boss", None]),
        "label": st.sampled_from(["support", "sales", "A B", "", None]),
        "lines": st.sampled_from(["1", "99", 2, "0", "100", "01", "ten", None]),
        "secret": st.sampled_from(["abc", 12345, None]),
        "colour": st.just("red"),
    },
)

GOOD_PERSONS = st.fixed_dictionaries(
    {"login": st.sampled_from(["ivan", "Иван", "zażółć"]), "name": st.sampled_from(["Anna", "Иван Петров"])},
    optional={"email": st.sampled_from(["", "a@b.com"]), "active": st.sampled_from(["yes", "no"])},
)
GOOD_PARTS = st.one_of(
    st.fixed_dictionaries({"number": st.sampled_from(["7001", "7002", "7003"])}),
    st.fixed_dictionaries({"label": st.sampled_from(["support", "sales", "home"])}),
    st.fixed_dictionaries({"number": st.just("7001"), "label": st.just("support"), "lines": st.just("3")}),
)


def outcome(entry: Any) -> Entry | list[Problem]:
    try:
        found: Entry = entry()
    except InvalidRecord as exc:
        return list(exc.problems)
    return found


def both_ways_agree(person: dict[str, Any], parts: list[dict[str, Any]]) -> bool:
    places = tuple(range(10, 10 + len(parts)))
    quick = outcome(lambda: check_entry(person, parts, line=3, complete=False, lines=places))
    whole = outcome(
        lambda: entry_of(
            validate_user(check_secrets=False, **person, extensions=parts), 3, complete=False, lines=places
        )
    )
    assert quick == whole
    return isinstance(quick, Entry)


def judged(rule: Callable[[str], object], local: str, domain: str) -> object:
    address = f"{local}@{domain}"
    if len(address) > fields.MAX_EMAIL:
        return "too long"
    try:
        return rule(address)
    except ValueError as exc:
        return str(exc)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PERSONS, st.lists(PARTS, min_size=1, max_size=4))
def test_any_user_is_judged_the_same_both_ways(person: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    both_ways_agree(person, parts)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GOOD_PERSONS, st.lists(GOOD_PARTS, min_size=1, max_size=4))
@example({"login": "ivan", "name": "Ivan"}, [{"number": "7001"}, {"label": "support"}])
def test_users_without_fault_in_themselves_are_judged_the_same_both_ways(
    person: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    both_ways_agree(person, parts)


def test_a_user_without_extensions_has_one_primary_extension_both_ways() -> None:
    entry = check_entry({"login": "ivan", "name": "Ivan"}, [], line=1)
    assert entry == entry_of(validate_user(login="ivan", name="Ivan"), 1)


def test_every_character_of_an_ordinary_login_is_allowed_and_its_own_unicode_form() -> None:
    ordinary = [char for char in CHARACTERS if login._ORDINARY.fullmatch(char)]
    assert {"a", "Z", "0", "@", "ł", "Ж", "ё"} <= set(ordinary)
    for char in ordinary:
        assert text.is_letter(char) or text.is_digit(char) or char in login.PUNCTUATION
        assert not text.is_mark(char)
        assert unicodedata.normalize("NFC", char) == char


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_regex(login._ORDINARY, fullmatch=True))
def test_an_ordinary_login_is_its_own_unicode_form(typed: str) -> None:
    assert parse_login(typed) == typed == unicodedata.normalize("NFC", typed)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_key_of_an_ascii_login_is_the_key_by_unicodes_rules(typed: str) -> None:
    assert login_key(typed) == unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).casefold())


def test_every_character_that_python_prints_may_stand_in_a_name() -> None:
    assert [char for char in CHARACTERS if char.isprintable() and text.unprintable(char)] == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["ivan", "Ivan.Petrov", "a.b-c+d_e", "Info", "POSTMASTER", "a..b", "x" * 65, "-a"]),
    st.sampled_from(["example.com", "Example.COM", "x.local", "b.test", "localhost", "xn--80ak6aa92e.com",
                     "a--b.com", "b.c.", "1.2.3.4", "x" * 64 + ".com", "b.invalid", "пример.рф"]),
)  # fmt: skip
def test_an_email_address_is_judged_by_the_library_or_as_it_would(local: str, domain: str) -> None:
    assert judged(fields.parse_email, local, domain) == judged(fields._whole_email, local, domain)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_regex(fields._LOCAL, fullmatch=True), st.from_regex(fields._DOMAIN, fullmatch=True))
def test_an_ordinary_email_address_is_judged_as_the_library_does(local: str, domain: str) -> None:
    assert judged(fields.parse_email, local, domain) == judged(fields._whole_email, local, domain)


def test_every_line_count_in_digits_is_its_number() -> None:
    assert [fields.parse_lines(str(count)) for count in range(1, 100)] == list(range(1, 100))
