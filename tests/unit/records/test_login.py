"""Which logins are allowed, and which are the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.records import login_key, parse_login

GOOD = [
    "i",
    "ivan",
    "Иван.Петров",
    "zażółć-gęślą",
    "jürgen+test@example.com",
    "משה",
    "محمد",
    "佐藤_太郎",
    "हिन्दी",
    "ไทยภาษา",
    "٧٠٠١",
    "-",
    "x" * 64,
]

BAD = {
    "": "empty",
    "a b": "white space",
    "a\tb": "white space",
    "a\nb": "white space",
    "a\r\nb": "white space",
    "a\u00a0b": "white space",
    "a\0b": "U+0000",
    "a;b": "';'",
    "a^b": "'^'",
    "a'b": "U+0027",
    'a"b': "'\"'",
    "a`b": "'`'",
    "a\\b": "U+005C",
    "a/b": "'/'",
    "a%b": "'%'",
    "${IFS}": "'$'",
    "a<b>": "'<'",
    "😀": "U+1F600",
    "a\u200db": "U+200D",
    "a\u202eb": "U+202E",
    "\ufeffa": "U+FEFF",
    "\u0301a": "U+0301",
    "a" + "\u0316" * 5: "U+0316",
    "\u3164": "U+3164",
    "a\ufe0f": "U+FE0F",
    "\ud800": "U+D800",
    "x" * 65: "too long",
    "x" * 10_000: "too long",
}


@pytest.mark.parametrize("login", GOOD)
def test_a_login_of_letters_digits_and_punctuation_of_any_script_is_kept(login: str) -> None:
    assert parse_login(login) == unicodedata.normalize("NFC", login)


@pytest.mark.parametrize(("login", "named"), BAD.items(), ids=ascii)
def test_a_login_with_anything_else_is_refused_and_the_character_named(login: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_login(login)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ivan", "iVAN"),
        ("ИВАН", "иван"),
        ("zaz\u0307o\u0301łc\u0301", "zażółć"),
        ("STRASSE", "straße"),
        ("ｉｖａｎ", "ivan"),
        ("ﬁnn", "FINN"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_logins_that_differ_in_case_or_unicode_form_are_the_same(one: str, other: str) -> None:
    assert login_key(one) == login_key(other)


def test_different_logins_stay_different() -> None:
    keys = [login_key(login) for login in GOOD]
    assert len(set(keys)) == len(keys)


@given(st.text(max_size=80))
def test_the_key_of_a_key_is_itself(text: str) -> None:
    assert login_key(login_key(text)) == login_key(text)


@given(st.text(max_size=80))
def test_the_key_has_no_regard_to_case_or_form(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert login_key(unicodedata.normalize(form, text)) == login_key(text)
    assert login_key(text.casefold()) == login_key(text)


@given(st.text(min_size=1, max_size=80))
def test_a_login_is_either_refused_or_kept_but_for_its_unicode_form(text: str) -> None:
    expected = unicodedata.normalize("NFC", text)
    try:
        login = parse_login(text)
    except ValueError as exc:
        outcome = str(exc)
    else:
        assert parse_login(login) == login
        outcome = login
    assert outcome.isprintable()
    assert outcome == expected or "a login has" in outcome
